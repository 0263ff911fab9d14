// SPDX-License-Identifier: MIT
// The backends of disks: the one list of them.

import { nodeModule } from '../machine/platform.ts';
import type { Disk } from './disk.ts';
import { FileDisk, type FileSystem } from './file-disk.ts';
import { MemoryDisk } from './memory-disk.ts';
import type { DiskSource } from './protocol.ts';

/** @throws Error with a message for users. */
export async function openDisk({ file, size, content, readOnly }: DiskSource): Promise<Disk> {
  if (file === undefined) return new MemoryDisk(size!, readOnly, content);
  const files = nodeModule('node:fs') as FileSystem | undefined;
  if (files === undefined) throw new Error('only Node.js has files');
  return new FileDisk(files, file, size, readOnly);
}
