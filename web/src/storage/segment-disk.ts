// SPDX-License-Identifier: MIT
// A disk in segment files, each of which is made at its first write.

import type { Disk, Done } from './disk.ts';
import { segmentName, segmentOf, SEGMENT_SIZE, type SegmentFile, type SegmentFolder } from './segments.ts';
import { gather, lengthOf, scatter } from './views.ts';

interface Segment {
  file: SegmentFile;
  /** Bytes of the file. What is behind them is zero. */
  length: number;
  /** Whether something is not flushed. */
  dirty: boolean;
}

/** The part of a request that is in one segment. */
interface Part {
  index: number;
  /** In the segment. */
  at: number;
  length: number;
}

/** Of zeros that are written. */
const PIECE = 1 << 20;

const NO_BYTES = new Uint8Array(0);

export class SegmentDisk implements Disk {
  size: number;
  readonly readOnly: boolean;
  readonly unit = 0;
  private readonly folder: SegmentFolder;
  private readonly generation: number;
  /** The segments that exist: open, being opened, or not yet (undefined). */
  private readonly segments = new Map<number, Segment | Promise<Segment> | undefined>();
  /** Bytes of the segments that are not open. */
  private readonly closedLengths = new Map<number, number>();
  /** Contiguous bytes for requests whose places are not. */
  private bounce = NO_BYTES;

  private constructor(folder: SegmentFolder, generation: number, size: number, readOnly: boolean) {
    this.folder = folder;
    this.generation = generation;
    this.size = size;
    this.readOnly = readOnly;
  }

  /** Opens the disk of this generation; one without segments is all zero. */
  static async open(folder: SegmentFolder, generation: number, size: number, readOnly: boolean): Promise<SegmentDisk> {
    const disk = new SegmentDisk(folder, generation, size, readOnly);
    for (const name of await folder.names()) {
      const segment = segmentOf(name);
      if (segment?.generation !== generation) continue;
      disk.segments.set(segment.index, undefined);
      disk.closedLengths.set(segment.index, await folder.size(name));
    }
    return disk;
  }

  /** Bytes that the files have. */
  get usage(): number {
    let sum = 0;
    for (const length of this.closedLengths.values()) sum += length;
    for (const segment of this.segments.values())
      if (segment !== undefined && !(segment instanceof Promise)) sum += segment.length;
    return sum;
  }

  read(offset: number, views: Uint8Array[]): Done {
    const [view, spread] = this.contiguous(offset, views);
    let done = 0;
    const result = this.eachPart(offset, view.length, ({ index, at, length }) => {
      const target = view.subarray(done, (done += length));
      return this.withSegment(index, false, (segment) => {
        if (segment === undefined) target.fill(0);
        else readSegment(segment, at, target);
      });
    });
    return then(result, spread);
  }

  write(offset: number, views: Uint8Array[]): Done {
    const [view] = this.contiguous(offset, views, true);
    let done = 0;
    return this.eachPart(offset, view.length, ({ index, at, length }) => {
      const source = view.subarray(done, (done += length));
      return this.withSegment(index, true, (segment) => writeSegment(segment!, at, source));
    });
  }

  flush(): void {
    for (const segment of this.segments.values()) {
      if (segment === undefined || segment instanceof Promise || !segment.dirty) continue;
      // A write that comes meanwhile is not covered by this flush.
      segment.file.flush();
      segment.dirty = false;
    }
  }

  zero(offset: number, length: number): Done {
    return this.eachPart(offset, length, (part) =>
      this.withSegment(part.index, false, (segment) => {
        if (segment === undefined || part.at >= segment.length) return;
        if (shorten(segment, part)) return;
        const zeros = new Uint8Array(Math.min(PIECE, part.length));
        for (let done = 0; done < part.length; done += zeros.length)
          writeSegment(segment, part.at + done, zeros.subarray(0, Math.min(zeros.length, part.length - done)));
      }),
    );
  }

  /** Only the end of a file gives room back. */
  discard(offset: number, length: number): Done {
    return this.eachPart(offset, length, (part) =>
      this.withSegment(part.index, false, (segment) => {
        if (segment !== undefined && part.at < segment.length) shorten(segment, part);
      }),
    );
  }

  nextData(offset: number): number {
    for (let index = Math.floor(offset / SEGMENT_SIZE); index * SEGMENT_SIZE < this.size; ++index) {
      if (!this.segments.has(index)) continue;
      const segment = this.segments.get(index);
      const place = Math.max(offset, index * SEGMENT_SIZE);
      const isOpen = segment !== undefined && !(segment instanceof Promise);
      if (!isOpen || place < index * SEGMENT_SIZE + segment.length) return place;
    }
    return this.size;
  }

