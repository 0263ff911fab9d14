// SPDX-License-Identifier: MIT
// A disk that the browser keeps for this site: segments, a description of them,
// and the lock of the machine that has it.
//
// The description names one generation of segments. A new content is written as
// the next generation, and counts from the moment when the description names
// it: whatever ends the tab before, the old content is there.

import type { Disk, Done } from './disk.ts';
import type { DiskLock } from './disk-lock.ts';
import { SegmentDisk } from './segment-disk.ts';
import { MOST_SEGMENTS, segmentOf, SEGMENT_SIZE, type SegmentFolder } from './segments.ts';

const DESCRIPTION = 'disk.json';

/** Bytes. A sector is written whole or not at all. */
const DESCRIPTION_SIZE = 512;

interface Description {
  version: 1;
  generation: number;
  /** Bytes of the disk. */
  size: number;
  /** Whether the generation is to be made as for a disk that is new. */
  isNew?: boolean;
}

/** Bytes of a disk that is given no size. */
const DEFAULT_SIZE = 4 * 2 ** 30;

export class SavedDisk implements Disk {
  readonly readOnly: boolean;
  readonly unit = 0;
  readonly medium: string;
  private readonly folder: SegmentFolder;
  private readonly segments: SegmentDisk;
  private readonly lock: DiskLock;
  /** The generation that was written last, or is being written. */
  private latest: number;
  /** What DESCRIPTION says: perhaps another generation than this one. */
  private description: Description;
  /** Resolves when no change of it is on the way. */
  private described: Promise<void> = Promise.resolve();

  private constructor(
    name: string,
    folder: SegmentFolder,
    description: Description,
    segments: SegmentDisk,
    lock: DiskLock,
  ) {
    this.medium = `saved:${name}`;
    this.description = description;
    this.readOnly = segments.readOnly;
    this.folder = folder;
    this.latest = description.generation;
    this.segments = segments;
    this.lock = lock;
  }

  /**
   * Opens the disk, or makes one of `size` bytes. A smaller one grows; a larger
   * one stays. `initialize` fills a disk that is new. The disk has the lock
   * from now on.
   */
  static async open(
    name: string,
    folder: SegmentFolder,
    lock: DiskLock,
    size: number | undefined,
    readOnly: boolean,
    initialize: (disk: Disk) => Done,
  ): Promise<SavedDisk> {
    let segments: SegmentDisk | undefined;
    try {
      const known = await readDescription(folder);
      const description: Description = {
        version: 1,
        generation: known?.generation ?? 0,
        size: Math.max(size ?? 0, known?.size ?? 0) || DEFAULT_SIZE,
      };
      checkSize(description.size);
      const isNew = known === undefined || known.isNew === true;
      // Of a disk that was not finished, too: its description comes last.
      await removeOthers(folder, isNew ? undefined : description.generation);
      segments = await SegmentDisk.open(folder, description.generation, description.size, readOnly);
      if (isNew) {
        await initialize(segments);
        segments.flush();
      }
      if (isNew || description.size !== known.size) await writeDescription(folder, description);
      return new SavedDisk(name, folder, description, segments, lock);
    } catch (error) {
      await segments?.close();
      lock.release();
      throw error;
    }
  }

  get size(): number {
    return this.segments.size;
  }

  /** Bytes of the browser's storage that the disk takes. */
  get usage(): number {
    return this.segments.usage;
  }

  read(offset: number, views: Uint8Array[]): Done {
    return this.segments.read(offset, views);
  }

  write(offset: number, views: Uint8Array[]): Done {
    return this.segments.write(offset, views);
  }

  flush(): void {
    this.segments.flush();
  }

  zero(offset: number, length: number): Done {
    return this.segments.zero(offset, length);
  }

  discard(offset: number, length: number): Done {
    return this.segments.discard(offset, length);
  }

  nextData(offset: number): number {
    return this.segments.nextData(offset);
  }

  /** What another generation is to begin with is not smaller, either. */
  async grow(size: number): Promise<void> {
    checkSize(size);
    await this.describe(
      (old) => ({ ...old, size: Math.max(old.size, size) }),
      () => this.segments.grow(size),
    );
  }

  async close(): Promise<void> {
    try {
      await this.segments.close();
    } finally {
      this.lock.release();
    }
  }

