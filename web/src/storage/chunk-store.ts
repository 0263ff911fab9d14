// SPDX-License-Identifier: MIT
// A cache of chunks in one file: that of OPFS, or a test's.
//
// The file begins with a table, which has a record for each place of a chunk:
// its name, its length, and when it was used last. A table or a chunk that is
// torn or old does no harm, because whoever gets a chunk compares it with its
// name. So nothing is flushed, and a second machine reads the file while the
// first one, whose file it is, writes it.

import type { ChunkCache } from './chunk-sources.ts';
import { nameOf } from './manifest.ts';
import type { SegmentFile } from './segments.ts';

export interface ChunkStoreFile {
  /** Rejects if another machine has it open. It is made if there is none. */
  open(): Promise<SegmentFile>;
  /** What is in the file, whoever has it open. */
  look(): Promise<Blob>;
}

/** Bytes of a place. A larger chunk is not kept. */
export const PLACE = 256 << 10;

/** 256 MiB. */
const PLACES = 1024;

/** Bytes of a record, and where its parts are. */
const RECORD = 64;
const NAME = 32;
const LENGTH = 32;
const USED = 40;

/** A place in the table. */
interface Kept {
  place: number;
  length: number;
  /** Counts uses of all chunks. */
  used: number;
}

export class ChunkStore implements ChunkCache {
  private readonly file: ChunkStoreFile;
  private readonly places: number;
  private readonly kept = new Map<string, Kept>();
  private opening: Promise<void> | undefined;
  private isOpening = false;
  /** Undefined while another machine has it. */
  private direct: SegmentFile | undefined;
  private seen: Blob | undefined;
  private clock = 0;
  private closed = false;

  constructor(file: ChunkStoreFile, places = PLACES) {
    this.file = file;
    this.places = places;
  }

  async get(name: string, length: number): Promise<Uint8Array | undefined> {
    await this.open();
    const kept = this.kept.get(name);
    if (kept?.length !== length) return undefined;
    const at = this.offsetOf(kept.place);
    if (this.direct === undefined) return this.look(at, length);
    const bytes = new Uint8Array(length);
    this.direct.read(bytes, { at });
    kept.used = ++this.clock;
    this.record(name, kept);
    return bytes;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > PLACE) return;
    await this.open();
    // Whoever had it may have closed it.
    if (this.direct === undefined) await this.open(true);
    const { direct } = this;
    if (direct === undefined) return;
    const place = this.kept.get(name)?.place ?? this.freePlace();
    this.kept.delete(name);
    if (direct.write(bytes, { at: this.offsetOf(place) }) !== bytes.length) return;
    const kept = { place, length: bytes.length, used: ++this.clock };
    this.kept.set(name, kept);
    this.record(name, kept);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.opening?.catch(() => {});
    this.direct?.close();
    this.direct = undefined;
  }

  /** Once, or once more. */
  private open(again = false): Promise<void> {
    if (this.opening === undefined || (again && !this.isOpening)) {
      this.isOpening = true;
      this.opening = this.begin().finally(() => (this.isOpening = false));
    }
    return this.opening;
  }

  private async begin(): Promise<void> {
    if (this.closed) return;
    let direct: SegmentFile | undefined;
    try {
      direct = await this.file.open();
    } catch {
      // Another machine of this site has it.
    }
    const length = this.places * RECORD;
    const table = new Uint8Array(length);
    try {
      if (direct === undefined) table.set(await this.look(0, length));
      else direct.read(table, { at: 0 });
    } catch {
      // It has no chunks then. The next put() opens it once more.
      table.fill(0);
      direct?.close();
      direct = undefined;
    }
    this.readTable(table);
    if (this.closed) direct?.close();
    else this.direct = direct;
  }

  /** Reads what another machine has open, and may be changing. */
  private async look(at: number, length: number): Promise<Uint8Array> {
    const part = async () => {
      this.seen ??= await this.file.look();
      return new Uint8Array(await this.seen.slice(at, at + length).arrayBuffer());
    };
    try {
      return await part();
    } catch {
      this.seen = undefined;
      return part();
    }
  }

  private readTable(table: Uint8Array): void {
    this.kept.clear();
    const view = new DataView(table.buffer);
    for (let place = 0; place < this.places; ++place) {
      const at = place * RECORD;
      const length = view.getUint32(at + LENGTH, true);
      if (length === 0 || length > PLACE) continue;
      const used = view.getFloat64(at + USED, true);
      if (!Number.isSafeInteger(used) || used < 0) continue;
      this.clock = Math.max(this.clock, used);
      this.kept.set(nameOf(table.subarray(at, at + NAME)), { place, length, used });
    }
  }

  /** A place that has no chunk, or whose chunk was not used for longest. */
  private freePlace(): number {
    const taken = new Set<number>();
    let oldest: [string, Kept] | undefined;
    for (const entry of this.kept) {
      taken.add(entry[1].place);
      if (oldest === undefined || entry[1].used < oldest[1].used) oldest = entry;
    }
    for (let place = 0; place < this.places; ++place) if (!taken.has(place)) return place;
    this.kept.delete(oldest![0]);
    return oldest![1].place;
  }

  private record(name: string, { place, length, used }: Kept): void {
    const record = new Uint8Array(RECORD);
    for (let at = 0; at < NAME; ++at) record[at] = parseInt(name.slice(2 * at, 2 * at + 2), 16);
    const view = new DataView(record.buffer);
    view.setUint32(LENGTH, length, true);
    view.setFloat64(USED, used, true);
    this.direct!.write(record, { at: place * RECORD });
  }

  private offsetOf(place: number): number {
    return this.places * RECORD + place * PLACE;
  }
}
