// SPDX-License-Identifier: MIT
// What host and storage worker tell each other of shares by two rings: the
// other side of host/src/backends/shares.hpp, with the same orders and layouts.

import { RingPair } from './ring.ts';
import type { Attributes, Space } from './share.ts';

/** In the order of enum class ShareOperation. */
export const OPERATIONS = [
  'reset',
  'forget',
  'lookup',
  'getAttributes',
  'setAttributes',
  'readLink',
  'makeFile',
  'makeFolder',
  'makeLink',
  'removeFile',
  'removeFolder',
  'rename',
  'link',
  'open',
  'create',
  'read',
  'write',
  'space',
  'close',
  'sync',
  'flush',
  'openFolder',
  'list',
] as const;
export type ShareOperation = (typeof OPERATIONS)[number];

/** What the guest is told of a share. */
export interface ShareDescription {
  tag: string;
  readOnly: boolean;
  flushes: boolean;
}

/** What the host needs to use the shares. */
export interface SharesOfHost {
  shares: ShareDescription[];
  rings: SharedArrayBuffer;
}

/**
 * Comes before the first request. After each answer the storage worker sets a
 * bit of the machine's doorbell, the word at this address in K.
 */
export interface HostToShares {
  memory: WebAssembly.Memory;
  doorbell: number;
  bit: number;
}

/** Operations without an answer. */
export const UNANSWERED = 2;

const REQUEST_WORDS = 65536;
const ANSWER_WORDS = 131072;
/** Of one answer: a listing of 4 KiB, or the target of a link. */
const LONGEST_ANSWER = 1200;
/** So many answers have room in their ring. More requests wait in the host. */
export const MOST_ON_WAY = Math.floor(ANSWER_WORDS / (LONGEST_ANSWER + 1));

export class ShareRings extends RingPair {
  static create(): SharedArrayBuffer {
    return RingPair.make(REQUEST_WORDS, ANSWER_WORDS);
  }

  constructor(buffer: SharedArrayBuffer) {
    super(buffer, REQUEST_WORDS, ANSWER_WORDS);
  }
}

/** struct ShareRequest. */
export interface ShareRequest {
  share: number;
  operation: ShareOperation;
  id: number;
  node: number;
  otherNode: number;
  handle: number;
  offset: number;
  length: number;
  flags: number;
  mode: number;
  user: number;
  group: number;
  changes: {
    valid: number;
    mode: number;
    user: number;
    group: number;
    size: number;
    accessed: number;
    modified: number;
    accessedNanoseconds: number;
    modifiedNanoseconds: number;
  };
  name: Uint8Array;
  otherName: Uint8Array;
  /** Pairs of an address in K and a length. */
  places: Uint32Array;
}

/** Reads a record of the ring of requests. */
export function requestOf(record: Int32Array): ShareRequest {
  const words = new Uint32Array(record.buffer);
  const bytes = new Uint8Array(record.buffer);
  let at = 0;
  const take = () => words[at++]!;
  // 2^32 is a power of two, so that nothing is lost up to 2^53.
  const take64 = () => take() + take() * 2 ** 32;
  /** Seconds may be before 1970. */
  const takeSigned = () => take() + (take() | 0) * 2 ** 32;
  const takeText = () => {
    const length = take();
    const text = bytes.subarray(4 * at, 4 * at + length);
    at += Math.ceil(length / 4);
    return text;
  };
  return {
    share: take(),
    operation: OPERATIONS[take()]!,
    id: take(),
    node: take64(),
    otherNode: take64(),
    handle: take64(),
    offset: take64(),
    length: take64(),
    flags: take(),
    mode: take(),
    user: take(),
    group: take(),
    changes: {
      valid: take(),
      mode: take(),
      user: take(),
      group: take(),
      size: take64(),
      accessed: takeSigned(),
      modified: takeSigned(),
      accessedNanoseconds: take(),
      modifiedNanoseconds: take(),
    },
    name: takeText(),
    otherName: takeText(),
    places: words.subarray(at),
  };
}

/** The words of an answer. FsDevice::completed() has their layout. */
export class AnswerWords {
  readonly words: number[] = [];

  add(value: number): this {
    this.words.push(value);
    return this;
  }

  add64(value: number): this {
    this.words.push(value % 2 ** 32, Math.floor(value / 2 ** 32));
    return this;
  }

  addBytes(bytes: Uint8Array): this {
    this.words.push(bytes.length);
    for (let at = 0; at < bytes.length; at += 4)
      this.words.push(
        bytes[at]! | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24),
      );
    return this;
  }

  /** struct fuse_attr. */
  addAttributes(given: Attributes): this {
    this.add64(given.inode).add64(given.size).add64(given.blocks);
    const times = [given.accessed, given.modified, given.changed];
    for (const { seconds } of times) this.add64(seconds);
    for (const { nanoseconds } of times) this.add(nanoseconds);
    // No devices, and no flags.
    return this.add(given.mode).add(given.links).add(given.user).add(given.group).add(0).add(given.blockSize).add(0);
  }

  /** struct fuse_kstatfs. */
  addSpace({ blocks, free, available, files, freeFiles, blockSize }: Space): this {
    for (const value of [blocks, free, available, files, freeFiles]) this.add64(value);
    this.add(blockSize).add(LONGEST_NAME).add(blockSize);
    for (let unused = 0; unused < 7; ++unused) this.add(0);
    return this;
  }
}

/** Bytes of a name. */
export const LONGEST_NAME = 255;
