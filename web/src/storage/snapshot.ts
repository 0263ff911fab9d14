// SPDX-License-Identifier: MIT
// The bytes of a disk at one moment, read while the disk is in use.
//
// Whoever changes the disk calls keep() first. All that was answered before the
// moment is in the snapshot, and nothing that came later: a file system sees
// what a computer would have that lost power then.

import type { Disk, Done } from './disk.ts';

/** Bytes of a piece that is read at a time, and of a block that is kept. */
const PIECE = 1 << 20;
const BLOCK = 65536;

/** Bytes that are kept at most. */
const MOST_KEPT = 256 << 20;

/** Bytes at an offset of a disk. */
export interface Piece {
  offset: number;
  bytes: Uint8Array<ArrayBuffer>;
}

interface KeptBlock {
  bytes: Uint8Array;
  /** Until then, the bytes are still being read. */
  ready: Promise<void> | undefined;
}

export class Snapshot {
  private readonly disk: Disk;
  /** Bytes. The disk may grow. */
  readonly size: number;
  /** Blocks behind `position` that were changed: what they were, by number. */
  private readonly kept = new Map<number, KeptBlock>();
  /** All before this was given out. */
  private position = 0;
  private failure: unknown;

  /** The moment is now. */
  constructor(disk: Disk) {
    this.disk = disk;
    this.size = disk.size;
  }

  /** Keeps what the bytes are. It never fails: next() does then. */
  keep(offset: number, length: number): Done {
    if (this.failure !== undefined) return;
    const end = Math.min(offset + length, this.size);
    const first = Math.floor(Math.max(offset, this.position) / BLOCK);
    return this.keepBlocks(first, Math.ceil(end / BLOCK));
  }

  private keepBlocks(first: number, end: number): Done {
    for (let block = first; block < end; ++block) {
      const { ready } = this.keptBlock(block);
      // Who changes the block must wait, even if another change has begun this.
      if (ready instanceof Promise) return ready.then(() => this.keepBlocks(block + 1, end));
      if (this.failure !== undefined) return;
    }
  }

  private keptBlock(block: number): KeptBlock {
    const known = this.kept.get(block);
    if (known !== undefined) return known;
    const offset = block * BLOCK;
    const kept: KeptBlock = { bytes: new Uint8Array(Math.min(BLOCK, this.size - offset)), ready: undefined };
    this.kept.set(block, kept);
    if (this.kept.size * BLOCK > MOST_KEPT) this.fail(new Error('too much is written to the disk at the same time'));
    try {
      const read = this.disk.read(offset, [kept.bytes]);
      if (read instanceof Promise)
        kept.ready = read
          .catch((error: unknown) => this.fail(error))
          .then(() => {
            kept.ready = undefined;
          });
    } catch (error) {
      this.fail(error);
    }
    return kept;
  }

  /** The next bytes that are not all zero; undefined at the disk's end. */
  async next(): Promise<Piece | undefined> {
    while (this.position < this.size) {
      const offset = this.position;
      const bytes = new Uint8Array(Math.min(PIECE, this.size - offset));
      let isData = this.disk.nextData === undefined || this.disk.nextData(offset) < offset + bytes.length;
      if (isData) await this.disk.read(offset, [bytes]);
      // The read may have seen a change. What was there before is kept.
      for (let at = 0; at < bytes.length; at += BLOCK) {
        const block = this.kept.get((offset + at) / BLOCK);
        if (block === undefined) continue;
        await block.ready;
        bytes.set(block.bytes, at);
        isData = true;
      }
      if (this.failure !== undefined) throw this.failure;
      this.position = offset + bytes.length;
      for (let at = 0; at < bytes.length; at += BLOCK) this.kept.delete((offset + at) / BLOCK);
      if (isData && !isZero(bytes)) return { offset, bytes };
    }
    return undefined;
  }

  private fail(error: unknown): void {
    this.failure ??= error;
    this.kept.clear();
  }
}

/** Whether bytes, a multiple of 512 in a buffer of their own, are all zero. */
export function isZero(bytes: Uint8Array<ArrayBuffer>): boolean {
  for (const word of new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)) if (word !== 0) return false;
  return true;
}
