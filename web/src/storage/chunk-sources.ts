// SPDX-License-Identifier: MIT
// Where an image's manifest and chunks come from: a static host, or a folder of
// Node.js. What they give is checked by who asks for it.

import { nodeModule } from '../machine/platform.ts';
import { LONGEST_MANIFEST } from './manifest.ts';

export interface ChunkSource {
  manifest(): Promise<string>;
  /**
   * The chunk of this name, which should have so many bytes. `fresh`: not what
   * a cache on the way has.
   *
   * @throws Error with a message for users, which names the place; a
   *   NoSuchChunk where it is of no use to try again.
   */
  chunk(name: string, length: number, fresh: boolean): Promise<Uint8Array>;
}

/** Keeps chunks between machines. It may lose them, and be wrong. */
export interface ChunkCache {
  get(name: string, length: number): Promise<Uint8Array | undefined>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  close?(): Promise<void>;
}

export class NoSuchChunk extends Error {}

/** Milliseconds that a download may take. */
const PATIENCE = 60_000;

/** The requests that a server may be asked again after. */
const TEMPORARY = [408, 425, 429];

const chunkPath = (name: string): string => `chunks/${name}`;

/** The text of a manifest, or the bytes of a chunk, from a static host. */
export class HttpSource implements ChunkSource {
  private readonly address: string;
  private readonly patience: number;

  /** `address`: that of root.json. */
  constructor(address: string, patience = PATIENCE) {
    this.address = address;
    this.patience = patience;
  }

  async manifest(): Promise<string> {
    // A host may have replaced it.
    const bytes = await this.load(this.address, LONGEST_MANIFEST, 'no-cache');
    return new TextDecoder().decode(bytes);
  }

  chunk(name: string, length: number, fresh: boolean): Promise<Uint8Array> {
    return this.load(new URL(chunkPath(name), this.address).href, length, fresh ? 'reload' : 'default');
  }

  private async load(address: string, most: number, cache: RequestCache): Promise<Uint8Array> {
    try {
      const signal = AbortSignal.timeout(this.patience);
      const response = await fetch(address, { cache, signal });
      if (!response.ok) {
        const { status } = response;
        void response.body?.cancel();
        const isFinal = status < 500 && !TEMPORARY.includes(status);
        throw new (isFinal ? NoSuchChunk : Error)(`the server answers ${status}`);
      }
      return await bytesOf(response, most);
    } catch (error) {
      const message = `${address}: ${reasonOf(error)}`;
      throw error instanceof NoSuchChunk ? new NoSuchChunk(message) : new Error(message);
    }
  }
}

/** A server may send more than it says, and without end. */
async function bytesOf(response: Response, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let part; (part = (await reader?.read())?.value) !== undefined;) {
    length += part.length;
    if (length > most) {
      void reader!.cancel();
      throw new Error(`the server sends more than ${most} bytes`);
    }
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let place = 0;
  for (const part of parts) bytes.set(part, (place += part.length) - part.length);
  return bytes;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'the download takes too long';
  // Node.js hides the reason.
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? `${error.message} (${cause.message})` : error.message;
}

/** What is used of node:fs/promises. */
interface FileSystem {
  stat(path: string): Promise<{ size: number; isFile(): boolean }>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
}

function fileSystem(): FileSystem {
  const files = nodeModule('node:fs/promises') as FileSystem | undefined;
  if (files === undefined) throw new Error('only Node.js has files');
  return files;
}

/** A read of a pipe would not end, and one of a large file fill the memory. */
async function readSmall(path: string, most: number): Promise<Uint8Array> {
  const files = fileSystem();
  const status = await files.stat(path);
  if (!status.isFile()) throw new NoSuchChunk(`${path} is no regular file`);
  if (status.size > most) throw new NoSuchChunk(`${path} has more than ${most} bytes`);
  return new Uint8Array(await files.readFile(path));
}

/** A folder that `./auklet image` has made. */
export class FolderSource implements ChunkSource {
  private readonly manifestPath: string;
  private readonly folder: string;

  /** `path`: that of root.json. */
  constructor(path: string) {
    this.manifestPath = path;
    this.folder = path.replace(/[^/\\]*$/, '');
  }

  async manifest(): Promise<string> {
    return new TextDecoder().decode(await readSmall(this.manifestPath, LONGEST_MANIFEST));
  }

  chunk(name: string, length: number): Promise<Uint8Array> {
    return readSmall(this.folder + chunkPath(name), length);
  }
}

/** Chunks in a folder of Node.js. Several programs may use it at a time. */
export class FolderCache implements ChunkCache {
  private readonly folder: string;
  private made: Promise<unknown> | undefined;
  private count = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  async get(name: string, length: number): Promise<Uint8Array | undefined> {
    try {
      return await readSmall(`${this.folder}/${name}`, length);
    } catch {
      return undefined;
    }
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    const files = fileSystem();
    await (this.made ??= files.mkdir(this.folder, { recursive: true }));
    const { pid } = nodeModule('node:process') as { pid: number };
    // A file has its name when it is whole.
    const unfinished = `${this.folder}/.${name}.${pid}.${++this.count}`;
    await files.writeFile(unfinished, bytes);
    await files.rename(unfinished, `${this.folder}/${name}`);
  }
}

/** `address`: of root.json, an URL or, in Node.js, the path of a file. */
export function chunkSource(address: string): ChunkSource {
  return /^https?:/.test(address) ? new HttpSource(address) : new FolderSource(address);
}
