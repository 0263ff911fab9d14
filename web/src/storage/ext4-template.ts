// SPDX-License-Identifier: MIT
// An empty ext4 file system for a new disk. The guest makes it as large as the
// disk when it first mounts it (userland/programs/sysinit/home.c).

import { EXT4_BLOCK, EXT4_BLOCKS, EXT4_SIZE } from '../generated/ext4-template.ts';
import type { Disk } from './disk.ts';
import { isZero } from './snapshot.ts';

/** Bytes that a disk must have at least. */
export const LEAST_EXT4_SIZE = EXT4_SIZE;

/** Bytes that are looked at together. */
const PIECE = 1 << 20;

interface TemplateBlock {
  /** Bytes from the begin of the disk. */
  offset: number;
  bytes: Uint8Array;
}

/** The blocks that are not zero, the superblock last. */
async function templateBlocks(): Promise<TemplateBlock[]> {
  const compressed = Uint8Array.from(atob(EXT4_BLOCKS), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const numbers = new DataView(packed.buffer);
  const blocks: TemplateBlock[] = [];
  for (let at = 0; at < packed.length; at += 4 + EXT4_BLOCK) {
    const offset = numbers.getUint32(at, true) * EXT4_BLOCK;
    blocks.push({ offset, bytes: packed.subarray(at + 4, at + 4 + EXT4_BLOCK) });
  }
  return [...blocks.slice(1), blocks[0]!];
}

/**
 * Writes an empty file system to a disk that is all zero, and waits until it is
 * on the medium. A disk of which this was interrupted has no superblock, so
 * nobody takes it for a file system, and isUnfinished() knows it.
 *
 * @throws Error with a message for users.
 */
export async function writeExt4Template(disk: Disk): Promise<void> {
  if (disk.size < LEAST_EXT4_SIZE)
    throw new Error(`ext4 needs a disk of ${LEAST_EXT4_SIZE >> 20} MiB at least, and it has ${disk.size} bytes`);
  const blocks = await templateBlocks();
  const superblock = blocks.pop()!;
  for (const { offset, bytes } of blocks) await disk.write(offset, [bytes]);
  disk.flush();
  await disk.write(superblock.offset, [superblock.bytes]);
  disk.flush();
}

/**
 * Whether a disk has nothing but zeros and what writeExt4Template() writes
 * before the superblock: whoever was to make the file system was killed before
 * it was there. A single other byte may be a user's, who keeps the disk.
 *
 * `isHole`: the system says that nothing was ever written. Not all systems are
 * right, so what the file system would take is read all the same; to read all
 * of a large disk takes seconds.
 */
export async function isUnfinished(disk: Disk, isHole: boolean): Promise<boolean> {
  const start = new Uint8Array(Math.min(EXT4_BLOCK, disk.size));
  await disk.read(0, [start]);
  // This is the usual case, and costs one read.
  if (!isZero(start)) return false;
  const ours = new Map((await templateBlocks()).map(({ offset, bytes }) => [offset, bytes]));
  const piece = new Uint8Array(PIECE);
  const end = isHole ? Math.min(EXT4_SIZE, disk.size) : disk.size;
  for (let offset = 0; offset < end; offset += PIECE) {
    const bytes = piece.subarray(0, Math.min(PIECE, end - offset));
    await disk.read(offset, [bytes]);
    if (isZero(bytes)) continue;
    for (let at = 0; at < bytes.length; at += EXT4_BLOCK) {
      const block = bytes.subarray(at, at + EXT4_BLOCK);
      const expected = ours.get(offset + at);
      // A power cut may have left a part of a block.
      if (!block.every((byte, index) => byte === 0 || byte === expected?.[index])) return false;
    }
  }
  return true;
}
