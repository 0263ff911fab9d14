// SPDX-License-Identifier: MIT
// A disk in a file of Node.js: a raw image.

import type { Disk } from './disk.ts';

interface FileStatus {
  size: number;
  /** Of 512 bytes, that the file takes. */
  blocks: number;
  dev: number;
  ino: number;
  isFile(): boolean;
}

/** What is used of node:fs. */
export interface FileSystem {
  statSync(path: string, options: { throwIfNoEntry: false }): FileStatus | undefined;
  fstatSync(descriptor: number): FileStatus;
  openSync(path: string, flags: string): number;
  ftruncateSync(descriptor: number, size: number): void;
  readvSync(descriptor: number, views: readonly Uint8Array[], position: number): number;
  writevSync(descriptor: number, views: readonly Uint8Array[], position: number): number;
  fdatasyncSync(descriptor: number): void;
  fsyncSync(descriptor: number): void;
  closeSync(descriptor: number): void;
  unlinkSync(path: string): void;
}

/** Of zeros that are written. */
const PIECE = 1 << 20;

export class FileDisk implements Disk {
  size: number;
  readonly readOnly: boolean;
  readonly unit = 0;
  readonly medium: string;
  /** The file was empty. */
  readonly isNew: boolean;
  /** Nothing was ever written to the file, as far as the system knows. */
  readonly isHole: boolean;
  private readonly files: FileSystem;
  private readonly descriptor: number;
  /** Nobody else writes to the file as long as the disk has this. */
  lock: { release(): void } | undefined;
  /** Bytes of the file before it was opened. */
  private readonly before: number;

  /**
   * Opens a file. One that is smaller than `size` bytes grows. `medium`: the
   * file that it must be, because its lock was taken.
   *
   * @throws Error with a message for users. The file is as it was then.
   */
  constructor(files: FileSystem, path: string, size: number | undefined, readOnly: boolean, medium?: string) {
    this.files = files;
    this.readOnly = readOnly;
    fileStatus(files, path);
    this.descriptor = files.openSync(path, readOnly ? 'r' : 'r+');
    try {
      const status = files.fstatSync(this.descriptor);
      this.medium = mediumOf(status);
      if (medium !== undefined && this.medium !== medium) throw new Error('it was replaced by another file just now');
      this.before = status.size;
      this.isNew = status.size === 0;
      this.isHole = status.blocks === 0;
      this.size = sizeOf(status, size, readOnly);
      if (this.before !== this.size) files.ftruncateSync(this.descriptor, this.size);
    } catch (error) {
      files.closeSync(this.descriptor);
      throw error;
    }
  }

  read(offset: number, views: Uint8Array[]): void {
    this.transfer(offset, views, (...place) => this.files.readvSync(...place), 'the file has become shorter');
  }

  write(offset: number, views: Uint8Array[]): void {
    this.transfer(offset, views, (...place) => this.files.writevSync(...place), 'nothing can be written');
  }

  flush(): void {
    if (!this.readOnly) this.files.fdatasyncSync(this.descriptor);
  }

  zero(offset: number, length: number): void {
    const zeros = new Uint8Array(Math.min(PIECE, length));
    for (let done = 0; done < length; done += zeros.length)
      this.write(offset + done, [zeros.subarray(0, Math.min(zeros.length, length - done))]);
  }

  grow(size: number): void {
    this.files.ftruncateSync(this.descriptor, size);
    try {
      // A flush may leave the file's length out.
      this.files.fsyncSync(this.descriptor);
    } catch (error) {
      this.files.ftruncateSync(this.descriptor, this.size);
      throw error;
    }
    this.size = size;
  }

  close(): void {
    this.files.closeSync(this.descriptor);
    this.release();
  }

  release(): void {
    this.lock?.release();
    this.lock = undefined;
  }

  /** Closes a disk whose making has failed. The file is as it was. */
  undo(): void {
    try {
      if (this.before !== this.size) this.files.ftruncateSync(this.descriptor, this.before);
    } finally {
      this.close();
    }
  }

  /** The system may do a part of it. */
  private transfer(
    offset: number,
    views: Uint8Array[],
    act: (descriptor: number, views: Uint8Array[], position: number) => number,
    nothing: string,
  ): void {
    let left = views;
    let place = offset;
    while (left.length > 0) {
      let count = act(this.descriptor, left, place);
      if (count === 0) throw new Error(nothing);
      place += count;
      while (left.length > 0 && count >= left[0]!.length) {
        count -= left[0]!.length;
        left = left.slice(1);
      }
      if (count > 0) left = [left[0]!.subarray(count), ...left.slice(1)];
    }
  }
}

/** Equal for two names of one file. */
export function mediumOf({ dev, ino }: FileStatus): string {
  return `${dev}:${ino}`;
}

/** @throws Error with a message for users if there is no regular file. */
export function fileStatus(files: FileSystem, path: string): FileStatus {
  const status = files.statSync(path, { throwIfNoEntry: false });
  if (status === undefined) throw new Error('there is no such file; give a size to make one');
  // To open a pipe would not end.
  if (!status.isFile()) throw new Error('it is no regular file');
  return status;
}

/** Bytes of the disk in a file for which a size may have been given. */
function sizeOf(known: FileStatus, given: number | undefined, readOnly: boolean): number {
  if (given !== undefined && known.size > given)
    throw new Error(`it has ${known.size} bytes already, and a disk does not shrink`);
  if (given !== undefined && readOnly && known.size !== given)
    throw new Error(`it has ${known.size} bytes, and does not grow where it is only read`);
  const size = given ?? known.size;
  if (size === 0 || size % 512 !== 0) throw new Error(`its size must be a multiple of 512 bytes, not ${size}`);
  return size;
}

/**
 * Makes an empty file if there is none. Returns whether it did. What is to be
 * in it is up to who has its lock.
 */
export function makeFile(files: FileSystem, path: string): boolean {
  if (files.statSync(path, { throwIfNoEntry: false }) !== undefined) return false;
  try {
    files.closeSync(files.openSync(path, 'wx'));
  } catch (error) {
    // Somebody else was faster.
    const isThere = files.statSync(path, { throwIfNoEntry: false }) !== undefined;
    if (isThere) return false;
    throw error;
  }
  syncFolder(files, path);
  return true;
}

/** Makes the name of a new file outlive a power cut, where the system can. */
function syncFolder(files: FileSystem, path: string): void {
  try {
    const folder = files.openSync(path.replace(/[^/\\]+$/, '') || '.', 'r');
    files.fsyncSync(folder);
    files.closeSync(folder);
  } catch {
    // Windows opens no folders.
  }
}