  /** Segments are made at their first write. */
  grow(size: number): void {
    this.size = size;
  }

  async close(): Promise<void> {
    for (const opened of this.segments.values()) (await opened)?.file.close();
    this.segments.clear();
  }

  /**
   * One view of all bytes of a request, and what copies what was read to its
   * places.
   */
  private contiguous(offset: number, views: Uint8Array[], filled = false): [view: Uint8Array, spread: () => void] {
    if (views.length === 1) return [views[0]!, () => {}];
    const length = lengthOf(views);
    const view = this.isOpen(offset, length) ? this.bounceOf(length) : new Uint8Array(length);
    if (filled) gather(views, view);
    return [view, () => scatter(view, views)];
  }

  private bounceOf(length: number): Uint8Array {
    if (this.bounce.length < length) this.bounce = new Uint8Array(length);
    return this.bounce.subarray(0, length);
  }

  /**
   * Whether the request will be done at once. The bounce buffer is for such a
   * request only: it is another's as soon as this one has to wait.
   */
  private isOpen(offset: number, length: number): boolean {
    for (let index = Math.floor(offset / SEGMENT_SIZE); index * SEGMENT_SIZE < offset + length; ++index) {
      const segment = this.segments.get(index);
      if (segment === undefined || segment instanceof Promise) return false;
    }
    return true;
  }

  /** Calls `act` for each part, one after the other. */
  private eachPart(offset: number, length: number, act: (part: Part) => Done): Done {
    const index = Math.floor(offset / SEGMENT_SIZE);
    const at = offset % SEGMENT_SIZE;
    const first = Math.min(SEGMENT_SIZE - at, length);
    const done = act({ index, at, length: first });
    if (first === length) return done;
    return then(done, () => this.eachPart(offset + first, length - first, act));
  }

  /** Opens the segment if it is not open; `make` makes it if there is none. */
  private withSegment(index: number, make: boolean, act: (segment: Segment | undefined) => Done): Done {
    const known = this.segments.get(index);
    if (known instanceof Promise) return known.then(act);
    if (known !== undefined) return act(known);
    if (!make && !this.segments.has(index)) return act(undefined);
    return this.openSegment(index).then(act);
  }

  private openSegment(index: number): Promise<Segment> {
    const opened = this.folder.open(segmentName(this.generation, index)).then(
      (file) => {
        const segment = { file, length: file.getSize(), dirty: false };
        this.segments.set(index, segment);
        this.closedLengths.delete(index);
        return segment;
      },
      (error: unknown) => {
        // The next request tries again.
        if (this.closedLengths.has(index)) this.segments.set(index, undefined);
        else this.segments.delete(index);
        throw error;
      },
    );
    this.segments.set(index, opened);
    return opened;
  }
}

function then(first: Done, second: () => Done): Done {
  return first instanceof Promise ? first.then(second) : second();
}

function readSegment(segment: Segment, at: number, view: Uint8Array): void {
  const expected = Math.max(0, Math.min(view.length, segment.length - at));
  const count = expected === 0 ? 0 : segment.file.read(view.subarray(0, expected), { at });
  if (count !== expected) throw new Error(`the browser has read ${count} of ${expected} bytes`);
  view.fill(0, expected);
}

function writeSegment(segment: Segment, at: number, view: Uint8Array): void {
  segment.dirty = true;
  let count;
  try {
    count = segment.file.write(view, { at });
  } catch (error) {
    segment.length = segment.file.getSize();
    throw isFull(error) ? new Error(FULL) : error;
  }
  if (count !== view.length) {
    segment.length = segment.file.getSize();
    throw new Error(FULL);
  }
  segment.length = Math.max(segment.length, at + count);
}

/** Whether the part was the end of the file, and is gone now. */
function shorten(segment: Segment, { at, length }: Part): boolean {
  if (at + length < segment.length) return false;
  segment.dirty = true;
  segment.file.truncate(at);
  segment.length = at;
  return true;
}

/** The text is for users. */
const FULL = 'the browser gives this site no more room, or the disk of this computer is full';

function isFull(error: unknown): boolean {
  return error instanceof Error && (error.name === 'QuotaExceededError' || error.message.includes('NO_DEVICE_SPACE'));
}
