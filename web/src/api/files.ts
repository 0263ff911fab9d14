// SPDX-License-Identifier: MIT
// Files of a machine for its owner, by the paths that they have in the guest.

import { FileError } from '../storage/file-error.ts';
import { isBelow, type FileRequest, type FileStatus, type FolderEntry } from '../storage/share-files.ts';
import type { SharesClient } from './shares.ts';

/** Bytes of a large file that are on their way at a time. */
const PIECE = 1 << 20;

const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

/** Where files are: shares, each at its place in the guest. */
export interface SharePlace {
  place: string;
  share: number;
}

/**
 * `machine.fs`. Paths are absolute paths of the guest, in shared folders: there
 * it works before the guest has booted, while it runs, and after it has ended,
 * until the machine is disposed of. All functions reject with a FileError,
 * whose `code` is Linux's.
 */
export class MachineFiles {
  private readonly shares: SharesClient | undefined;
  private readonly places: readonly SharePlace[];

  constructor(shares: SharesClient | undefined, places: readonly SharePlace[]) {
    this.shares = shares;
    // The innermost place of a path comes first.
    this.places = [...places].sort((one, other) => other.place.length - one.place.length);
  }

  /** All bytes of a file. */
  async readFile(path: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.read(path)) pieces.push(piece);
    const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /** A file in pieces of up to 1 MiB, each read when it is asked for. */
  async *read(path: string): AsyncGenerator<Uint8Array, void, undefined> {
    const { ask, below } = this.at(path);
    const handle = (await ask({ operation: 'open', path: below, write: false, mode: 0 })) as number;
    try {
      for (let offset = 0; ;) {
        const bytes = (await ask({ operation: 'read', handle, offset, length: PIECE })) as Uint8Array;
        if (bytes.length === 0) return;
        offset += bytes.length;
        yield bytes;
      }
    } finally {
      await ask({ operation: 'close', handle });
    }
  }

  /**
   * Makes a file, or gives one new content. A stream is read as fast as it is
   * written. `mode` has the permission bits of a new file.
   */
  async writeFile(path: string, content: FileContent, { mode = FILE_MODE }: { mode?: number } = {}): Promise<void> {
    const { ask, below } = this.at(path);
    const handle = (await ask({ operation: 'open', path: below, write: true, mode })) as number;
    try {
      let offset = 0;
      for await (const piece of piecesOf(content)) {
        // The bytes are transferred, so this is a copy, which slice() of a
        // Buffer would not make.
        await ask({ operation: 'write', handle, offset, bytes: new Uint8Array(piece) });
        offset += piece.length;
      }
    } finally {
      await ask({ operation: 'close', handle });
    }
  }

  /** What is in a folder, in no order. */
  async readdir(path: string): Promise<FolderEntry[]> {
    const { ask, below } = this.at(path);
    return (await ask({ operation: 'list', path: below })) as FolderEntry[];
  }

  /** Follows links that stay in the share. */
  async stat(path: string): Promise<FileStatus> {
    const { ask, below } = this.at(path);
    return (await ask({ operation: 'stat', path: below })) as FileStatus;
  }

  /** With `recursive` also the folders around it, and it may be there. */
  async mkdir(path: string, { recursive = false, mode = FOLDER_MODE } = {}): Promise<void> {
    const { ask, below } = this.at(path);
    await ask({ operation: 'mkdir', path: below, recursive, mode });
  }

  /** Replaces a file that is there. Both paths must be in one share. */
  async rename(path: string, to: string): Promise<void> {
    const { ask, below, place } = this.at(path);
    const other = this.at(to);
    if (other.place !== place) throw new FileError('EXDEV', to);
    await ask({ operation: 'rename', path: below, to: other.below });
  }

  /** With `recursive` a folder and all in it; with `force` it may be gone. */
  async rm(path: string, { recursive = false, force = false } = {}): Promise<void> {
    const { ask, below } = this.at(path);
    await ask({ operation: 'rm', path: below, recursive, force });
  }

  /**
   * Calls the handler when a file, or something in a folder, has changed, by
   * the guest or by others; with the name in the folder, if it is known.
   * Changes that follow each other closely may be told once, or more often.
   * Resolves to a function that ends it.
   */
  async watch(path: string, handler: (name: string | undefined) => void): Promise<() => void> {
    const { below, share } = this.at(path);
    return withPath(path, this.shares!.watch(share, below, handler));
  }

  private at(path: string): {
    ask: (request: FileRequest) => Promise<unknown>;
    below: string;
    place: string;
    share: number;
  } {
    const { shares } = this;
    const clean = normal(path);
    const found = this.places.find(({ place }) => isBelow(clean, place));
    if (found === undefined || shares === undefined) throw new FileError('EXDEV', path);
    const { place, share } = found;
    return {
      ask: (request) => withPath(path, shares.ask(share, request)),
      below: clean.slice(place.length),
      place,
      share,
    };
  }
}

/** Gives an error the path that was asked for. */
async function withPath<T>(path: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw error instanceof FileError ? new FileError(error.code, path) : error;
  }
}

function normal(path: string): string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) throw new FileError('EINVAL', path);
  const parts: string[] = [];
  for (const part of path.split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return `/${parts.join('/')}`;
}

async function* piecesOf(content: FileContent): AsyncIterable<Uint8Array> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  if (!(bytes instanceof Uint8Array)) yield* bytes;
  else for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}
