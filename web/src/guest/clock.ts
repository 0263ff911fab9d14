// SPDX-License-Identifier: MIT
// The clock of a guest worker: performance.now(), and how far it is from the host's.
//
// Engines have one monotonic clock, but each worker's performance.now() counts from its own start. The difference of
// the starts is that of the timeOrigins, unless the wall clock was set in between: in Chromium a worker that starts later
// has the change in its timeOrigin, and a thread that is interrupted while the engine reads both clocks has any error. So
// the host is asked for its clock. Question and answer are bounds that cannot be wrong, and the difference of the
// timeOrigins, which is as exact as the clock, counts if it lies between them.

/** Milliseconds: how exact performance.now() is in pages that are isolated, and more. */
const RESOLUTION = 0.1;
/** Milliseconds between question and answer, where the timeOrigins are of no use. */
const CLOSE = 0.2;
const MOST_QUESTIONS = 10;

export interface HostClock {
  now: number;
  timeOrigin: number;
}

export class GuestClock {
  /** Milliseconds to add to this worker's performance.now(), to have the host's. */
  readonly offset: Promise<number>;

  private low = -Infinity;
  private high = Infinity;
  private questions = 0;
  private asked = 0;
  private resolve!: (offset: number) => void;

  private readonly send: () => void;

  /** `send` asks the host, whose answer is given to answer(). */
  constructor(send: () => void) {
    this.send = send;
    this.offset = new Promise((resolve) => (this.resolve = resolve));
    this.ask();
  }

  private ask(): void {
    ++this.questions;
    this.asked = performance.now();
    this.send();
  }

  answer(host: HostClock): void {
    this.low = Math.max(this.low, host.now - performance.now());
    this.high = Math.min(this.high, host.now - this.asked);
    const apart = performance.timeOrigin - host.timeOrigin;
    if (apart >= this.low - RESOLUTION && apart <= this.high + RESOLUTION) this.resolve(apart);
    else if (this.high - this.low <= CLOSE || this.questions === MOST_QUESTIONS)
      this.resolve((this.low + this.high) / 2);
    else this.ask();
  }
}
