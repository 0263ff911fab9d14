// SPDX-License-Identifier: MIT
// Ways to the files below a folder of Node.js that do not lead out of it.
//
// On Linux a folder is a descriptor, and what is in it has the path
// /proc/self/fd/N/NAME: whoever moves folders or puts links there meanwhile
// changes nothing. Elsewhere a folder is a path, and each of its components is
// compared with what was found there before it is used. In the moment between
// the two, another program of this computer may put a link there; the guest
// cannot, because its requests are done one after the other.

import type { BigIntStats } from 'node:fs';
import { FileError } from './file-error.ts';
import type { Files } from './folder-share.ts';
import { FOLDER } from './share.ts';

export interface PlacedNode {
  device: bigint;
  inode: bigint;
  /** Undefined for the root. */
  parent: PlacedNode | undefined;
  name: string;
  /** The type's bits of its mode. */
  type: number;
}

/** Linux's, which Node.js has no name for. */
const O_PATH = 0o10000000;

/** Descriptors of folders that stay open. */
const MOST_FOLDERS = 256;

/**
 * Folders within each other. What others have moved while the guest looked may
 * seem to be in itself.
 */
const DEEPEST = 4096;

/** What a Windows path could be instead of a name. */
const NO_NAME_OF_WINDOWS = /[\\/:*?"<>|\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

type Check = (status: BigIntStats) => void;

export class FolderPlaces {
  root!: PlacedNode;
  private readonly files: Files;
  private readonly path: string;
  /** Linux: the root's. */
  private readonly descriptor: number | undefined;
  /** Linux: the other folders', the one that was used last at the end. */
  private readonly descriptors = new Map<PlacedNode, number>();
  private held: PlacedNode | undefined;

  constructor(files: Files, path: string) {
    this.files = files;
    this.path = files.realpathSync(path);
    if (process.platform === 'linux' && files.existsSync('/proc/self/fd'))
      this.descriptor = files.openSync(this.path, this.folderFlags());
  }

  rootStatus(): BigIntStats {
    return this.descriptor === undefined
      ? this.files.lstatSync(this.path, { bigint: true })
      : this.files.fstatSync(this.descriptor, { bigint: true });
  }

  /** The path of a folder; valid until the next call. */
  of(folder: PlacedNode): string {
    return this.descriptor === undefined ? this.checkedPath(folder) : `/proc/self/fd/${this.descriptorOf(folder)}`;
  }

  /** The path of what has this name in a folder; valid until the next call. */
  at(folder: PlacedNode, name: string): string {
    if (process.platform === 'win32' && NO_NAME_OF_WINDOWS.test(name)) throw new FileError('EINVAL');
    return `${this.of(folder)}/${name}`;
  }

  /** Calls `use` with two paths that are valid at a time. */
  atBoth(
    folder: PlacedNode,
    name: string,
    other: PlacedNode,
    otherName: string,
    use: (from: string, to: string) => void,
  ) {
    const from = this.at(folder, name);
    this.held = folder;
    try {
      use(from, this.at(other, otherName));
    } finally {
      this.held = undefined;
    }
  }

  /**
   * Opens a file that `check` accepts; it throws if it does not. Linux opens
   * the very inode that was checked.
   */
  open(folder: PlacedNode, name: string, access: number, check: Check): number {
    // Windows has neither.
    const { O_NOFOLLOW, O_NONBLOCK } = this.files.constants as Partial<Files['constants']>;
    const path = this.at(folder, name);
    if (this.descriptor !== undefined)
      return this.withInode(path, check, (inode) => this.files.openSync(inode, access | (O_NONBLOCK ?? 0)));
    check(this.files.lstatSync(path, { bigint: true }));
    const descriptor = this.files.openSync(path, access | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0));
    try {
      check(this.files.fstatSync(descriptor, { bigint: true }));
    } catch (error) {
      this.files.closeSync(descriptor);
      throw error;
    }
    return descriptor;
  }

  /** Gives a path that follows no link of the share's. */
  withPath(node: PlacedNode, use: (path: string) => void, check: Check): void {
    if (node.type === FOLDER) {
      use(this.of(node));
      return;
    }
    const path = this.at(node.parent!, node.name);
    if (this.descriptor !== undefined) this.withInode(path, check, use);
    else {
      check(this.files.lstatSync(path, { bigint: true }));
      use(path);
    }
  }

  release(folder: PlacedNode): void {
    const descriptor = this.descriptors.get(folder);
    if (descriptor === undefined) return;
    this.descriptors.delete(folder);
    this.files.closeSync(descriptor);
  }

  end(): void {
    for (const folder of [...this.descriptors.keys()]) this.release(folder);
    if (this.descriptor !== undefined) this.files.closeSync(this.descriptor);
  }

  private folderFlags(): number {
    const { O_DIRECTORY, O_NOFOLLOW } = this.files.constants;
    return O_PATH | O_DIRECTORY | O_NOFOLLOW;
  }

  private withInode<T>(path: string, check: Check, use: (path: string) => T): T {
    const inode = this.files.openSync(path, O_PATH | this.files.constants.O_NOFOLLOW);
    try {
      check(this.files.fstatSync(inode, { bigint: true }));
      return use(`/proc/self/fd/${inode}`);
    } finally {
      this.files.closeSync(inode);
    }
  }

  private descriptorOf(folder: PlacedNode): number {
    // The way up to the nearest folder that is open, and down again.
    const way: PlacedNode[] = [];
    let at = folder;
    while (at !== this.root && !this.descriptors.has(at)) {
      way.push(at);
      if (at.parent === undefined || way.length > DEEPEST) throw new FileError('ESTALE');
      at = at.parent;
    }
    let descriptor = at === this.root ? this.descriptor! : this.touch(at);
    for (const next of way.reverse()) {
      descriptor = this.openFolder(descriptor, next);
      this.descriptors.set(next, descriptor);
      this.makeRoom(next);
    }
    return descriptor;
  }

  private openFolder(parent: number, folder: PlacedNode): number {
    const descriptor = this.files.openSync(`/proc/self/fd/${parent}/${folder.name}`, this.folderFlags());
    const status = this.files.fstatSync(descriptor, { bigint: true });
    if (status.dev === folder.device && status.ino === folder.inode) return descriptor;
    this.files.closeSync(descriptor);
    throw new FileError('ESTALE');
  }

  private touch(folder: PlacedNode): number {
    const descriptor = this.descriptors.get(folder)!;
    this.descriptors.delete(folder);
    this.descriptors.set(folder, descriptor);
    return descriptor;
  }

  /** Closes the one that was used least recently. */
  private makeRoom(used: PlacedNode): void {
    for (const folder of this.descriptors.keys()) {
      if (this.descriptors.size <= MOST_FOLDERS) return;
      if (folder !== used && folder !== this.held) this.release(folder);
    }
  }

  private checkedPath(folder: PlacedNode): string {
    const way: PlacedNode[] = [];
    for (let at = folder; at !== this.root; at = at.parent) {
      way.push(at);
      if (at.parent === undefined || way.length > DEEPEST) throw new FileError('ESTALE');
    }
    let path = this.path;
    for (const { name, device, inode } of way.reverse()) {
      path += `/${name}`;
      const status = this.files.lstatSync(path, { bigint: true });
      if (!status.isDirectory() || status.dev !== device || status.ino !== inode) throw new FileError('ESTALE');
    }
    return path;
  }
}
