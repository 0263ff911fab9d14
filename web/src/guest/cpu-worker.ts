// SPDX-License-Identifier: MIT
// A CPU's own worker. Until the machine ends, it is in wasm or between two
// coroutines.

import { MACHINE } from '../generated/abi.ts';
import { hasCoroutines } from '../machine/platform.ts';
import type { GuestStart } from '../machine/protocol.ts';
import { Coroutines } from './coroutines.ts';
import type { HostLink } from './host-link.ts';
import { KernelInstance } from './kernel-instance.ts';

/** The kernel never calls these: it looks at MACHINE.coroutines first. */
export const NO_COROUTINES = { coroutine_resume: (): void => {}, coroutine_yield: (): void => {} };

export class CpuWorker {
  readonly kernel: KernelInstance;
  private readonly link: HostLink;
  private readonly number: number;
  private readonly coroutines: Coroutines | undefined;

  constructor(link: HostLink, start: GuestStart) {
    this.link = link;
    this.number = start.cpu as number;
    this.coroutines = hasCoroutines
      ? new Coroutines(
          () => this.kernel.exports.run_coroutine,
          (error) => this.trapped(error),
        )
      : undefined;
    this.kernel = new KernelInstance(link, start, this.coroutines?.imports ?? NO_COROUTINES);
  }

  ready(): void {
    const heapBase = (this.kernel.exports.__heap_base.value as number) >>> 0;
    this.link.post({ type: 'ready', machine: this.kernel.machine, heapBase });
  }

  boot(deviceTree: number): void {
    const { exports, words, machine } = this.kernel;
    words[(machine + MACHINE.coroutines) >>> 2] = this.coroutines === undefined ? 0 : 1;
    if (this.number === 0) this.run(exports.boot_cpu, deviceTree);
    else this.run(exports.secondary_cpu, this.number);
  }

  private run(enter: (argument: number) => void, argument: number): void {
    try {
      if (this.coroutines !== undefined) this.coroutines.run(enter, argument);
      else enter(argument);
    } catch (error) {
      this.trapped(error);
    }
  }

  private trapped(error: unknown): void {
    if (this.kernel.machineEnded) this.link.leave();
    else this.kernel.trapped(error);
  }
}
