// SPDX-License-Identifier: MIT
// Bodies that must be in memory as a whole before they are sent.

/** How many bytes all bodies together may have. */
export class BodyBudget {
  private room: number;

  constructor(bytes: number) {
    this.room = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.room) return false;
    this.room -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.room += bytes;
  }
}

const SMALLEST = 4096;

export class CollectedBody {
  private readonly budget: BodyBudget;
  private readonly most: number;
  private memory = new Uint8Array(0);
  private used = 0;

  /** `most`: bytes that come at most, as far as that is known. */
  constructor(budget: BodyBudget, most = Infinity) {
    this.budget = budget;
    this.most = most;
  }

  get length(): number {
    return this.used;
  }

  /** What has come so far: a view, as long as nothing is added. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.memory.subarray(0, this.used);
  }

  /** False if there is no room in the budget. */
  add(bytes: Uint8Array): boolean {
    const needed = this.used + bytes.length;
    if (needed > this.memory.length) {
      // Doubled, so that many small parts are not copied again for each.
      const length = Math.max(needed, Math.min(this.most, Math.max(2 * this.memory.length, SMALLEST)));
      if (!this.budget.take(length - this.memory.length)) return false;
      const memory = new Uint8Array(length);
      memory.set(this.bytes);
      this.memory = memory;
    }
    this.memory.set(bytes, this.used);
    this.used = needed;
    return true;
  }

  /** Whoever has the bytes may keep them. */
  release(): void {
    this.budget.give(this.memory.length);
    this.memory = new Uint8Array(0);
    this.used = 0;
  }
}
