// SPDX-License-Identifier: MIT
// Names in the directories of a browser: how they are found, and moved.

import { copyFile, type DirectoryHandle, type FileHandle } from './directory-file.ts';
import { FileError } from './file-error.ts';

export type Handle = FileHandle | DirectoryHandle;

/** Where something has its name. */
export interface Place {
  directory: DirectoryHandle;
  name: string;
}

const nameOf = (error: unknown): unknown => (error as { name?: unknown }).name;

/** What has this name there. */
export async function find(directory: DirectoryHandle, name: string): Promise<Handle | undefined> {
  try {
    return await allowed(directory.getFileHandle(name));
  } catch (error) {
    if (nameOf(error) === 'NotFoundError') return undefined;
    if (nameOf(error) !== 'TypeMismatchError') throw error;
    return directory.getDirectoryHandle(name);
  }
}

/** A name that the browser does not allow is an error of the caller's. */
export async function allowed<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw nameOf(error) === 'TypeError' ? new FileError('EINVAL') : error;
  }
}

/**
 * A file that is replaced has all of the new content, or is as before. Returns
 * the new handle.
 */
export async function moveFile(handle: FileHandle, from: Place, to: Place): Promise<FileHandle> {
  const there = await find(to.directory, to.name);
  if (handle.move !== undefined)
    try {
      await handle.move(to.directory, to.name);
      return await to.directory.getFileHandle(to.name);
    } catch (error) {
      // It is in use. All else may be only what this browser cannot do.
      if (nameOf(error) === 'NoModificationAllowedError') throw error;
    }
  const target = await allowed(to.directory.getFileHandle(to.name, { create: true }));
  try {
    await copyFile(handle, target);
  } catch (error) {
    if (there === undefined) await to.directory.removeEntry(to.name);
    throw error;
  }
  await from.directory.removeEntry(from.name);
  return target;
}
