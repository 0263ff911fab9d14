// SPDX-License-Identifier: MIT
// A word in shared memory on which one thread waits, and that others ring.

import { afterEvents, losesWakeUps } from '../machine/platform.ts';

/** Milliseconds. See losesWakeUps: an event settles what is due. */
const WAKE = 5;

export function ring(bell: Int32Array): void {
  // A thread that has not looked yet needs no second ring.
  if (Atomics.exchange(bell, 0, 1) === 0) Atomics.notify(bell, 0);
}

/**
 * Calls `serve` at once and after each ring, until close(). It returns whether
 * it is to be called again after other events.
 */
export class BellServer {
  private readonly bell: Int32Array;
  private readonly serve: () => boolean;
  private readonly waker: ReturnType<typeof setInterval> | undefined;
  private isOpen = true;

  constructor(bell: Int32Array, serve: () => boolean) {
    this.bell = bell;
    this.serve = serve;
    if (losesWakeUps) this.waker = setInterval(() => {}, WAKE);
    afterEvents(this.turn);
  }

  private readonly turn = (): void => {
    if (!this.isOpen) return;
    // What is rung from here on is looked at in this turn, or in the next one.
    Atomics.store(this.bell, 0, 0);
    if (!this.serve() && this.isOpen) {
      const result = Atomics.waitAsync(this.bell, 0, 0);
      if (result.async) {
        void result.value.then(this.turn);
        return;
      }
    }
    afterEvents(this.turn);
  };

  close(): void {
    this.isOpen = false;
    clearInterval(this.waker);
    // The wait would keep this object.
    Atomics.notify(this.bell, 0);
  }
}
