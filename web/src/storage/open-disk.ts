// SPDX-License-Identifier: MIT
// The backends of disks: the one list of them.

import { nodeModule } from '../machine/platform.ts';
import { copyFromHolder } from './copied-disk.ts';
import type { Disk } from './disk.ts';
import { DiskInUseError, DiskLock, type LockWishes } from './disk-lock.ts';
import { FileDisk, type FileSystem } from './file-disk.ts';
import { MemoryDisk } from './memory-disk.ts';
import { openFolder } from './opfs.ts';
import { OverlayDisk } from './overlay-disk.ts';
import type { DiskSource } from './protocol.ts';
import { SavedDisk } from './saved-disk.ts';

/** What a backend may want from the page. */
export type DiskContext = Omit<LockWishes, 'wait'>;

/** @throws Error with a message for users. */
export async function openDisk(source: DiskSource, context: DiskContext): Promise<Disk> {
  const disk = await openBackend(source, context);
  return source.overlay ? new OverlayDisk(disk) : disk;
}

async function openBackend(source: DiskSource, context: DiskContext): Promise<Disk> {
  const { file, size, content } = source;
  const readOnly = source.readOnly || source.overlay === true;
  if (source.saved) return openSaved(source, readOnly, context);
  if (file === undefined) return new MemoryDisk(size!, readOnly, content);
  const files = nodeModule('node:fs') as FileSystem | undefined;
  if (files === undefined) throw new Error('only Node.js has files');
  return new FileDisk(files, file, size, readOnly);
}

async function openSaved(
  { name, size, whenInUse = 'fail' }: DiskSource,
  readOnly: boolean,
  context: DiskContext,
): Promise<Disk> {
  const folder = await openFolder(name);
  let lock;
  try {
    lock = await DiskLock.take(name, { ...context, wait: whenInUse === 'wait' });
  } catch (error) {
    if (error instanceof DiskInUseError && error.holder !== undefined && whenInUse === 'copy')
      return copyFromHolder(name);
    throw error;
  }
  return SavedDisk.open(name, folder, lock, size, readOnly, () => {});
}
