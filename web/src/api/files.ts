// SPDX-License-Identifier: MIT
// Files of a machine for its owner, by the paths that they have in the guest.

import { FileError } from '../storage/file-error.ts';
import { isBelow, type FileRequest, type FileStatus, type FolderEntry } from '../storage/share-files.ts';
import type { AgentFiles } from './agent-files.ts';
import { concatenate, isBytes } from './bytes.ts';
import { checkFileOptions } from './check-options.ts';
import { placeOf, type SharesClient } from './shares.ts';
import { MachineError, type ShareOptions } from './types.ts';

/**
 * Bytes of a large file that are on their way at a time. The agent takes no
 * more.
 */
const PIECE = 1 << 20;

/** Bytes of a file that is read at once. The guest chooses how many it has. */
const MOST_AT_ONCE = 2 ** 30;

const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

/** Who reads and writes at a path. */
interface Way {
  ask: (request: FileRequest) => Promise<unknown>;
  watch: (handler: (name: string | undefined) => void) => Promise<() => void>;
  /** The path for it. */
  below: string;
  /** Undefined outside of all shares. */
  share: number | undefined;
}

/**
 * `machine.fs`. Paths are absolute paths of the guest.
 *
 * In a shared folder it works before the guest has booted, while it runs, and
 * after it has ended, until the machine is disposed of. Everywhere else the
 * guest's agent does it, so the machine must have been booted with
 * `exec: true`. A call waits until the agent is there.
 *
 * All functions reject with a FileError, whose `code` is Linux's; and with a
 * MachineError if the machine ends before, has no agent ('failed'), or is asked
 * with options that are none ('invalid-option').
 *
 * Linux's names are bytes. A byte that is not UTF-8 is the character U+DC00 and
 * the byte, in what readdir() and watch() tell and in paths.
 */
export class MachineFiles {
  private readonly shares: SharesClient | undefined;
  private readonly places: readonly { place: string; share: number }[];
  private readonly agent: AgentFiles | undefined;
  private readonly mostAtOnce: number;

  constructor(
    shares: SharesClient | undefined,
    options: readonly ShareOptions[],
    agent: AgentFiles | undefined,
    mostAtOnce = MOST_AT_ONCE,
  ) {
    this.shares = shares;
    // The innermost place of a path comes first.
    this.places = options
      .map((share, index) => ({ place: placeOf(share), share: index }))
      .sort((one, other) => other.place.length - one.place.length);
    this.agent = agent;
    this.mostAtOnce = mostAtOnce;
  }

  /** All bytes of a file. One of more than 1 GiB is EFBIG: use read(). */
  async readFile(path: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.read(path)) {
      size += piece.length;
      if (size > this.mostAtOnce) throw new FileError('EFBIG', path);
      pieces.push(piece);
    }
    return concatenate(pieces);
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
   * Makes a file, or gives one new content, in its place: its mode, its owner
   * and its other names stay, and what was written before a failure is there. A
   * stream is read as fast as it is written. `mode` has the permission bits of
   * a new file, 0 to 0o7777.
   */
  async writeFile(path: string, content: FileContent, options: { mode?: number } = {}): Promise<void> {
    // Before the file loses what it has.
    checkFileOptions('writeFile', options);
    if (typeof content !== 'string' && !isIterable(content)) throw noBytes();
    const { ask, below } = this.at(path);
    const { mode = FILE_MODE } = options;
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

  /** Follows links; in a share those that stay in it. */
  async stat(path: string): Promise<FileStatus> {
    const { ask, below } = this.at(path);
    return (await ask({ operation: 'stat', path: below })) as FileStatus;
  }

  /** With `recursive` also the folders around it, and it may be there. */
  async mkdir(path: string, options: { recursive?: boolean; mode?: number } = {}): Promise<void> {
    checkFileOptions('mkdir', options);
    const { recursive = false, mode = FOLDER_MODE } = options;
    const { ask, below } = this.at(path);
    await ask({ operation: 'mkdir', path: below, recursive, mode });
  }

  /**
   * Replaces a file that is there. Both paths must be in one share, or in one
   * file system of the guest: EXDEV.
   */
  async rename(path: string, to: string): Promise<void> {
    const { ask, below, share } = this.at(path);
    const other = this.at(to);
    if (other.share !== share) throw new FileError('EXDEV', to);
    await ask({ operation: 'rename', path: below, to: other.below });
  }

  /**
   * With `recursive` a folder and all in it, also what is mounted there; with
   * `force` it may be gone. It follows no link.
   */
  async rm(path: string, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
    checkFileOptions('rm', options);
    const { recursive = false, force = false } = options;
    const { ask, below } = this.at(path);
    await ask({ operation: 'rm', path: below, recursive, force });
  }

  /**
   * Calls the handler when a file, or something in a folder, has changed, by
   * the guest or by others; with the name in the folder, if it is known.
   * Changes that follow each other closely may be told once, or more often.
   * Folders in the folder do not count. Resolves to a function that ends it.
   */
  async watch(path: string, handler: (name: string | undefined) => void): Promise<() => void> {
    return withPath(path, this.at(path).watch(handler));
  }

  private at(path: string): Way {
    const { shares, agent } = this;
    const clean = normal(path);
    const found = this.places.find(({ place }) => isBelow(clean, place));
    if (found !== undefined && shares !== undefined) {
      const { place, share } = found;
      const below = clean.slice(place.length);
      return {
        ask: (request) => withPath(path, shares.ask(share, request)),
        watch: (handler) => shares.watch(share, below, handler),
        below,
        share,
      };
    }
    if (agent === undefined)
      throw new MachineError('failed', `${path} is in no shared folder: boot the machine with exec: true to use it`);
    return {
      ask: (request) => withPath(path, agent.ask(request)),
      watch: (handler) => agent.watch(clean, handler),
      below: clean,
      share: undefined,
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
  const whole = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  for await (const bytes of isBytes(whole) ? [whole] : whole) {
    if (!isBytes(bytes)) throw noBytes();
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
  }
}

function isIterable(content: unknown): boolean {
  if (typeof content !== 'object' || content === null) return false;
  return isBytes(content) || Symbol.asyncIterator in content || Symbol.iterator in content;
}

function noBytes(): MachineError {
  return new MachineError('invalid-option', 'a file is written with Uint8Arrays');
}
