// SPDX-License-Identifier: MIT
// One instance of the kernel: the exports of vmlinux.wasm, and the functions
// that it imports, which asm/engine_calls.h declares. The protocols are in
// docs/abi-engine.md.

import { CPU, HALT_PANIC, IRQ_STOP, MACHINE, MODULE_PIECE, NO_MEMORY, TRAP_TEXT_SIZE } from '../generated/abi.ts';
import { bufferOf, losesWakeUps } from '../machine/platform.ts';
import type { GuestStart } from '../machine/protocol.ts';
import type { HostLink } from './host-link.ts';
import type { ProgramExports } from './program-runner.ts';
import { USER_ACCESS_FUNCTIONS, type UserAccess, UserAccessMaker } from './user-access.ts';

const ENOEXEC = 8;
const EAGAIN = 11;
const ENOMEM = 12;

/** What vmlinux.wasm exports. */
interface KernelExports {
  auklet_machine: WebAssembly.Global;
  __heap_base: WebAssembly.Global;
  user_access: WebAssembly.Global;
  wasm_trap_text: WebAssembly.Global;
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

// The kernel's back traces come from the engine, whose default is short.
(Error as { stackTraceLimit?: number }).stackTraceLimit = 40;

export class KernelInstance {
  readonly exports: KernelExports;
  /** The words of K, the kernel's memory. */
  readonly words: Int32Array;
  /** The address of struct auklet_machine in K. */
  readonly machine: number;
  /** The program that this worker's task runs. */
  program: ProgramExports | undefined;

  private readonly link: HostLink;
  /** The bytes of K. */
  private readonly bytes: Uint8Array;
  private readonly userAccess = new Map<number, UserAccess>();
  private readonly accessMaker: UserAccessMaker;
  /** The kernel's own functions for a task without user memory. */
  private readonly noAccess: CallableFunction[];
  /** The table indexes of the user-access functions. */
  private readonly accessSlots: number[];

  /**
   * `coroutines` are the two functions of asm/engine_calls.h that switch
   * stacks.
   */
  constructor(link: HostLink, { kernel, memory }: GuestStart, coroutines: WebAssembly.ModuleImports) {
    this.link = link;
    this.words = new Int32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.accessMaker = new UserAccessMaker(memory);
    const instance = new WebAssembly.Instance(kernel, {
      env: { memory },
      engine: { ...this.engineFunctions(), ...coroutines },
    });
    this.exports = instance.exports as unknown as KernelExports;
    this.machine = (this.exports.auklet_machine.value as number) >>> 0;
    const slots = (this.exports.user_access.value as number) >>> 2;
    this.accessSlots = USER_ACCESS_FUNCTIONS.map((_, index) => this.words[slots + index] as number);
    this.noAccess = this.accessSlots.map((index) => this.exports.__indirect_function_table.get(index));
  }

  /**
   * Whether the machine has ended. Kernel code that finds this traps, so any
   * trap after it means the end too.
   */
  get machineEnded(): boolean {
    return (Atomics.load(this.words, (this.machine + MACHINE.cpu + CPU.pending) >>> 2) & IRQ_STOP) !== 0;
  }

  /** Kernel code has trapped. The kernel reports that, and panics. */
  trapped(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const encoded = new TextEncoder().encode(text).subarray(0, TRAP_TEXT_SIZE);
    const address = (this.exports.wasm_trap_text.value as number) >>> 0;
    this.bytes.set(encoded, address);
    try {
      this.exports.kernel_trap(address, encoded.length);
    } catch (again) {
      if (this.machineEnded) return this.link.leave();
      this.link.post({ type: 'console', bytes: new TextEncoder().encode(`\nkernel trap: ${text}\nthen: ${again}\n`) });
      this.link.post({ type: 'halt', reason: HALT_PANIC });
    }
  }

  /**
   * Makes user memory `id` the target of the user-access functions. Returns 0,
   * or a negative error number.
   */
  bindMemory(id: number): number {
    let functions: CallableFunction[] = this.noAccess;
    if (id !== NO_MEMORY) {
      const memory = this.link.memories[id];
      if (memory === undefined) return -EAGAIN;
      let access = this.userAccess.get(id);
      if (access === undefined) {
        access = this.accessMaker.make(memory);
        this.userAccess.set(id, access);
      }
      const bound = access;
      functions = USER_ACCESS_FUNCTIONS.map((name) => bound[name]);
    }
    const table = this.exports.__indirect_function_table;
    functions.forEach((value, index) => table.set(this.accessSlots[index] as number, value));
    return 0;
  }

  private engineFunctions(): WebAssembly.ModuleImports {
    return {
      now: performance.now.bind(performance),
      console_write: (address: number, length: number) => {
        const text = this.bytes.subarray(address >>> 0, (address >>> 0) + (length >>> 0));
        // No terminal driver is behind this console. So each new line must also
        // return to the first column.
        const lines = Array.from(text).flatMap((byte) => (byte === 0x0a ? [0x0d, 0x0a] : [byte]));
        this.link.post({ type: 'console', bytes: new Uint8Array(lines) });
      },
      module_compile: (pieces: number, length: number) => this.compile(pieces >>> 0, length >>> 0),
      bind_memory: (id: number) => this.bindMemory(id),
      knows_memory: (id: number) => (this.link.memories[id] === undefined ? 0 : 1),
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
        this.bytes.set(part, address >>> 0);
        return part.length;
      },
      wake: (slot: number) => {
        if (losesWakeUps) this.link.post({ type: 'wake', slot });
      },
      port: (port: number, isOpen: number) => this.link.post({ type: 'port', port, isOpen: isOpen !== 0 }),
      halt: (reason: number) => this.link.post({ type: 'halt', reason }),
    };
  }

  /**
   * Compiles a program's image. `pieces` is the address of a vector of
   * addresses, one for each MODULE_PIECE bytes of the image. Returns the
   * module's id, or a negative error number.
   */
  private compile(pieces: number, length: number): number {
    let module: WebAssembly.Module;
    try {
      // This is a copy, because engines refuse to compile shared memory.
      const image = new Uint8Array(length);
      for (let done = 0, piece = pieces >>> 2; done < length; done += MODULE_PIECE, ++piece) {
        const address = (this.words[piece] as number) >>> 0;
        image.set(this.bytes.subarray(address, address + Math.min(MODULE_PIECE, length - done)), done);
      }
      module = new WebAssembly.Module(image);
      // The engine has a copy of its own. This one would stay until garbage is
      // collected, which a worker may never do. (Node.js 20 has no transfer().)
      (image.buffer as Partial<ArrayBuffer>).transfer?.(0);
    } catch (error) {
      // A CompileError means that the image is no module. A RangeError means
      // that there is not so much memory.
      return error instanceof RangeError ? -ENOMEM : -ENOEXEC;
    }
    const id = Atomics.add(this.words, (this.machine + MACHINE.modules) >>> 2, 1);
    this.link.modules.set(id, module);
    this.link.post({ type: 'module', id, module });
    return id;
  }

  private copyMemory(to: number, from: number, start: number, length: number): number {
    const source = this.link.memories[from];
    const target = this.link.memories[to];
    if (source === undefined || target === undefined) return -EAGAIN;
    new Uint8Array(bufferOf(target, start + length), start, length).set(
      new Uint8Array(bufferOf(source, start + length), start, length),
    );
    return 0;
  }
}
