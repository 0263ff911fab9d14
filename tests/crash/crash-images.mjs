// SPDX-License-Identifier: MIT
// What a disk may hold after a crash: images made of a recorded log.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

const SECTOR = 512;
/**
 * The place of ext4's superblock. ext4 writes it in place, has a checksum in it, and needs it to find its journal: it relies on
 * disks that write these two sectors together, as do those of 4 KiB that this one says to be.
 */
const SUPERBLOCK = [1024, 2048];
const PAGE = 4096;

/** Random numbers from 0 to 1 that follow from a seed: xorshift64*, of which 53 bits are used. */
export function randomNumbers(seed) {
  const bits64 = 0xffff_ffff_ffff_ffffn;
  let state = (BigInt(seed) * 0x9e37_79b9_7f4a_7c15n + 1n) & bits64 || 1n;
  return () => {
    state ^= state >> 12n;
    state = (state ^ (state << 25n)) & bits64;
    state ^= state >> 27n;
    return Number(((state * 0x2545_f491_4f6c_dd1dn) & bits64) >> 11n) / 2 ** 53;
  };
}

/**
 * Makes images of disk 0 at points of a log. A point is a number of entries that were there when the crash came. Points must not
 * become smaller.
 */
export class CrashImages {
  #image;
  /** Pages that may be other than zero. */
  #used;
  #writes;
  /** For each point: how many entries are on the medium. */
  #covered = [0];
  /** Of #writes: those before this one are in #image. */
  #applied = 0;

  /** `image`: the bytes that the disk began with. They are changed. */
  constructor(image, entries) {
    this.#image = image;
    for (const { kind, disk, before } of entries)
      this.#covered.push(Math.max(this.#covered.at(-1), kind === 'flush' && disk === 0 ? before : 0));
    this.#writes = entries
      .map((entry, index) => ({ ...entry, index }))
      .filter(({ disk, kind }) => disk === 0 && kind !== 'flush');
    this.#used = new Uint8Array(image.length / PAGE);
    const zeros = Buffer.alloc(PAGE);
    for (let page = 0; page < this.#used.length; ++page)
      if (!image.subarray(page * PAGE, (page + 1) * PAGE).equals(zeros)) this.#used[page] = 1;
  }

  /**
   * Writes the image of a crash to a file: all that a flush covers, and of the later writes some, each of them whole or torn.
   * Returns how many later writes there were.
   */
  write(point, random, path) {
    const onMedium = this.#covered[point];
    for (; this.#applied < this.#writes.length && this.#writes[this.#applied].index < onMedium; ++this.#applied)
      this.#put(this.#writes[this.#applied]);
    const later = [];
    for (let next = this.#applied; next < this.#writes.length && this.#writes[next].index < point; ++next)
      later.push(this.#writes[next]);
    // All, none, or any part of them.
    const share = [0, 1, random(), random(), random(), random()][Math.floor(random() * 6)];
    const parts = later.filter(() => random() < share).map((write) => (random() < 0.5 ? write : torn(write, random)));
    const saved = parts.map(({ offset, length }) => Buffer.from(this.#image.subarray(offset, offset + length)));
    for (const part of parts) this.#put(part);
    this.#save(path);
    for (const [index, { offset }] of [...parts.entries()].reverse()) this.#image.set(saved[index], offset);
    return later.length;
  }

  #put({ offset, length, bytes }) {
    if (bytes === undefined) this.#image.fill(0, offset, offset + length);
    else this.#image.set(bytes, offset);
    this.#used.fill(1, Math.floor(offset / PAGE), Math.ceil((offset + length) / PAGE));
  }

  #save(path) {
    const file = openSync(path, 'w');
    ftruncateSync(file, this.#image.length);
    for (let page = 0; page < this.#used.length;) {
      if (this.#used[page++] === 0) continue;
      const begin = page - 1;
      while (this.#used[page] === 1) ++page;
      writeSync(file, this.#image, begin * PAGE, (page - begin) * PAGE, begin * PAGE);
    }
    closeSync(file);
  }
}

/** Some sectors of a write, from its begin or to its end. */
function torn({ offset, length, bytes }, random) {
  let cut = Math.floor((random() * length) / SECTOR) * SECTOR;
  const [first, behind] = SUPERBLOCK;
  if (offset + cut > first && offset + cut < behind) cut = behind - offset;
  const [begin, end] = random() < 0.7 ? [0, cut] : [cut, length];
  return { offset: offset + begin, length: end - begin, bytes: bytes?.subarray(begin, end) };
}
