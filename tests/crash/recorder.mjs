// SPDX-License-Identifier: MIT
// A recorder: a disk that passes all on to another one, and writes what was done to a file that all disks of a machine share.

import { openSync, readFileSync, writeSync, writevSync } from 'node:fs';

const WRITE = 1;
const FLUSH = 2;
/** A discard is not recorded: what is read there afterwards is zero or as before, and a disk in memory is not asked to. */
const ZERO = 3;

/** Of an entry: kind, disk, offset, length, entries before it that were done when it began. Then come a write's bytes. */
const HEADER = 5;

export class RecordingLog {
  #file;
  #entries = 0;

  constructor(path) {
    this.#file = openSync(path, 'w');
  }

  get entries() {
    return this.#entries;
  }

  add(kind, disk, offset, length, before, views = []) {
    const header = Float64Array.of(kind, disk, offset, length, before);
    const bytes = 8 * HEADER + views.reduce((sum, view) => sum + view.length, 0);
    const done = views.length === 0 ? writeSync(this.#file, header) : writevSync(this.#file, [header, ...views]);
    if (done !== bytes) throw new Error(`the recorder has written ${done} of ${bytes} bytes`);
    ++this.#entries;
  }
}

/** An entry is added when its request is done, so that their order is that of completion. */
export class Recorder {
  #disk;
  #number;
  #log;

  constructor(disk, number, log) {
    this.#disk = disk;
    this.#number = number;
    this.#log = log;
  }

  get size() {
    return this.#disk.size;
  }

  get readOnly() {
    return this.#disk.readOnly;
  }

  get medium() {
    return this.#disk.medium;
  }

  get unit() {
    return this.#disk.unit;
  }

  read(offset, views) {
    return this.#disk.read(offset, views);
  }

  write(offset, views) {
    const length = views.reduce((sum, view) => sum + view.length, 0);
    return this.#record(this.#disk.write(offset, views), WRITE, offset, length, views);
  }

  flush() {
    return this.#record(this.#disk.flush(), FLUSH, 0, 0);
  }

  zero(offset, length) {
    return this.#record(this.#disk.zero(offset, length), ZERO, offset, length);
  }

  close() {
    return this.#disk.close();
  }

  #record(done, kind, offset, length, views) {
    const before = this.#log.entries;
    const add = () => this.#log.add(kind, this.#number, offset, length, before, views);
    return done === undefined ? add() : done.then(add);
  }
}

/**
 * The entries of a log: { kind: 'write' | 'zero' | 'flush', disk, offset, length, before, bytes }. `bytes` are a write's. A flush
 * covers the entries below `before`.
 */
export function readLog(path) {
  const file = readFileSync(path);
  const kinds = { [WRITE]: 'write', [FLUSH]: 'flush', [ZERO]: 'zero' };
  const entries = [];
  for (let place = 0; place < file.length;) {
    const numbers = Array.from({ length: HEADER }, (_, index) => file.readDoubleLE(place + 8 * index));
    const [kind, disk, offset, length, before] = numbers;
    place += 8 * HEADER;
    const bytes = kind === WRITE ? file.subarray(place, place + length) : undefined;
    place += bytes?.length ?? 0;
    entries.push({ kind: kinds[kind], disk, offset, length, before, bytes });
  }
  return entries;
}
