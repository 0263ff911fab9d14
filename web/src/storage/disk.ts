// SPDX-License-Identifier: MIT
// What the storage worker needs of a disk. A backend is a class with these
// functions, and a line in open-disk.ts.

/**
 * Bytes at offsets. Each function has done its work when it returns, and throws
 * if it cannot do all of it. The storage worker has checked that a request is
 * within the disk.
 */
export interface Disk {
  /** Bytes, a multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Equal for two disks that are the same bytes. */
  readonly medium?: string;
  /**
   * Bytes that are best read and written at a time, or 0: see DiskDescription.
   */
  readonly unit: number;
  /** Fills the views, which may be in shared memory. */
  read(offset: number, views: Uint8Array[]): void;
  write(offset: number, views: Uint8Array[]): void;
  /** All that was written before is on the medium afterwards. */
  flush(): void;
  /** Makes bytes zero. */
  zero(offset: number, length: number): void;
  /** Gives room back; what is read there is zero or as before. */
  discard?(offset: number, length: number): void;
  close(): void;
}
