// SPDX-License-Identifier: MIT
// The browser's own folder for this site (OPFS).

import type { ChunkStoreFile } from './chunk-store.ts';
import type { SegmentFile, SegmentFolder } from './segments.ts';

/** What was loaded of root file systems: one file for the site. */
const CACHE_FOLDER = 'auklet-cache';
const CHUNKS = 'chunks-1';

/** All disks of a site are in this folder, one folder each. */
const FOLDER = 'auklet-disks';

/**
 * Why there is no such folder here; the message is for users. The browser has
 * none, or it refuses this window its own.
 */
export class NoStorageError extends Error {
  readonly reason: 'unsupported' | 'refused';

  constructor(reason: 'unsupported' | 'refused', message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A folder of this site. It is made if it does not exist. */
export async function siteDirectory(...path: string[]): Promise<FileSystemDirectoryHandle> {
  const storage = (globalThis.navigator as Navigator | undefined)?.storage;
  if (storage?.getDirectory === undefined || !('createSyncAccessHandle' in FileSystemFileHandle.prototype))
    throw new NoStorageError('unsupported', 'this browser has no storage for it');
  try {
    let directory = await storage.getDirectory();
    for (const name of path) directory = await directory.getDirectoryHandle(name, { create: true });
    return directory;
  } catch (error) {
    // Firefox: a private window, or a visitor who allows no storage.
    if (error instanceof DOMException && ['SecurityError', 'NotAllowedError', 'InvalidStateError'].includes(error.name))
      throw new NoStorageError('refused', 'this window keeps nothing: it is private, or storage is not allowed');
    throw error;
  }
}

/** The folder of a disk. It is made if it does not exist. */
export async function openFolder(disk: string): Promise<SegmentFolder> {
  return new OpfsFolder(await siteDirectory(FOLDER, disk));
}

/** The file of a ChunkStore. */
export const siteChunks: ChunkStoreFile = {
  open: async () => openFile(await siteDirectory(CACHE_FOLDER), CHUNKS),
  look: async () => (await (await siteDirectory(CACHE_FOLDER)).getFileHandle(CHUNKS)).getFile(),
};

/**
 * Files that are being opened. Chromium never answers createSyncAccessHandle()
 * if its FileSystemFileHandle is collected meanwhile
 * (docs/decisions/0100-files-that-are-never-opened.md).
 */
const opening = new Set<object>();

/** The open file, which excludes all others. It is made if there is none. */
async function openFile(directory: FileSystemDirectoryHandle, name: string): Promise<SegmentFile> {
  const file = await directory.getFileHandle(name, { create: true });
  opening.add(file);
  try {
    return await (file as unknown as { createSyncAccessHandle(): Promise<SegmentFile> }).createSyncAccessHandle();
  } finally {
    opening.delete(file);
  }
}

class OpfsFolder implements SegmentFolder {
  private readonly directory: FileSystemDirectoryHandle;

  constructor(directory: FileSystemDirectoryHandle) {
    this.directory = directory;
  }

  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.directory.keys()) names.push(name);
    return names;
  }

  open(name: string): Promise<SegmentFile> {
    return openFile(this.directory, name);
  }

  async size(name: string): Promise<number> {
    return (await (await this.directory.getFileHandle(name)).getFile()).size;
  }

  async remove(name: string): Promise<void> {
    try {
      await this.directory.removeEntry(name);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
    }
  }
}
