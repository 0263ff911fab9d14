// SPDX-License-Identifier: MIT
// What owner, host and storage worker tell each other of disks: messages, and
// the two rings between host and storage worker.

import type { DiskHolder } from './disk-lock.ts';
import { RingPair } from './ring.ts';

/** An empty file system. */
export type DiskFormat = 'ext4';

export interface ImageAddress {
  /** Of its manifest: an absolute URL or, in Node.js, the path of a file. */
  address: string;
  /** Node.js: a folder that keeps chunks. */
  cache?: string;
  /** The browser keeps chunks. */
  kept?: true;
}

/** Where a disk's bytes are. The owner has checked all of it. */
export interface DiskSource {
  name: string;
  readOnly: boolean;
  /** Bytes. */
  size?: number;
  /** A file of Node.js. */
  file?: string;
  /** A disk in memory begins with these bytes. */
  content?: Uint8Array;
  /** The browser keeps the disk. */
  saved?: true;
  /** What to do with a saved disk that another machine has. */
  whenInUse?: 'fail' | 'wait' | 'copy';
  /** Changes stay in memory. */
  overlay?: true;
  /** What a disk begins with that is new and has no content. */
  format?: DiskFormat;
  /** An image in chunks. */
  image?: ImageAddress;
}

/**
 * How messages of the log about a disk begin; then come its name and a colon. A
 * page knows them by that.
 */
export const DISK_TROUBLE = 'disk ';
export const DISK_WAIT = 'waiting for disk ';

/** What the guest is told of a disk: see host/src/backends/disks.hpp. */
export interface DiskDescription {
  name: string;
  /** Bytes. */
  size: number;
  readOnly: boolean;
  discards: boolean;
  unit: number;
}

/** What the host needs to use the disks. */
export interface DisksOfHost {
  disks: DiskDescription[];
  rings: SharedArrayBuffer;
}

/** What the owner wants of a disk. */
export type DiskWish =
  | { type: 'export' | 'import' | 'reset' | 'usage' }
  /** `size`: bytes. */
  | { type: 'grow'; size: number };

export type ToStorage =
  /** The first message, answered with 'opened' or 'failed'. */
  | { type: 'open'; sources: DiskSource[]; rings: SharedArrayBuffer }
  /** After 'opened': the host's port. */
  | { type: 'host'; port: MessagePort }
  /** The answer to 'title'. */
  | { type: 'title'; title: string }
  /** For a disk that is in use. The port is that of the transfer. */
  | (DiskWish & { disk: string; port: MessagePort })
  /** Does what was asked for, closes all disks, and answers 'closed'. */
  | { type: 'close' };

/** Why a disk cannot be opened: codes of a MachineError. */
export type DiskFailure = 'disk' | 'disk-in-use' | 'no-storage';

export type FromStorage =
  | { type: 'opened'; disks: DiskDescription[] }
  /** No disk is open. The text is for users. */
  | { type: 'failed'; kind: DiskFailure; message: string; detail?: string }
  /** The disk is another machine's, and is waited for. */
  | { type: 'waiting'; disk: string; holder: DiskHolder | undefined }
  /** Another page asks for the title of ours. */
  | { type: 'title' }
  /** A request has failed, and the guest gets an error. */
  | { type: 'trouble'; message: string }
  | { type: 'closed' };

export type HostToStorage =
  /**
   * Comes before the first request. After each answer the storage worker sets
   * a bit of the machine's doorbell, the word at this address in K.
   */
  | { type: 'kernel'; memory: WebAssembly.Memory; doorbell: number; bit: number }
  /**
   * Answered when all is on the media. `last`: the machine has ended, and asks
   * for nothing more.
   */
  | { type: 'settle'; last: boolean }
  /** The guest is told. */
  | { type: 'grown'; disk: number; size: number };

export type StorageToHost =
  /** `failure`: what is not on the media, for users. */
  | { type: 'settled'; failure?: string }
  /** The disk has `size` bytes. Answered with 'grown'. */
  | { type: 'grown'; disk: number; size: number };

/** In the order of enum class DiskOperation (host/src/backends/disks.hpp). */
export const READ = 0;
export const WRITE = 1;
export const FLUSH = 2;
export const ZERO = 3;
export const DISCARD = 4;
/** Added to one of these: the answer comes when it is on the medium. */
export const DURABLE = 16;

/**
 * Words. A request has 7, and 2 for each place in K, of which there are 256 at
 * most. What finds no room waits in the host.
 */
const REQUEST_WORDS = 65536;
/** An answer takes 4 with the ring's own: enough for 256 of 24 disks each. */
const ANSWER_WORDS = 32768;

export interface DiskRequest {
  disk: number;
  operation: number;
  id: number;
  /** Bytes. */
  offset: number;
  length: number;
  /** Pairs of an address in K and a length. */
  places: Uint32Array;
}

export class DiskRings extends RingPair {
  static create(): SharedArrayBuffer {
    return RingPair.make(REQUEST_WORDS, ANSWER_WORDS);
  }

  constructor(buffer: SharedArrayBuffer) {
    super(buffer, REQUEST_WORDS, ANSWER_WORDS);
  }

  /** False if there is no room now. */
  ask({ disk, operation, id, offset, length, places }: DiskRequest): boolean {
    const [low, high] = halves(offset);
    const [lengthLow, lengthHigh] = halves(length);
    return this.requests.push([disk, operation, id, low, high, lengthLow, lengthHigh, ...places]);
  }

  take(): DiskRequest | undefined {
    const record = this.requests.shift();
    if (record === undefined) return undefined;
    const words = new Uint32Array(record.buffer);
    const [disk, operation, id, low, high, lengthLow, lengthHigh] = words as unknown as number[] & { length: 7 };
    return {
      disk: disk!,
      operation: operation!,
      id: id!,
      offset: high! * 2 ** 32 + low!,
      length: lengthHigh! * 2 ** 32 + lengthLow!,
      places: words.subarray(7),
    };
  }
}

function halves(value: number): [number, number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)];
}
