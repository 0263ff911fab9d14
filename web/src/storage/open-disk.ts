// SPDX-License-Identifier: MIT
// The backends of disks: the one list of them.

import { nodeModule } from '../machine/platform.ts';
import { ChunkedDisk } from './chunked-disk.ts';
import { chunkSource, FolderCache } from './chunk-sources.ts';
import { ChunkStore } from './chunk-store.ts';
import { copyFromHolder } from './copied-disk.ts';
import type { Disk } from './disk.ts';
import { DiskInUseError, DiskLock, type LockWishes } from './disk-lock.ts';
import { isUnfinished, writeExt4Template } from './ext4-template.ts';
import { FileDisk, fileStatus, makeFile, mediumOf, type FileSystem } from './file-disk.ts';
import { FileLock } from './file-lock.ts';
import { MemoryDisk } from './memory-disk.ts';
import { openFolder, siteChunks } from './opfs.ts';
import { OverlayDisk } from './overlay-disk.ts';
import type { DiskSource, ImageAddress } from './protocol.ts';
import { SavedDisk } from './saved-disk.ts';

/** What a backend may want from the page. */
export type DiskContext = Omit<LockWishes, 'wait'>;

/** @throws Error with a message for users. */
export async function openDisk(source: DiskSource, context: DiskContext): Promise<Disk> {
  const disk = await openBackend(source, context);
  return source.overlay ? new OverlayDisk(disk) : disk;
}

function openBackend(source: DiskSource, context: DiskContext): Promise<Disk> {
  if (source.image !== undefined) return openImage(source.image);
  if (source.saved) return openSaved(source, context);
  return source.file === undefined ? openMemory(source) : openFile(source, source.file);
}

/** Whether the backend must not write. */
const isFixed = ({ readOnly, overlay }: DiskSource): boolean => readOnly || overlay === true;

async function initialize(source: DiskSource, disk: Disk): Promise<void> {
  if (source.format === 'ext4') await writeExt4Template(disk);
}

async function openMemory(source: DiskSource): Promise<Disk> {
  const { size, content } = source;
  const disk = new MemoryDisk(size!, isFixed(source), content);
  if (content === undefined) await initialize(source, disk);
  return disk;
}

function openImage({ address, cache, kept }: ImageAddress): Promise<Disk> {
  const record = recordedReads();
  return ChunkedDisk.open(chunkSource(address), {
    ...(cache === undefined ? {} : { cache: new FolderCache(cache) }),
    ...(kept ? { cache: new ChunkStore(siteChunks) } : {}),
    ...(record === undefined ? {} : { onRead: record }),
  });
}

/**
 * `./auklet image --record` names a file for a line with offset and length of
 * each request.
 */
function recordedReads(): ((offset: number, length: number) => void) | undefined {
  const program = nodeModule('node:process') as { env: Record<string, string | undefined> } | undefined;
  const path = program?.env['AUKLET_RECORD_READS'];
  if (path === undefined) return undefined;
  const files = nodeModule('node:fs') as { appendFileSync(path: string, text: string): void };
  return (offset, length) => files.appendFileSync(path, `${offset} ${length}\n`);
}

async function openFile(source: DiskSource, file: string): Promise<Disk> {
  const files = nodeModule('node:fs') as FileSystem | undefined;
  if (files === undefined) throw new Error('only Node.js has files');
  if (isFixed(source)) return new FileDisk(files, file, source.size, true);
  const isMade = source.size !== undefined && makeFile(files, file);
  // Only who has the lock changes the file, or removes the one that it has
  // made: somebody else may have been faster to take it.
  const medium = mediumOf(fileStatus(files, file));
  const lock = await FileLock.take(medium);
  let disk: FileDisk | undefined;
  try {
    disk = new FileDisk(files, file, source.size, false, medium);
    // An empty file is not read to find that it is empty.
    const isNew = disk.isNew || (source.format === 'ext4' && (await isUnfinished(disk, disk.isHole)));
    if (isNew) await initialize(source, disk);
  } catch (error) {
    try {
      disk?.undo();
      const left = isMade ? files.statSync(file, { throwIfNoEntry: false }) : undefined;
      if (left !== undefined && mediumOf(left) === medium) files.unlinkSync(file);
    } finally {
      lock.release();
    }
    throw error;
  }
  disk.lock = lock;
  return disk;
}

async function openSaved(source: DiskSource, context: DiskContext): Promise<Disk> {
  const { name, size, whenInUse = 'fail' } = source;
  const folder = await openFolder(name);
  let lock;
  try {
    lock = await DiskLock.take(name, { ...context, wait: whenInUse === 'wait' });
  } catch (error) {
    if (error instanceof DiskInUseError && error.holder !== undefined && whenInUse === 'copy')
      return copyFromHolder(name);
    throw error;
  }
  return SavedDisk.open(name, folder, lock, size, isFixed(source), (disk) => initialize(source, disk));
}
