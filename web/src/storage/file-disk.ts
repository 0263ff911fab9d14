// SPDX-License-Identifier: MIT
// A disk in a file of Node.js: a raw image.

import type { Disk } from './disk.ts';

interface FileStatus {
  size: number;
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
  /** The file did not exist, or was empty. */
  readonly isNew: boolean;
  private readonly files: FileSystem;
  private readonly descriptor: number;
  /** Nobody else writes to the file as long as the disk has this. */
  lock: { release(): void } | undefined;
  /** Makes what was before the file was opened. */
  private readonly restore: () => void;

  /**
   * Opens the file, or makes one of `size` bytes. A file that is smaller than
   * that grows.
   *
   * @throws Error with a message for users.
   */
  constructor(files: FileSystem, path: string, size: number | undefined, readOnly: boolean) {
    this.files = files;
    this.readOnly = readOnly;
    const known = files.statSync(path, { throwIfNoEntry: false });
    // To open a pipe would not end.
    if (known !== undefined && !known.isFile()) throw new Error('it is no regular file');
    if (known === undefined && (size === undefined || readOnly))
      throw new Error('there is no such file; give a size to make one');
    if (known !== undefined && size !== undefined && known.size > size)
      throw new Error(`it has ${known.size} bytes already, and a disk does not shrink`);
    if (known !== undefined && readOnly && size !== undefined && known.size !== size)
      throw new Error(`it has ${known.size} bytes, and does not grow where it is only read`);
    this.size = size ?? known!.size;
    if (this.size === 0 || this.size % 512 !== 0)
      throw new Error(`its size must be a multiple of 512 bytes, not ${this.size}`);
    this.isNew = known === undefined || known.size === 0;
    this.restore = () => {
      if (known === undefined) files.unlinkSync(path);
      else if (known.size !== this.size) files.ftruncateSync(this.descriptor, known.size);
    };
    this.descriptor = files.openSync(path, known === undefined ? 'wx+' : readOnly ? 'r' : 'r+');
    try {
      if (known?.size !== this.size) files.ftruncateSync(this.descriptor, this.size);
      this.medium = mediumOf(files.fstatSync(this.descriptor));
    } catch (error) {
      this.undo();
      throw error;
    }
    if (known === undefined) syncFolder(files, path);
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
    // A flush may leave the file's length out.
    this.files.fsyncSync(this.descriptor);
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

  /** Closes a new disk that could not be made, and leaves no half of it. */
  undo(): void {
    try {
      this.restore();
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
