// SPDX-License-Identifier: MIT
// What the storage worker needs of a share: a tree of files. A backend is a
// class with these functions, and a line in open-share.ts.

/** A promise where the medium has no other way. */
export type Maybe<T> = T | Promise<T>;

export interface Time {
  /** Since 1970. */
  seconds: number;
  nanoseconds: number;
}

/** As of stat(2). */
export interface Attributes {
  inode: number;
  size: number;
  /** Of 512 bytes. */
  blocks: number;
  accessed: Time;
  modified: Time;
  changed: Time;
  /** Type and permission bits. */
  mode: number;
  links: number;
  user: number;
  group: number;
  blockSize: number;
}

/** What is to be changed; what is undefined stays. */
export interface Changes {
  size?: number;
  mode?: number;
  user?: number;
  group?: number;
  accessed?: Time | 'now';
  modified?: Time | 'now';
}

export interface Entry {
  name: string;
  /** The type's bits of a mode; 0 if it is not known. */
  type: number;
}

export interface Space {
  blockSize: number;
  blocks: number;
  free: number;
  available: number;
  files: number;
  freeFiles: number;
}

/** Whose a new file is. */
export interface Owner {
  user: number;
  group: number;
}

/** The type's bits of a mode. */
export const TYPE = 0o170000;
export const FOLDER = 0o040000;
export const FILE = 0o100000;
export const LINK = 0o120000;

/** Access modes, and flags, as the guest gives them to open(2). */
export const ACCESS = 3;
export const READ_ONLY = 0;
export const EXCLUSIVE = 0o200;
export const TRUNCATE = 0o1000;

/** Of renameat2(2). */
export const NO_REPLACE = 1;

/**
 * Files and folders. `Node` is a file, folder or link: the same object for the
 * same one as long as it is in use. `Open` is an open file.
 *
 * lookup(), makeFolder(), makeLink() and create() give one use of the node that
 * they return. Who has a use gives it back by forget(); the root needs none.
 *
 * Names are single components of a path: neither empty nor "." nor "..", at
 * most 255 bytes of UTF-8, without "/" and NUL. Who calls has checked that the
 * share is not `readOnly` before a change; a backend that can checks it again.
 * Functions throw errors with the codes of file-error.ts. What one of them has
 * written is in the share when it returns, for all who look there.
 */
export interface Share<Node extends object = object, Open extends object = object> {
  readonly readOnly: boolean;
  /** Whether flush() has to be called when a file is closed. */
  readonly flushes: boolean;
  readonly root: Node;
  lookup(folder: Node, name: string): Maybe<Node>;
  attributes(node: Node): Maybe<Attributes>;
  setAttributes(node: Node, changes: Changes): Maybe<void>;
  readLink(node: Node): Maybe<string>;
  makeFolder(folder: Node, name: string, mode: number, owner: Owner): Maybe<Node>;
  makeLink(folder: Node, name: string, target: string, owner: Owner): Maybe<Node>;
  remove(folder: Node, name: string): Maybe<void>;
  removeFolder(folder: Node, name: string): Maybe<void>;
  rename(folder: Node, name: string, newFolder: Node, newName: string, flags: number): Maybe<void>;
  /** Gives the file one more name. */
  link(node: Node, folder: Node, name: string): Maybe<void>;
  /** Never opens anything but a regular file. */
  open(node: Node, flags: number): Maybe<Open>;
  /** Makes a file and opens it. Fails with EEXIST where there is anything. */
  create(folder: Node, name: string, flags: number, mode: number, owner: Owner): Maybe<{ node: Node; open: Open }>;
  /** Returns how many bytes it read: fewer only at the file's end. */
  read(open: Open, offset: number, views: Uint8Array[]): Maybe<number>;
  write(open: Open, offset: number, views: Uint8Array[]): Maybe<number>;
  /** All that was written is on the medium afterwards. */
  sync(open: Open, onlyData: boolean): Maybe<void>;
  syncFolder(folder: Node): Maybe<void>;
  flush?(open: Open): Maybe<void>;
  close(open: Open): Maybe<void>;
  list(folder: Node): Maybe<Entry[]>;
  space(): Maybe<Space>;
  /** Gives uses of the node back: one, if nothing else is said. */
  forget(node: Node, uses?: number): void;
  /** Calls back when something in the folder or file has changed. */
  watch?(node: Node, changed: (name: string | undefined) => void): () => void;
  end(): Maybe<void>;
}
