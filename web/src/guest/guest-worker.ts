// SPDX-License-Identifier: MIT
// The base of a guest worker: one instance of the kernel, and under it whatever program its task runs. What happens at
// this level happens once for a task or a program, never for a system call. Protocols: docs/abi.md, section 1.

import {
  IRQ_DEVICE,
  IRQ_STOP,
  CPU,
  CPU_KERNEL,
  CPU_SIZE,
  HALT_PANIC,
  LEAVE_START,
  LEAVE_STOP,
  LEAVE_TASK_GONE,
  LINE_POOLS,
  MACHINE,
  MODULE_PIECE,
  NO_MEMORY,
  START_CLONE,
  START_EXEC,
  START_FORK,
  TRAP_START,
  TRAP_TEXT_SIZE,
  WORKER,
  WORKER_ASSIGNED,
  WORKER_IDLE,
  WORKER_SIZE,
} from '../generated/abi.ts';
import { bufferOf, holdLifeLock, losesWakeUps, parentPort } from '../machine/platform.ts';
import type { FromGuest, GuestStart, ToGuest } from '../machine/protocol.ts';
import { GuestClock } from './clock.ts';
import { Coroutines } from './coroutines.ts';
import { classifyTrap } from './traps.ts';
import { USER_ACCESS_FUNCTIONS, type UserAccess, UserAccessMaker } from './user-access.ts';

const ENOEXEC = 8;
const EAGAIN = 11;
const ENOMEM = 12;

/** What vmlinux.wasm exports. */
interface KernelExports {
  auklet_machine: WebAssembly.Global;
  __heap_base: WebAssembly.Global;
  user_access: WebAssembly.Global;
  trap_text: WebAssembly.Global;
  wasm_in_kernel: WebAssembly.Global;
  wasm_clock_offset: WebAssembly.Global;
  __indirect_function_table: WebAssembly.Table;
  boot_cpu(dtb: number): void;
  secondary_cpu(cpu: number): void;
  run_task(slot: number): void;
  run_coroutine(task: number): void;
  syscall: CallableFunction;
  read_clock: CallableFunction;
  check_engine_stack(number: number): void;
  fork_process(buffer: number, stackPointer: number, tlsBase: number): number;
  user_trap(kind: number, canHandle: number): number;
  kernel_trap(text: number, length: number): void;
}

/** What a program exports: docs/abi.md, section 2. */
interface ProgramExports {
  _start(block: number): void;
  __clone_start?(stack: number): void;
  __signal_trap?(): void;
  __stack_pointer: WebAssembly.Global<'i32'>;
  __tls_base: WebAssembly.Global<'i32'>;
  asyncify_start_unwind(buffer: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(buffer: number): void;
  asyncify_stop_rewind(): void;
  asyncify_get_state(): number;
}

const enum Asyncify {
  Normal,
  Unwinding,
  Rewinding,
}

/** Of user_trap(): any other value is an alternate stack. */
const ON_OWN_STACK = 1;

/** Never called: the kernel asks MACHINE.coroutines first. */
const NO_COROUTINES = { coroutine_resume: (): void => {}, coroutine_yield: (): void => {} };

// The kernel's back traces are the engine's.
(Error as { stackTraceLimit?: number }).stackTraceLimit = 40;

class GuestWorker {
  private readonly port = parentPort<FromGuest, ToGuest>();
  private readonly memories: WebAssembly.Memory[] = [];
  private readonly modules = new Map<number, WebAssembly.Module>();
  /** Programs that this worker must start before it has been told of their modules. */
  private readonly awaitedModules = new Map<number, (module: WebAssembly.Module) => void>();
  /** Memories that its next task needs, and this worker has asked for. */
  private readonly awaitedMemories = new Map<number, () => void>();
  private readonly userAccess = new Map<number, UserAccess>();
  /** Asks at once: the answer comes while this worker starts. */
  private readonly clock = new GuestClock(() => this.port.post({ type: 'clock' }));

