// SPDX-License-Identifier: MIT
// A queue of records in shared memory, from one thread to one other. Neither
// waits for the other's event loop.

/** Words before the records: how many were written, and how many taken. */
const WRITTEN = 0;
const TAKEN = 1;
const HEADER = 2;

export class Ring {
  private readonly words: Int32Array;
  private readonly capacity: number;

  /** Bytes of a ring for `capacity` words, a power of two. */
  static size(capacity: number): number {
    return 4 * (HEADER + capacity);
  }

  /** The ring at a byte offset of a buffer, which was all zero at first. */
  constructor(buffer: SharedArrayBuffer, offset: number, capacity: number) {
    this.words = new Int32Array(buffer, offset, HEADER + capacity);
    this.capacity = capacity;
  }

  /** Adds a record of 32-bit words; false if there is no room for it now. */
  push(record: ArrayLike<number>): boolean {
    // Both counts run freely modulo 2^32. Only this thread changes this one.
    const written = this.words[WRITTEN]!;
    const used = (written - Atomics.load(this.words, TAKEN)) >>> 0;
    if (used + 1 + record.length > this.capacity) return false;
    this.set(written, record.length);
    for (let index = 0; index < record.length; ++index) this.set(written + 1 + index, record[index]!);
    // The atomic store publishes the record.
    Atomics.store(this.words, WRITTEN, written + 1 + record.length);
    Atomics.notify(this.words, WRITTEN);
    return true;
  }

  /** Takes the oldest record. */
  shift(): Int32Array | undefined {
    const taken = this.words[TAKEN]!;
    if (Atomics.load(this.words, WRITTEN) === taken) return undefined;
    const record = new Int32Array(this.get(taken));
    for (let index = 0; index < record.length; ++index) record[index] = this.get(taken + 1 + index);
    Atomics.store(this.words, TAKEN, taken + 1 + record.length);
    return record;
  }

  /** Resolves when there is a record to take. */
  async wait(): Promise<void> {
    const result = Atomics.waitAsync(this.words, WRITTEN, this.words[TAKEN]!);
    if (result.async) await result.value;
  }

  /**
   * Blocks this thread until there is a record, or for so many milliseconds.
   */
  block(milliseconds: number): void {
    Atomics.wait(this.words, WRITTEN, this.words[TAKEN]!, milliseconds);
  }

  /** How many words came and went, for diagnostics. */
  describe(): string {
    return `${Atomics.load(this.words, WRITTEN) >>> 0} words written, ${Atomics.load(this.words, TAKEN) >>> 0} taken`;
  }

  private set(index: number, value: number): void {
    this.words[HEADER + (index & (this.capacity - 1))] = value;
  }

  private get(index: number): number {
    return this.words[HEADER + (index & (this.capacity - 1))]!;
  }
}

/** Two rings in one buffer: requests one way, answers the other. */
export class RingPair {
  readonly requests: Ring;
  readonly answers: Ring;

  /** A buffer for rings of so many words each, powers of two. */
  static make(requestWords: number, answerWords: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Ring.size(requestWords) + Ring.size(answerWords));
  }

  constructor(buffer: SharedArrayBuffer, requestWords: number, answerWords: number) {
    this.requests = new Ring(buffer, 0, requestWords);
    this.answers = new Ring(buffer, Ring.size(requestWords), answerWords);
  }

  /** For diagnostics. */
  describe(): string {
    return `requests: ${this.requests.describe()}; answers: ${this.answers.describe()}`;
  }
}
