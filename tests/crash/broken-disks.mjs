// SPDX-License-Identifier: MIT
// Disks with the faults that a host may have. Without a crash nobody sees them: what is read is always what was written.

/** Passes everything on. */
class Passing {
  constructor(disk) {
    this.disk = disk;
    this.size = disk.size;
    this.readOnly = disk.readOnly;
    this.unit = disk.unit;
  }

  read(offset, views) {
    this.disk.read(offset, views);
  }

  write(offset, views) {
    this.disk.write(offset, views);
  }

  flush() {
    this.disk.flush();
  }

  zero(offset, length) {
    this.disk.zero(offset, length);
  }

  close() {
    this.disk.close();
  }
}

/** Answers each fourth flush, and does nothing. */
class ForgettingFlushes extends Passing {
  #count = 0;

  flush() {
    if (++this.#count % 4 !== 0) super.flush();
  }
}

/** Keeps writes that it has answered. A subclass says when they are done. */
class Keeping extends Passing {
  kept = [];

  /** Does all but the newest `count`. */
  settle(count = 0) {
    while (this.kept.length > count) super.write(...this.kept.shift());
  }

  keep(offset, views) {
    this.kept.push([offset, [Buffer.concat(views)]]);
  }

  read(offset, views) {
    this.settle();
    super.read(offset, views);
  }

  write(offset, views) {
    this.keep(offset, views);
  }

  flush() {
    this.settle();
    super.flush();
  }

  zero(offset, length) {
    this.settle();
    super.zero(offset, length);
  }

  close() {
    this.settle();
    super.close();
  }
}

/** Answers a write before it is done: it is done after three more. A flush passes by them. */
class AnsweringEarly extends Keeping {
  write(offset, views) {
    this.keep(offset, views);
    this.settle(3);
  }

  flush() {
    this.disk.flush();
  }
}

/** At each fourth flush, the last write before it and the first one after it change places. */
class Reordering extends Keeping {
  #count = 0;
  #flushed = false;

  write(offset, views) {
    if (this.#flushed) this.disk.write(offset, views);
    else this.keep(offset, views);
    this.settle(this.#flushed ? 0 : 1);
    this.#flushed = false;
  }

  flush() {
    this.#flushed = ++this.#count % 4 === 0;
    if (!this.#flushed) this.settle();
    this.disk.flush();
  }
}

/** Makes one write of two neighbouring ones, and miscounts: the last sector is lost. */
class JoiningWrongly extends Keeping {
  write(offset, views) {
    const [last] = this.kept;
    const bytes = Buffer.concat(views);
    if (last === undefined || last[0] + last[1][0].length !== offset) {
      this.settle();
      this.keep(offset, [bytes]);
      return;
    }
    this.kept = [[last[0], [Buffer.concat([last[1][0], bytes]).subarray(0, -512)]]];
    this.settle();
  }
}

export const brokenDisks = {
  'flushes are answered and not done': ForgettingFlushes,
  'writes are answered before they are done': AnsweringEarly,
  'writes change places across a flush': Reordering,
  'neighbouring writes are joined wrongly': JoiningWrongly,
};
