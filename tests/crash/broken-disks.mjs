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

/** At each second flush, the last write before it changes its place with the four that come after it. */
class Reordering extends Keeping {
  #flushes = 0;
  /** Writes since the flush that went before the kept write; undefined while none has. */
  #passed;

  write(offset, views) {
    const end = offset + views.reduce((sum, view) => sum + view.length, 0);
    const overlaps = this.kept.some(([other, [bytes]]) => offset < other + bytes.length && other < end);
    if (this.#passed === undefined || overlaps) {
      this.settle();
      this.#passed = undefined;
      this.keep(offset, views);
      return;
    }
    this.disk.write(offset, views);
    if (++this.#passed < 4) return;
    this.settle();
    this.#passed = undefined;
  }

  flush() {
    if (++this.#flushes % 2 === 0 && this.#passed === undefined && this.kept.length > 0) this.#passed = 0;
    if (this.#passed === undefined) this.settle();
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