  private kernelMemory!: WebAssembly.Memory;
  private words!: Int32Array<ArrayBufferLike>;
  private kernel!: KernelExports;
  private coroutines: Coroutines | undefined;
  private accessMaker!: UserAccessMaker;
  /** The kernel's own functions for "no user memory". */
  private noAccess: CallableFunction[] = [];
  private accessSlots: number[] = [];
  private machine = 0;
  /** Of a CPU's own worker. */
  private cpu = 0;
  private slotNumber = 0;
  /** Word index of this worker's slot. */
  private slot = 0;
  /** The machine has ended, and nothing runs here any more. */
  private left = false;

  private program: ProgramExports | undefined;
  /** The last one that was made, and of what. */
  private instance: { module: number; memory: number; program: ProgramExports } | undefined;
  private forkBuffer = 0;
  private forkResult = 0;

  constructor() {
    this.port.onMessage((message) => void this.handle(message));
  }

  private async handle(message: ToGuest): Promise<void> {
    try {
      switch (message.type) {
        case 'start':
          return await this.start(message);
        case 'boot':
          this.words[(this.machine + MACHINE.coroutines) >>> 2] = this.coroutines === undefined ? 0 : 1;
          if (this.cpu === 0) this.runCpu(this.kernel.boot_cpu, message.dtb);
          else this.runCpu(this.kernel.secondary_cpu, this.cpu);
          return;
        case 'end':
          this.leave();
          return;
        case 'memory':
          this.memories[message.id] = message.memory;
          this.awaitedMemories.get(message.id)?.();
          this.awaitedMemories.delete(message.id);
          return;
        case 'module':
          this.modules.set(message.id, message.module);
          this.awaitedModules.get(message.id)?.(message.module);
          this.awaitedModules.delete(message.id);
          return;
        case 'clock':
          this.clock.answer(message);
          return;
        case 'wake':
          return;
      }
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const stack = error instanceof Error ? error.stack : undefined;
    this.port.post(stack === undefined ? { type: 'error', message } : { type: 'error', message, stack });
  }

  private async start(message: GuestStart): Promise<void> {
    await holdLifeLock(message.lifeLock);
    this.kernelMemory = message.memory;
    this.words = new Int32Array(message.memory.buffer);
    this.accessMaker = new UserAccessMaker(message.memory);
    message.memories.forEach((memory, id) => {
      this.memories[id] = memory;
    });
    for (const [id, module] of message.modules) this.modules.set(id, module);

    if (message.role === 'cpu' && Coroutines.supported) {
      this.coroutines = new Coroutines(
        () => this.kernel.run_coroutine,
        (error) => this.cpuTrapped(error),
      );
    }
    const instance = new WebAssembly.Instance(message.kernel, {
      env: { memory: message.memory },
      host: { ...this.hostFunctions(), ...(this.coroutines?.imports ?? NO_COROUTINES) },
    });
    this.kernel = instance.exports as unknown as KernelExports;
    this.kernel.wasm_clock_offset.value = await this.clock.offset;
    this.machine = (this.kernel.auklet_machine.value as number) >>> 0;
    const slots = (this.kernel.user_access.value as number) >>> 2;
    this.accessSlots = USER_ACCESS_FUNCTIONS.map((_, index) => this.words[slots + index] as number);
    this.noAccess = this.accessSlots.map((index) => this.kernel.__indirect_function_table.get(index));

    if (message.role === 'task') {
      this.slotNumber = message.slot as number;
      this.slot = (this.machine + MACHINE.worker + this.slotNumber * WORKER_SIZE) >>> 2;
      await this.parkForever();
    } else {
      this.cpu = message.cpu as number;
      const heapBase = (this.kernel.__heap_base.value as number) >>> 0;
      this.port.post({ type: 'ready', machine: this.machine, heapBase });
    }
  }

  // ---- the end ---------------------------------------------------------------------------------------------------------

  /** Kernel code that finds this set traps, so a trap after that means nothing else. */
  private get machineEnded(): boolean {
    if (this.machine === 0) return false;
    return (Atomics.load(this.words, (this.machine + MACHINE.cpu + CPU.pending) >>> 2) & IRQ_STOP) !== 0;
  }

  private leave(): void {
    if (this.left) return;
    this.left = true;
    this.port.post({ type: 'left' });
  }

  // ---- what the kernel imports -----------------------------------------------------------------------------------

  private hostFunctions(): WebAssembly.ModuleImports {
    const bytes = new Uint8Array(this.kernelMemory.buffer);
    return {
      now: performance.now.bind(performance),
      console_write: (address: number, length: number) => {
        const text = bytes.subarray(address >>> 0, (address >>> 0) + (length >>> 0));
        // No terminal driver is behind this console: a new line must also return to the first column.
        const lines = Array.from(text).flatMap((byte) => (byte === 0x0a ? [0x0d, 0x0a] : [byte]));
        this.port.post({ type: 'console', bytes: new Uint8Array(lines) });
      },
      module_compile: (pieces: number, length: number) => this.compile(bytes, pieces >>> 0, length >>> 0),
      bind_memory: (id: number) => this.bindMemory(id),
      knows_memory: (id: number) => (this.memories[id] === undefined ? 0 : 1),
      memory_copy: (to: number, from: number, start: number, length: number) =>
        this.copyMemory(to, from, start >>> 0, length >>> 0),
      program_tls: () => this.program?.__tls_base.value ?? 0,
      backtrace: (address: number, size: number) => {
        const text = new TextEncoder().encode(
          (new Error().stack ?? '')
            .replace(/^Error\n/, '')
            .replace(/ *at (?:vmlinux\.wasm\.)?([^ ]+) \(.*?:(0x[0-9a-f]+|\d+:\d+)\)/g, '$1+$2'),
        );
        const part = text.subarray(0, size >>> 0);
        bytes.set(part, address >>> 0);
        return part.length;
      },
      wake: (slot: number) => {
        if (losesWakeUps) this.port.post({ type: 'wake', slot });
      },
      halt: (reason: number) => this.port.post({ type: 'halt', reason }),
    };
  }

  /** `pieces` is the address of a vector of addresses, one for each MODULE_PIECE bytes of the image. */
  private compile(bytes: Uint8Array, pieces: number, length: number): number {
    let module: WebAssembly.Module;
    try {
      // A copy, because engines refuse to compile shared memory.
      const image = new Uint8Array(length);
      for (let done = 0, piece = pieces >>> 2; done < length; done += MODULE_PIECE, ++piece) {
        const address = (this.words[piece] as number) >>> 0;
        image.set(bytes.subarray(address, address + Math.min(MODULE_PIECE, length - done)), done);
      }
      module = new WebAssembly.Module(image);
      // The engine has its own; this one would stay until a collection, which a worker may never have. (Node 20 has no transfer.)
      (image.buffer as Partial<ArrayBuffer>).transfer?.(0);
    } catch (error) {
      // A CompileError says that it is no module; a RangeError, that this much memory cannot be had.
      return error instanceof RangeError ? -ENOMEM : -ENOEXEC;
    }
    const id = Atomics.add(this.words, (this.machine + MACHINE.modules) >>> 2, 1);
    this.modules.set(id, module);
    this.port.post({ type: 'module', id, module });
    return id;
  }

  private bindMemory(id: number): number {
    let functions: CallableFunction[] = this.noAccess;
    if (id !== NO_MEMORY) {
      const memory = this.memories[id];
      if (memory === undefined) return -EAGAIN;
      let access = this.userAccess.get(id);
      if (access === undefined) {
        access = this.accessMaker.make(memory);
        this.userAccess.set(id, access);
      }
      const bound = access;
      functions = USER_ACCESS_FUNCTIONS.map((name) => bound[name]);
    }
    const table = this.kernel.__indirect_function_table;
    functions.forEach((value, index) => table.set(this.accessSlots[index] as number, value));
    return 0;
  }

  private copyMemory(to: number, from: number, start: number, length: number): number {
    const source = this.memories[from];
    const target = this.memories[to];
    if (source === undefined || target === undefined) return -EAGAIN;
    new Uint8Array(bufferOf(target, start + length), start, length).set(
      new Uint8Array(bufferOf(source, start + length), start, length),
    );
    return 0;
  }

  // ---- CPUs ----------------------------------------------------------------------------------------------------------

  /** A CPU's own worker is in wasm, or between two coroutines, until the machine ends. */
  private runCpu(enter: (argument: number) => void, argument: number): void {
    try {
      if (this.coroutines !== undefined) this.coroutines.run(enter, argument);
      else enter(argument);
    } catch (error) {
      this.cpuTrapped(error);
    }
  }

  private cpuTrapped(error: unknown): void {
    if (this.machineEnded) this.leave();
    else this.kernelTrap(error);
  }

  private kernelTrap(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const encoded = new TextEncoder().encode(text).subarray(0, TRAP_TEXT_SIZE);
    const address = (this.kernel.trap_text.value as number) >>> 0;
    new Uint8Array(this.kernelMemory.buffer).set(encoded, address);
    try {
      this.kernel.kernel_trap(address, encoded.length);
    } catch (again) {
      if (this.machineEnded) return this.leave();
      this.port.post({ type: 'console', bytes: new TextEncoder().encode(`\nkernel trap: ${text}\nthen: ${again}\n`) });
      this.port.post({ type: 'halt', reason: HALT_PANIC });
    }
  }

  // ---- tasks -----------------------------------------------------------------------------------------------------------

  /** Asks for the memories that the slot's task needs and this worker does not know: later it cannot be told of any. */
  private async learnMemories(): Promise<void> {
    for (const id of [this.field(WORKER.memory), this.field(WORKER.other_memory)]) {
      if (id === NO_MEMORY || this.memories[id] !== undefined) continue;
      const told = new Promise<void>((resolve) => this.awaitedMemories.set(id, resolve));
      this.port.post({ type: 'memory', id });
      await told;
    }
  }

  /** Tells tasks that wait for a worker, and the host, that there is one more. */
  private announce(): void {
    const at = (field: number): number => (this.machine + field) >>> 2;
    Atomics.add(this.words, at(MACHINE.pool_wait), 1);
    Atomics.notify(this.words, at(MACHINE.pool_wait));
    Atomics.or(this.words, at(MACHINE.interrupt_lines), (1 << LINE_POOLS) | 0);
    const cpu = MACHINE.cpu + (this.words[at(MACHINE.interrupt_cpu)] as number) * CPU_SIZE;
    Atomics.or(this.words, at(cpu + CPU.pending), IRQ_DEVICE);
    if (Atomics.load(this.words, at(cpu + CPU.state)) !== CPU_KERNEL) {
      Atomics.notify(this.words, at(cpu + CPU.pending));
    }
  }

  private async parkForever(): Promise<never> {
    const state = this.slot + (WORKER.state >>> 2);
    let first = true;
    for (;;) {
      Atomics.store(this.words, state, WORKER_IDLE);
      if (first) {
        this.announce();
        this.port.post({ type: 'ready' });
        first = false;
      }
      for (;;) {
        const now = Atomics.load(this.words, state);
        if (now === WORKER_ASSIGNED) break;
        const wait = Atomics.waitAsync(this.words, state, now);
        if (wait.async) await wait.value;
      }
      if (this.left) return new Promise<never>(() => {});
      await this.learnMemories();
      await this.runTask();
      this.program = undefined;
      this.bindMemory(NO_MEMORY);
      Atomics.store(this.words, this.slot + (WORKER.memory >>> 2), NO_MEMORY);
    }
  }

  /** Runs a task until it is gone. Everything below ends in a trap; `leave` says which of ours it was. */
  private async runTask(): Promise<void> {
    const leaveIndex = this.slot + (WORKER.leave >>> 2);
    let next: (() => void) | undefined = () => this.kernel.run_task(this.slotNumber);
    while (next !== undefined && !this.left) {
      let error: unknown;
      try {
        next();
        error = new Error('unreachable');
      } catch (caught) {
        error = caught;
      }
      const leave = this.words[leaveIndex];
      this.words[leaveIndex] = 0;
      if (leave === LEAVE_STOP) break;
      if (leave === LEAVE_TASK_GONE) return;
      if (leave === LEAVE_START) {
        next = await this.prepareProgram();
      } else if (this.kernel.wasm_in_kernel.value === 1) {
        this.kernelTrap(error);
        return new Promise<never>(() => {});
      } else {
        const trap = classifyTrap(error);
        next = () => this.handleTrap(trap);
      }
    }
    this.leave();
    return new Promise<never>(() => {});
  }

  /** The program trapped. Does not return if it has no handler for the signal. */
  private handleTrap(trap: number): void {
    const program = this.program;
    const stack = this.kernel.user_trap(trap, program?.__signal_trap === undefined ? 0 : 1);
    if (program === undefined || stack === 0) return;
    if (stack !== ON_OWN_STACK) program.__stack_pointer.value = stack;
    program.__signal_trap?.();
  }

  private field(offset: number): number {
    return this.words[this.slot + (offset >>> 2)] as number;
  }

  /**
   * An instance takes 0.1 ms and 0.2 MB of garbage. A fork's needs nothing that a new one has: its memory is initialized already,
   * and the globals that matter come from the parent. So the last one will do, if its module and memory are the same.
   */
  private instanceFor(module: WebAssembly.Module, id: number, memoryId: number, fork: boolean): ProgramExports {
    const last = this.instance;
    if (fork && last?.module === id && last.memory === memoryId) {
      if (last.program.asyncify_get_state() === Asyncify.Normal) return last.program;
    }
    this.instance = undefined;
    const memory = this.memories[memoryId];
    if (memory === undefined) throw new Error('the memory is unknown');
    const { exports } = new WebAssembly.Instance(module, {
      linux: {
        memory,
        syscall: this.kernel.syscall as WebAssembly.ImportValue,
        clock: this.kernel.read_clock as WebAssembly.ImportValue,
        fork: (buffer: number) => this.fork(buffer),
      },
    });
    const program = exports as unknown as ProgramExports;
    this.instance = { module: id, memory: memoryId, program };
    return program;
  }

  /** Makes an instance of the program that the slot describes; the result starts it. The task is in user mode already. */
  private async prepareProgram(): Promise<() => void> {
    this.program = undefined;
    const id = this.field(WORKER.module);
    const module =
      this.modules.get(id) ??
      (await new Promise<WebAssembly.Module>((resolve) => this.awaitedModules.set(id, resolve)));
    const start = this.field(WORKER.start);
    let program: ProgramExports;
    try {
      program = this.instanceFor(module, id, this.field(WORKER.memory), start === START_FORK);
    } catch {
      return () => void this.kernel.user_trap(TRAP_START, 0);
    }
    this.program = program;
    const argument = this.field(WORKER.argument);
    if (start !== START_EXEC) {
      program.__stack_pointer.value = this.field(WORKER.globals);
      program.__tls_base.value = this.field(WORKER.globals + 4);
    }
    const entry = this.field(WORKER.entry) === START_CLONE ? program.__clone_start : program._start;
    if (entry === undefined) return () => void this.kernel.user_trap(TRAP_START, 0);
    if (start === START_FORK) {
      this.forkResult = 0;
      const buffer = this.field(WORKER.fork_buffer);
      return () => {
        program.asyncify_start_rewind(buffer);
        this.runProgram(program, entry, argument);
      };
    }
    return () => this.runProgram(program, entry, argument);
  }

  /** The program's entry function; again for each fork in it. Ends in a trap. */
  private runProgram(program: ProgramExports, entry: (argument: number) => void, argument: number): void {
    for (;;) {
      entry(argument);
      if (program.asyncify_get_state?.() !== Asyncify.Unwinding) return;
      program.asyncify_stop_unwind();
      this.forkResult = this.kernel.fork_process(
        this.forkBuffer,
        program.__stack_pointer.value,
        program.__tls_base.value,
      );
      program.asyncify_start_rewind(this.forkBuffer);
    }
  }

  /** linux.fork: called once to unwind, and once more, in each process, when that process has been rewound. */
  private fork(buffer: number): number {
    const program = this.program as ProgramExports;
    if (program.asyncify_get_state() === Asyncify.Rewinding) {
      program.asyncify_stop_rewind();
      return this.forkResult;
    }
    // Throws where the stack is nearly full: rewinding needs as much again, in a child that exists by then.
    this.kernel.check_engine_stack(0);
    this.forkBuffer = buffer;
    program.asyncify_start_unwind(buffer);
    return 0;
  }
}

new GuestWorker();