  /**
   * A new content, which takes the place of this one at the next opening. What
   * is written until then to this disk is lost with it.
   */
  async replacement(): Promise<Replacement> {
    const generation = ++this.latest;
    await removeGeneration(this.folder, generation);
    const size = MOST_SEGMENTS * SEGMENT_SIZE;
    return new Replacement(
      await SegmentDisk.open(this.folder, generation, size, false),
      (length) => this.describe(() => ({ version: 1, generation, size: Math.max(length, this.size) })),
      () => removeGeneration(this.folder, generation),
    );
  }

  /** The disk is made as a new one at the next opening. */
  async reset(): Promise<void> {
    const generation = ++this.latest;
    await this.describe(() => ({ version: 1, generation, size: this.size, isNew: true }));
  }

  /** Changes the description. Changes come one after the other. */
  private describe(change: (old: Description) => Description, changed = () => {}): Promise<void> {
    const done = this.described.then(async () => {
      const description = change(this.description);
      await writeDescription(this.folder, description);
      this.description = description;
      changed();
    });
    this.described = done.catch(() => {});
    return done;
  }
}

/** A content that is being written. Either function ends it. */
export class Replacement {
  private readonly segments: SegmentDisk;
  private readonly name: (length: number) => Promise<void>;
  private readonly remove: () => Promise<void>;

  constructor(segments: SegmentDisk, name: (length: number) => Promise<void>, remove: () => Promise<void>) {
    this.segments = segments;
    this.name = name;
    this.remove = remove;
  }

  write(offset: number, bytes: Uint8Array): Done {
    if (offset + bytes.length > this.segments.size) throw new Error('the image is too large');
    return this.segments.write(offset, [bytes]);
  }

  /** `length`: bytes of the content, a multiple of 512. */
  async commit(length: number): Promise<void> {
    this.segments.flush();
    await this.segments.close();
    await this.name(length);
  }

  async abandon(): Promise<void> {
    await this.segments.close();
    await this.remove();
  }
}

async function readDescription(folder: SegmentFolder): Promise<Description | undefined> {
  if (!(await folder.names()).includes(DESCRIPTION)) return undefined;
  const file = await folder.open(DESCRIPTION);
  const bytes = new Uint8Array(DESCRIPTION_SIZE);
  let count;
  try {
    count = file.read(bytes, { at: 0 });
  } finally {
    file.close();
  }
  // It was made, and nothing was written to it.
  if (count === 0) return undefined;
  let description: Partial<Description> | null = null;
  try {
    description = JSON.parse(new TextDecoder().decode(bytes.subarray(0, count))) as typeof description;
  } catch {
    // It is none of ours.
  }
  const { version, generation, size, isNew }: Partial<Description> = description ?? {};
  if (typeof version === 'number' && version > 1)
    throw new Error(`it was made by a newer Auklet (version ${version} of its description)`);
  if (version !== 1 || !isCount(generation) || !isCount(size) || size === 0 || size % 512 !== 0)
    throw new Error(`its description (${DESCRIPTION}) is damaged`);
  return { version, generation, size, isNew: isNew === true };
}

function checkSize(size: number): void {
  if (size > MOST_SEGMENTS * SEGMENT_SIZE)
    throw new Error(`it cannot be larger than ${(MOST_SEGMENTS * SEGMENT_SIZE) / 2 ** 30} GiB`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

async function writeDescription(folder: SegmentFolder, description: Description): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(description).padEnd(DESCRIPTION_SIZE - 1) + '\n');
  const file = await folder.open(DESCRIPTION);
  try {
    if (file.write(bytes, { at: 0 }) !== bytes.length) throw new Error('the browser gives this site no room');
    file.flush();
  } finally {
    file.close();
  }
}

/** Removes all segments but those of a generation. */
async function removeOthers(folder: SegmentFolder, generation: number | undefined): Promise<void> {
  for (const name of await folder.names()) {
    const segment = segmentOf(name);
    if (segment !== undefined && segment.generation !== generation) await folder.remove(name);
  }
}

async function removeGeneration(folder: SegmentFolder, generation: number): Promise<void> {
  for (const name of await folder.names()) if (segmentOf(name)?.generation === generation) await folder.remove(name);
}
