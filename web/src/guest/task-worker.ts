// SPDX-License-Identifier: MIT
// A worker of the pool. It parks until the kernel assigns a task to its slot,
// and runs the task until that is gone. All that it does at this level happens
// once for a task. The model of this protocol is kernel/model/cpu-token.pml:
// change both.

import {
  CPU,
  CPU_KERNEL,
  CPU_SIZE,
  IRQ_DEVICE,
  LEAVE_START,
  LEAVE_STOP,
  LEAVE_TASK_GONE,
  LINE_POOLS,
  MACHINE,
  NO_MEMORY,
  WORKER,
  WORKER_ASSIGNED,
  WORKER_IDLE,
  WORKER_SIZE,
} from '../generated/abi.ts';
import type { HostLink } from './host-link.ts';
import type { KernelInstance } from './kernel-instance.ts';
import { ProgramRunner } from './program-runner.ts';
import { classifyTrap } from './traps.ts';

export class TaskWorker {
  private readonly kernel: KernelInstance;
  private readonly link: HostLink;
  private readonly programs: ProgramRunner;
  private readonly words: Int32Array;
  private readonly number: number;
  /** The word index of this worker's slot. */
  private readonly slot: number;

  constructor(kernel: KernelInstance, link: HostLink, number: number) {
    this.kernel = kernel;
    this.link = link;
    this.words = kernel.words;
    this.number = number;
    this.slot = (kernel.machine + MACHINE.worker + number * WORKER_SIZE) >>> 2;
    this.programs = new ProgramRunner(kernel, link, this.slot);
  }

  async parkForever(): Promise<never> {
    const state = this.slot + (WORKER.state >>> 2);
    let first = true;
    for (;;) {
      Atomics.store(this.words, state, WORKER_IDLE);
      if (first) {
        this.announce();
        this.link.post({ type: 'ready' });
        first = false;
      }
      for (;;) {
        const now = Atomics.load(this.words, state);
        if (now === WORKER_ASSIGNED) break;
        const wait = Atomics.waitAsync(this.words, state, now);
        if (wait.async) await wait.value;
      }
      if (this.link.left) return new Promise<never>(() => {});
      await this.learnMemories();
      await this.runTask();
      this.kernel.program = undefined;
      this.kernel.bindMemory(NO_MEMORY);
      Atomics.store(this.words, this.slot + (WORKER.memory >>> 2), NO_MEMORY);
    }
  }

  /**
   * Runs a task until it is gone. All calls below end in a trap. The slot's
   * `leave` says why, if the kernel made the trap.
   */
  private async runTask(): Promise<void> {
    const leaveIndex = this.slot + (WORKER.leave >>> 2);
    let next: (() => void) | undefined = () => this.kernel.exports.run_task(this.number);
    while (next !== undefined && !this.link.left) {
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
        next = await this.programs.prepare();
      } else if (this.kernel.exports.wasm_in_kernel.value === 1) {
        this.kernel.trapped(error);
        return new Promise<never>(() => {});
      } else {
        const trap = classifyTrap(error);
        next = () => this.programs.handleTrap(trap);
      }
    }
    this.link.leave();
    return new Promise<never>(() => {});
  }

  /**
   * Asks for the memories that the slot's task needs and this worker does not
   * know. This is the last moment: in wasm it cannot be told of any.
   */
  private async learnMemories(): Promise<void> {
    for (const id of [this.field(WORKER.memory), this.field(WORKER.other_memory)]) {
      if (id === NO_MEMORY || this.link.memories[id] !== undefined) continue;
      await this.link.askForMemory(id);
    }
  }

  private field(offset: number): number {
    return this.words[this.slot + (offset >>> 2)] as number;
  }

  /**
   * Tells the tasks that wait for a worker that this one is there. It bumps and
   * notifies pool_wait, and raises interrupt line POOLS, as the host does.
   */
  private announce(): void {
    const at = (field: number): number => (this.kernel.machine + field) >>> 2;
    Atomics.add(this.words, at(MACHINE.pool_wait), 1);
    Atomics.notify(this.words, at(MACHINE.pool_wait));
    Atomics.or(this.words, at(MACHINE.interrupt_lines), (1 << LINE_POOLS) | 0);
    const cpu = MACHINE.cpu + (this.words[at(MACHINE.interrupt_cpu)] as number) * CPU_SIZE;
    Atomics.or(this.words, at(cpu + CPU.pending), IRQ_DEVICE);
    if (Atomics.load(this.words, at(cpu + CPU.state)) !== CPU_KERNEL) {
      Atomics.notify(this.words, at(cpu + CPU.pending));
    }
  }
}
