// SPDX-License-Identifier: MIT
// A folder of files in memory, as a saved disk needs one, which can be full.

import assert from 'node:assert/strict';

/** Files of a folder in memory; `room` is how many bytes they may have together, and how a full one shows. */
export class FakeFolder {
  files = new Map();
  open_ = new Set();
  flushed = [];
  room = Infinity;
  throws = true;
  /** Called after each change. */
  changed;

  get sum() {
    return [...this.files.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** What a tab finds that comes after a crash: all files, and none open. */
  copy() {
    const copy = new FakeFolder();
    for (const [name, content] of this.files) copy.files.set(name, content.slice());
    return copy;
  }

  async names() {
    return [...this.files.keys()];
  }

  async size(name) {
    return this.files.get(name).length;
  }

  async remove(name) {
    assert(!this.open_.has(name), 'an open file cannot be removed');
    this.files.delete(name);
  }

  async open(name) {
    assert(!this.open_.has(name), `${name} is open already`);
    if (!this.files.has(name)) this.files.set(name, new Uint8Array(0));
    this.open_.add(name);
    return {
      read: (view, { at }) => {
        const part = this.files.get(name).subarray(at, at + view.length);
        view.set(part);
        return part.length;
      },
      write: (view, { at }) => {
        const old = this.files.get(name);
        const free = this.room - this.sum + old.length - at;
        const count = Math.max(0, Math.min(view.length, free));
        if (count < view.length && this.throws)
          throw Object.assign(new Error('no room'), { name: 'QuotaExceededError' });
        if (at + count > old.length) {
          const longer = new Uint8Array(at + count);
          longer.set(old);
          this.files.set(name, longer);
        }
        this.files.get(name).set(view.subarray(0, count), at);
        this.changed?.();
        return count;
      },
      flush: () => this.flushed.push(name),
      truncate: (size) => {
        const file = new Uint8Array(size);
        file.set(this.files.get(name).subarray(0, size));
        this.files.set(name, file);
        this.changed?.();
      },
      getSize: () => this.files.get(name).length,
      close: () => this.open_.delete(name),
    };
  }
}
