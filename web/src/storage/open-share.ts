// SPDX-License-Identifier: MIT
// The backends of shares: the one list of them.

import { nodeModule } from '../machine/platform.ts';
import type { DirectoryHandle } from './directory-file.ts';
import { DirectoryShare } from './directory-share.ts';
import { FolderShare, type Files } from './folder-share.ts';
import { MemoryShare } from './memory-share.ts';
import { siteDirectory } from './opfs.ts';
import type { Share } from './share.ts';

/** Where a share's files are. The owner has checked all of it. */
export interface ShareSource {
  name: string;
  readOnly: boolean;
  /** The absolute path in the guest. */
  place: string;
  /** A folder of Node.js. */
  folder?: string;
  /** A directory that the page has a handle of. */
  directory?: FileSystemDirectoryHandle;
  /** The browser keeps the files, by the share's name. */
  saved?: true;
  /** Bytes that a share in memory may take. */
  size?: number;
}

const MEMORY_SIZE = 2 ** 30;

/** All saved shares of a site are in this folder, one folder each. */
const SAVED_FOLDER = 'auklet-shares';

/** @throws Error with a message for users. */
export async function openShare({ name, folder, directory, saved, size, readOnly }: ShareSource): Promise<Share> {
  if (saved) return openDirectory(await siteDirectory(SAVED_FOLDER, name), readOnly);
  if (directory !== undefined) return openDirectory(directory, readOnly);
  if (folder === undefined) return new MemoryShare(size ?? MEMORY_SIZE, readOnly);
  const files = nodeModule('node:fs') as Files | undefined;
  if (files === undefined) throw new Error('only Node.js has folders');
  return new FolderShare(files, folder, readOnly);
}

async function openDirectory(directory: FileSystemDirectoryHandle, readOnly: boolean): Promise<Share> {
  const { queryPermission } = directory as {
    queryPermission?: (wanted: { mode: 'read' | 'readwrite' }) => Promise<PermissionState>;
  };
  const mode = readOnly ? 'read' : 'readwrite';
  if (queryPermission !== undefined && (await queryPermission.call(directory, { mode })) !== 'granted')
    throw new Error(`the visitor has not permitted it: call requestPermission({ mode: '${mode}' }) in a click`);
  try {
    for await (const _ of directory.keys()) break;
  } catch {
    throw new Error('its directory cannot be read; it may have been removed');
  }
  return new DirectoryShare(directory as unknown as DirectoryHandle, readOnly, await isOfSite(directory));
}

/** Whether the directory's files have synchronous handles. */
async function isOfSite(directory: FileSystemDirectoryHandle): Promise<boolean> {
  if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) return false;
  return (await (await navigator.storage.getDirectory()).resolve(directory)) !== null;
}
