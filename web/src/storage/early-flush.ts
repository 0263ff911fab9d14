// SPDX-License-Identifier: MIT
// Flushes of a disk before the guest asks for them.
//
// A program that syncs a file waits for a write, and then for a flush. The disk
// is idle from the answer to the write until the flush has come, which is as
// long as a flush takes on a fast medium. So it flushes then, if the guest's
// habits say that a flush comes next
// (docs/decisions/0101-flushes-in-advance.md).

/** Requests that a guess looks back on. */
const HISTORY = 4;

/**
 * Bytes that an early flush may have to put on the medium at most: whatever
 * comes meanwhile waits for it.
 */
const MOST = 256 << 10;

/** Counts from 0 to 3; a flush is expected from 2 on. */
const LIKELY = 2;
const CERTAIN = 3;

export class EarlyFlush {
  private readonly flushDisk: () => void;
  /** What followed after a pause, for each history of what followed before. */
  private readonly counts = new Uint8Array(1 << HISTORY);
  private history = 0;
  /** Whether the disk waits for what follows after a write. */
  private pausing = false;
  /** Bytes that were changed since a flush. */
  private unflushed = 0;
  private done = false;
  private failure: { error: unknown } | undefined;

  constructor(flushDisk: () => void) {
    this.flushDisk = flushDisk;
  }

  /** A request has come that reads. */
  reads(): void {
    this.learn(false);
  }

  /** A request has come that changes so many bytes. */
  changes(length: number): void {
    this.learn(false);
    this.unflushed += length;
    this.done = false;
  }

  /**
   * A flush has come.
   *
   * @throws what the flush throws, also if it was done before. A second flush
   *   of the same bytes may succeed although the first one has lost them.
   */
  flush(): void {
    this.learn(true);
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure.error;
    if (!this.done) this.flushDisk();
    this.done = false;
    this.unflushed = 0;
  }

  /** All requests are answered, and the last one was a write to this disk. */
  pause(): void {
    this.pausing = true;
    if (this.counts[this.history]! < LIKELY || this.unflushed > MOST || this.failure !== undefined) return;
    try {
      this.flushDisk();
      this.done = true;
      this.unflushed = 0;
    } catch (error) {
      this.failure = { error };
    }
  }

  private learn(isFlush: boolean): void {
    if (!this.pausing) return;
    this.pausing = false;
    const count = this.counts[this.history]!;
    this.counts[this.history] = isFlush ? Math.min(count + 1, CERTAIN) : Math.max(count - 1, 0);
    this.history = ((this.history << 1) | Number(isFlush)) & ((1 << HISTORY) - 1);
  }
}
