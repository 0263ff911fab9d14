// SPDX-License-Identifier: MIT
// What the file server of the guest's agent is asked, and what it answers
// (docs/exec.md, "Files"). The guest may be hostile: no answer is longer than
// what was asked for allows.

import { FileError } from '../storage/file-error.ts';
import { statusOf, type FileStatus, type FolderEntry } from '../storage/share-files.ts';
import { concatenate, words } from './bytes.ts';
import { decodeName, encodePath } from './guest-names.ts';
import { MachineError } from './types.ts';

/** The number that begins such a connection. */
export const FILES_NUMBER = 0xffff_ffff;

export const ANSWER_SIZE = 12;
/**
 * In the place of a watch: no server could be started, and the error says why.
 */
export const NO_SERVER = 0xffff_ffff;
/** Bytes of a name, as of Linux. */
export const LONGEST_NAME = 255;
/** Bytes of a path with its NUL, as of Linux. */
const LONGEST_PATH = 4096;
const STATUS_SIZE = 40;
const HANDLE_SIZE = 4;
/** Bytes of one piece of a listing. */
const LISTING_SIZE = 65536;

const OPERATIONS = {
  status: 1,
  open: 2,
  openFolder: 3,
  watch: 4,
  read: 5,
  write: 6,
  entries: 7,
  close: 8,
  makeFolder: 9,
  rename: 10,
  remove: 11,
} as const;

/**
 * The most bytes of an answer. That to `read` has as many as were asked for.
 */
const MOST: Partial<Record<keyof typeof OPERATIONS, number>> = {
  status: STATUS_SIZE,
  open: HANDLE_SIZE,
  openFolder: HANDLE_SIZE,
  watch: HANDLE_SIZE,
  entries: LISTING_SIZE,
};

/** The flag of `open`. */
export const TO_WRITE = 1;
/** Flags of `makeFolder` and `remove`. */
export const RECURSIVE = 1;
export const FORCE = 2;

export interface AgentRequest {
  operation: keyof typeof OPERATIONS;
  paths?: readonly string[];
  content?: Uint8Array;
  handle?: number;
  flags?: number;
  /** Permission bits, or the most bytes to read. */
  argument?: number;
}

/**
 * The request but for its content, which follows.
 * @throws FileError ENAMETOOLONG or EILSEQ.
 */
export function encodeRequest({
  operation,
  paths = [],
  content,
  handle = 0,
  flags = 0,
  argument = 0,
}: AgentRequest): Uint8Array {
  const following = concatenate(paths.map(encodedPath));
  const length = content?.length ?? following.length;
  return concatenate([words(OPERATIONS[operation], length, handle, flags, argument), following]);
}

function encodedPath(path: string): Uint8Array {
  const bytes = encodePath(path);
  if (bytes.length >= LONGEST_PATH) throw new FileError('ENAMETOOLONG', path);
  return concatenate([bytes, new Uint8Array(1)]);
}

/** The most bytes of the answer to a request. */
export function mostBytes({ operation, argument = 0 }: AgentRequest): number {
  return operation === 'read' ? argument : (MOST[operation] ?? 0);
}

export function nonsense(): MachineError {
  return new MachineError('failed', "the guest's agent answered nonsense");
}

export function handleOf(answer: Uint8Array): number {
  if (answer.length !== HANDLE_SIZE) throw nonsense();
  return viewOf(answer).getUint32(0, true);
}

export function statusIn(answer: Uint8Array): FileStatus {
  if (answer.length !== STATUS_SIZE) throw nonsense();
  const view = viewOf(answer);
  const [mode, links, user, group, nanoseconds] = [0, 4, 8, 12, 32].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return statusOf({
    mode,
    links,
    user,
    group,
    size: Number(view.getBigUint64(16, true)),
    modified: { seconds: Number(view.getBigInt64(24, true)), nanoseconds },
  });
}

const TYPES = new Map([
  ['f', 'file'],
  ['d', 'folder'],
  ['l', 'link'],
  ['o', 'other'],
] as const);

export function entriesIn(answer: Uint8Array): FolderEntry[] {
  const entries: FolderEntry[] = [];
  for (let at = 0; at < answer.length;) {
    const type = TYPES.get(String.fromCharCode(answer[at]!) as 'f');
    const end = answer.indexOf(0, at + 1);
    const name = answer.subarray(at + 1, end);
    if (type === undefined || end < 0 || !isName(name)) throw nonsense();
    entries.push({ name: decodeName(name), type });
    at = end + 1;
  }
  return entries;
}

/** A name that leads nowhere else than into its folder. */
export function isName(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || bytes.length > LONGEST_NAME || bytes.includes(0) || bytes.includes(0x2f)) return false;
  return !(bytes[0] === 0x2e && (bytes.length === 1 || (bytes.length === 2 && bytes[1] === 0x2e)));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
