// SPDX-License-Identifier: MIT
// A disk whose image is in chunks that are loaded when they are read. A chunk's
// name is its SHA-256, so whoever has it cannot change it.

import { NoSuchChunk, type ChunkCache, type ChunkSource } from './chunk-sources.ts';
import type { Disk, Done } from './disk.ts';
import { nameOf, parseManifest, type Manifest } from './manifest.ts';

/** Bytes of chunks in memory at most; the guest has a cache of its own. */
const MEMORY = 32 << 20;

/** Milliseconds before a failed download is tried again. */
const DELAYS = [100, 500, 2000];

/**
 * A browser has six connections to a host. One is left for what the guest waits
 * for.
 */
const PARALLEL = 5;

export interface ChunkedDiskOptions {
  cache?: ChunkCache;
  delays?: readonly number[];
  /** Bytes. */
  memory?: number;
  /** Hears of each request. */
  onRead?: (offset: number, length: number) => void;
}

export class ChunkedDisk implements Disk {
  readonly size: number;
  readonly readOnly = true;
  readonly unit: number;
  private readonly source: ChunkSource;
  private readonly manifest: Manifest;
  private readonly cache: ChunkCache | undefined;
  private readonly delays: readonly number[];
  private readonly onRead: ChunkedDiskOptions['onRead'];
  /** How many chunks are kept. */
  private readonly room: number;
  /** Chunks in memory; the one that was not used for longest is first. */
  private readonly kept = new Map<number, Uint8Array>();
  private readonly loading = new Map<number, Promise<Uint8Array>>();
  private readonly storing = new Set<Promise<void>>();
  private closed = false;

  /** @throws Error with a message for users. */
  static async open(source: ChunkSource, options: ChunkedDiskOptions = {}): Promise<ChunkedDisk> {
    const disk = new ChunkedDisk(source, parseManifest(await source.manifest()), options);
    void disk.prefetch();
    return disk;
  }

  private constructor(source: ChunkSource, manifest: Manifest, options: ChunkedDiskOptions) {
    this.source = source;
    this.manifest = manifest;
    this.size = manifest.size;
    this.unit = manifest.chunkSize;
    this.cache = options.cache;
    this.delays = options.delays ?? DELAYS;
    this.onRead = options.onRead;
    this.room = Math.max(1, Math.floor((options.memory ?? MEMORY) / manifest.chunkSize));
  }

  read(offset: number, views: Uint8Array[]): Done {
    const length = views.reduce((sum, view) => sum + view.length, 0);
    this.onRead?.(offset, length);
    const { chunkSize, chunks } = this.manifest;
    const content = new Map<number, Uint8Array | null>();
    const missing: Promise<void>[] = [];
    const end = Math.ceil((offset + length) / chunkSize);
    for (let index = Math.floor(offset / chunkSize); index < end; ++index) {
      const kept = chunks[index] === null ? null : this.recall(index);
      if (kept !== undefined) content.set(index, kept);
      else missing.push(this.load(index).then((bytes) => void content.set(index, bytes)));
    }
    const copy = () => copyOut(offset, views, chunkSize, (index) => content.get(index)!);
    if (missing.length === 0) return copy();
    return Promise.all(missing).then(copy);
  }

  write(): void {
    throw new Error('it is only read');
  }

  zero(): void {
    throw new Error('it is only read');
  }

  flush(): void {}

  async close(): Promise<void> {
    this.closed = true;
    this.kept.clear();
    await Promise.allSettled(this.storing);
    await this.cache?.close?.();
  }

  private recall(index: number): Uint8Array | undefined {
    const bytes = this.kept.get(index);
    if (bytes !== undefined) {
      this.kept.delete(index);
      this.kept.set(index, bytes);
    }
    return bytes;
  }

  /** Each chunk is loaded once at a time, whoever asks for it. */
  private load(index: number): Promise<Uint8Array> {
    const loading = this.loading.get(index);
    if (loading !== undefined) return loading;
    const loaded = this.find(index)
      .then((bytes) => {
        if (!this.closed) this.kept.set(index, bytes);
        for (const oldest of this.kept.keys()) if (this.kept.size > this.room) this.kept.delete(oldest);
        return bytes;
      })
      .finally(() => this.loading.delete(index));
    this.loading.set(index, loaded);
    return loaded;
  }

  private async find(index: number): Promise<Uint8Array> {
    const name = this.manifest.chunks[index]!;
    const length = Math.min(this.manifest.chunkSize, this.size - index * this.manifest.chunkSize);
    const cached = await this.cache?.get(name, length).catch(() => undefined);
    if (cached !== undefined && (await isChunk(cached, name, length))) return cached;
    const bytes = await this.download(name, length);
    if (this.cache !== undefined) {
      // A cache that is full is no reason to stop.
      const stored: Promise<void> = this.cache
        .put(name, bytes)
        .catch(() => {})
        .finally(() => this.storing.delete(stored));
      this.storing.add(stored);
    }
    return bytes;
  }

  private async download(name: string, length: number): Promise<Uint8Array> {
    for (let attempt = 0; ; ++attempt) {
      try {
        const bytes = await this.source.chunk(name, length, attempt > 0);
        if (await isChunk(bytes, name, length)) return bytes;
        throw new Error(`chunk ${name} is not what its name says: ${bytes.length} bytes of ${length}`);
      } catch (error) {
        const delay = this.delays[attempt];
        if (error instanceof NoSuchChunk || delay === undefined || this.closed) throw error;
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  }

  /** What fails is tried again, and reported, when the guest reads it. */
  private async prefetch(): Promise<void> {
    const wanted = this.manifest.prefetch.filter((index) => this.manifest.chunks[index] !== null);
    // More than is kept would drive out what was not read yet.
    if (this.cache === undefined) wanted.splice(this.room);
    const queue = wanted.values();
    const work = async () => {
      for (const index of queue) {
        if (this.closed) return;
        if (!this.kept.has(index)) await this.load(index).catch(() => {});
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }
}

async function isChunk(bytes: Uint8Array, name: string, length: number): Promise<boolean> {
  if (bytes.length !== length) return false;
  return nameOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))) === name;
}

/** Fills the views from chunks; null is a chunk of zeros. */
function copyOut(
  offset: number,
  views: Uint8Array[],
  chunkSize: number,
  chunk: (index: number) => Uint8Array | null,
): void {
  let place = offset;
  for (const view of views)
    for (let done = 0; done < view.length;) {
      const at = place % chunkSize;
      const part = Math.min(chunkSize - at, view.length - done);
      const bytes = chunk(Math.floor(place / chunkSize));
      if (bytes === null) view.fill(0, done, done + part);
      else view.set(bytes.subarray(at, at + part), done);
      done += part;
      place += part;
    }
}
