// SPDX-License-Identifier: MIT
// The programs of a task worker: instances of their modules, their start, their
// traps, and fork (docs/abi-programs.md). This code runs once for a program, a
// fork or a trap, never for a system call.

import { START_CLONE, START_EXEC, START_FORK, TRAP_START, WORKER } from '../generated/abi.ts';
import type { HostLink } from './host-link.ts';
import type { KernelInstance } from './kernel-instance.ts';

/** What a program exports (docs/abi-programs.md). */
export interface ProgramExports {
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

/** Results of asyncify_get_state(). */
const NORMAL = 0;
const UNWINDING = 1;
const REWINDING = 2;

/**
 * A result of user_trap(): the handler runs on the program's own stack. 0 means
 * that no handler is to run. All other results are the alternate stack.
 */
const ON_OWN_STACK = 1;

export class ProgramRunner {
  /** The last instance that was made, with its module and its memory. */
  private instance: { module: number; memory: number; program: ProgramExports } | undefined;
  /** Where the program's stack is kept while it forks. */
  private forkBuffer = 0;
  /** What linux.fork returns once the program has been rewound. */
  private forkResult = 0;
  private readonly kernel: KernelInstance;
  private readonly link: HostLink;
  /** The word index of the worker's slot, which says what to run. */
  private readonly slot: number;

  constructor(kernel: KernelInstance, link: HostLink, slot: number) {
    this.kernel = kernel;
    this.link = link;
    this.slot = slot;
  }

  /**
   * The program has trapped: runs its handler for the signal. If it has none,
   * the kernel ends the task and this does not return. runTask() takes a return
   * for one more trap.
   */
  handleTrap(trap: number): void {
    const program = this.kernel.program;
    const stack = this.kernel.exports.user_trap(trap, program?.__signal_trap === undefined ? 0 : 1);
    if (program === undefined || stack === 0) return;
    if (stack !== ON_OWN_STACK) program.__stack_pointer.value = stack;
    program.__signal_trap?.();
  }

  private field(offset: number): number {
    return this.kernel.words[this.slot + (offset >>> 2)] as number;
  }

  /**
   * Returns an instance of a module with a memory. `fork` allows the last one.
   *
   * A new instance takes 0.1 ms and 0.2 MB of garbage. A forked process needs
   * nothing that only a new one has: its memory is initialized already, and the
   * globals that matter come from the parent. So it gets the last instance, if
   * that has the same module and memory.
   */
  private instanceFor(module: WebAssembly.Module, id: number, memoryId: number, fork: boolean): ProgramExports {
    const last = this.instance;
    if (fork && last?.module === id && last.memory === memoryId) {
      if (last.program.asyncify_get_state() === NORMAL) return last.program;
    }
    this.instance = undefined;
    const memory = this.link.memories[memoryId];
    if (memory === undefined) throw new Error('the memory is unknown');
    const { exports } = new WebAssembly.Instance(module, {
      linux: {
        memory,
        syscall: this.kernel.exports.syscall,
        clock: this.kernel.exports.read_clock,
        fork: (buffer: number) => this.fork(buffer),
      },
    });
    const program = exports as unknown as ProgramExports;
    this.instance = { module: id, memory: memoryId, program };
    return program;
  }

  /**
   * Prepares the program that the slot describes. The function that this
   * returns starts it. The task is in user mode already.
   */
  async prepare(): Promise<() => void> {
    this.kernel.program = undefined;
    const id = this.field(WORKER.module);
    const module = this.link.modules.get(id) ?? (await this.link.awaitModule(id));
    const start = this.field(WORKER.start);
    let program: ProgramExports;
    try {
      program = this.instanceFor(module, id, this.field(WORKER.memory), start === START_FORK);
    } catch {
      return () => void this.kernel.exports.user_trap(TRAP_START, 0);
    }
    this.kernel.program = program;
    const argument = this.field(WORKER.argument);
    if (start !== START_EXEC) {
      program.__stack_pointer.value = this.field(WORKER.globals);
      program.__tls_base.value = this.field(WORKER.globals + 4);
    }
    const entry = this.field(WORKER.entry) === START_CLONE ? program.__clone_start : program._start;
    if (entry === undefined) return () => void this.kernel.exports.user_trap(TRAP_START, 0);
    if (start === START_FORK) {
      this.forkResult = 0;
      const buffer = this.field(WORKER.fork_buffer);
      return () => {
        program.asyncify_start_rewind(buffer);
        this.run(program, entry, argument);
      };
    }
    return () => this.run(program, entry, argument);
  }

  /**
   * Runs the program's entry function, and runs it again for each fork in it.
   * This usually ends in a trap. If the function returns, runTask() takes that
   * for one.
   */
  private run(program: ProgramExports, entry: (argument: number) => void, argument: number): void {
    for (;;) {
      entry(argument);
      if (program.asyncify_get_state?.() !== UNWINDING) return;
      program.asyncify_stop_unwind();
      this.forkResult = this.kernel.exports.fork_process(
        this.forkBuffer,
        program.__stack_pointer.value,
        program.__tls_base.value,
      );
      program.asyncify_start_rewind(this.forkBuffer);
    }
  }

  /**
   * The program's import linux.fork. The first call unwinds the program. In
   * each of the two processes it is called again when that process has been
   * rewound.
   */
  private fork(buffer: number): number {
    const program = this.kernel.program as ProgramExports;
    if (program.asyncify_get_state() === REWINDING) {
      program.asyncify_stop_rewind();
      return this.forkResult;
    }
    // This throws if the engine's stack is nearly full. To rewind needs as much
    // stack again, and the child exists by then.
    this.kernel.exports.check_engine_stack(0);
    this.forkBuffer = buffer;
    program.asyncify_start_unwind(buffer);
    return 0;
  }
}
