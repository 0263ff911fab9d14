// SPDX-License-Identifier: MIT
// The clock of a guest worker: performance.now(), and its distance from the
// host's clock.
//
// Engines have one monotonic clock, but each worker's performance.now() counts
// from the worker's own start. The distance of two starts is the difference of
// their timeOrigins, with two exceptions. The wall clock may have been set in
// between: in Chromium, a worker that starts later has the change in its
// timeOrigin. And a thread may be interrupted while the engine reads both
// clocks, which makes an error of any size.
//
// So the worker asks the host for its clock. Question and answer give bounds
// that cannot be wrong. The difference of the timeOrigins is as exact as the
// clock, and is used if it lies within these bounds.

/**
 * Milliseconds. In isolated pages, performance.now() is at least this exact.
 */
const RESOLUTION = 0.1;
/**
 * Milliseconds between the bounds that are close enough, where the timeOrigins
 * are of no use.
 */
const CLOSE = 0.2;
const MOST_QUESTIONS = 10;

export interface HostClock {
  now: number;
  timeOrigin: number;
}

export class GuestClock {
  /**
   * Milliseconds to add to this worker's performance.now() to get the host's.
   */
  readonly offset: Promise<number>;

  private low = -Infinity;
  private high = Infinity;
  private questions = 0;
  private asked = 0;
  private resolve!: (offset: number) => void;

  private readonly send: () => void;

  /** `send` asks the host. The host's answer must be given to answer(). */
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
