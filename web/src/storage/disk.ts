// SPDX-License-Identifier: MIT
// What the storage worker needs of a disk. A backend is a class with these
// functions, and a line in open-disk.ts.

/** Nothing, or a promise where the medium has no other way. */
export type Done = void | Promise<void>;

/**
 * Bytes at offsets. Each function has done its work when it returns, or when
 * the promise that it returns resolves; it throws or rejects if it cannot do
 * all of it. The host has checked that a request is within the disk. A second
 * request may come before a promise is resolved, but not for the same bytes.
 */
export interface Disk {
  /** Bytes, a multiple of 512. It changes by grow() only. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Bytes that it takes, where that is fewer than its size. */
  readonly usage?: number;
  /** Equal for two disks that are the same bytes. */
  readonly medium?: string;
  /**
   * Bytes that are best read and written at a time, or 0: see DiskDescription.
   */
  readonly unit: number;
  /** Fills the views, which may be in shared memory. */
  read(offset: number, views: Uint8Array[]): Done;
  write(offset: number, views: Uint8Array[]): Done;
  /** All writes that were done before are on the medium afterwards. */
  flush(): void;
  /** Makes bytes zero. */
  zero(offset: number, length: number): Done;
  /** Gives room back; what is read there is zero or as before. */
  discard?(offset: number, length: number): Done;
  /**
   * The first offset from this one on where bytes may be that are not zero, or
   * `size`.
   */
  nextData?(offset: number): number;
  /**
   * Makes the disk larger; what is added is zero. The medium keeps the new size
   * from then on. Nothing has changed if this fails.
   */
  grow?(size: number): Done;
  /** The machine has ended, and writes nothing more: others may. */
  release?(): void;
  close(): Done;
}
