// SPDX-License-Identifier: MIT
// What a saved disk needs of a folder of files: that of OPFS, or a test's.

/** An open file, as FileSystemSyncAccessHandle. */
export interface SegmentFile {
  /** Returns the count of bytes read: fewer at the end of the file. */
  read(view: Uint8Array, options: { at: number }): number;
  /**
   * Returns the count of bytes written. Chromium throws where there is no
   * room; Firefox writes fewer.
   */
  write(view: Uint8Array, options: { at: number }): number;
  flush(): void;
  truncate(size: number): void;
  getSize(): number;
  close(): void;
}

export interface SegmentFolder {
  names(): Promise<string[]>;
  /** The open file; it is made if it does not exist. */
  open(name: string): Promise<SegmentFile>;
  /** Bytes of the file, without opening it. */
  size(name: string): Promise<number>;
  /** Does nothing if there is no such file. */
  remove(name: string): Promise<void>;
}

/**
 * Bytes of a segment. Holes cost nothing on any system if a segment is made at
 * its first write, and Chromium counts quota in powers of two up to twice this.
 */
export const SEGMENT_SIZE = 64 << 20;

/** A name has four digits. */
export const MOST_SEGMENTS = 10_000;

/**
 * The file of a segment. The segments of one generation, each filled up with
 * zeros to SEGMENT_SIZE, are the raw image. Those of the first generation have
 * no prefix.
 */
export function segmentName(generation: number, index: number): string {
  const digits = String(index).padStart(4, '0');
  return generation === 0 ? `${digits}.raw` : `${generation}-${digits}.raw`;
}

/** The generation and index of a segment's file; undefined for other names. */
export function segmentOf(name: string): { generation: number; index: number } | undefined {
  const match = /^(?:([1-9]\d{0,14})-)?(\d{4})\.raw$/.exec(name);
  return match === null ? undefined : { generation: Number(match[1] ?? 0), index: Number(match[2]) };
}
