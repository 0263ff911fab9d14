// SPDX-License-Identifier: MIT
// Standard output of a program that has nothing to do while its reader is slow: writing waits.

import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Milliseconds between two looks at a pipe that is full. */
const PAUSE = 1;
/** Looks in a row at a reader that takes nothing. */
const PATIENCE = 100;

/**
 * A descriptor that does not block: a thread in write(2) would never see a signal. A pipe is opened once more for that, because
 * the flag of the first would be that of all programs that have it. Where that is not possible, writing blocks.
 */
function withoutBlocking(descriptor: number): number {
  try {
    if (fstatSync(descriptor).isFIFO())
      return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // No /proc, or the pipe's reader has gone, which the first write tells.
  }
  return descriptor;
}

export class Output {
  private readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = withoutBlocking(descriptor);
  }

  /** Writes all, also to a pipe whose reader is slow. False: nobody reads any more. */
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
        // Output must not be lost. Handlers of signals cannot run meanwhile, so that with a reader that has stopped, signals
        // must do what they do to other programs: end this one.
        if (++looks === PATIENCE) for (const signal of SIGNALS) process.removeAllListeners(signal);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
      }
    }
    return true;
  }
}

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
