// SPDX-License-Identifier: MIT
// Standard output of a program that has nothing else to do while its reader is
// slow. So a write waits.

import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Milliseconds between two attempts to write to a pipe that is full. */
const PAUSE = 1;
/** Attempts in a row at which a reader takes nothing. */
const PATIENCE = 100;

/**
 * Returns a descriptor that does not block, because a thread in write(2) would
 * never see a signal. A pipe is opened once more for this: the flag of the
 * first descriptor belongs to all programs that have it. If that is not
 * possible, writes block.
 */
function withoutBlocking(descriptor: number): number {
  try {
    if (fstatSync(descriptor).isFIFO())
      return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // There is no /proc; or the pipe's reader has gone, which the first write
    // tells.
  }
  return descriptor;
}

export class Output {
  private readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = withoutBlocking(descriptor);
  }

  /**
   * Writes all bytes, even if the reader of the pipe is slow. Returns false if
   * nobody reads any more.
   */
  writeAll(bytes: Uint8Array): boolean {
    let looks = 0;
    for (let offset = 0; offset < bytes.length;) {
      try {
        offset += writeSync(this.descriptor, bytes, offset);
        looks = 0;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'EPIPE') return false;
        if (code !== 'EAGAIN') throw error;
        // Output must not be lost. Handlers of signals cannot run meanwhile. So
        // if the reader has stopped, signals must do to this program what they
        // do to others: end it.
        if (++looks === PATIENCE) for (const signal of SIGNALS) process.removeAllListeners(signal);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
      }
    }
    return true;
  }
}

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
