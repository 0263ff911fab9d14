// SPDX-License-Identifier: MIT
// A share that is a folder of Node.js.
//
// The guest may be hostile, and others may change the folder meanwhile. So:
// - A node is known by device and inode number. A path is only a way to it, and
//   what is found there is compared.
// - No function follows a link in the last component of a path, and there is
//   never more than one component behind a folder that is known (FolderPlaces).
// - Only regular files are opened: to open a pipe may not end, and to open a
//   device may do something.
// - A file gets neither a set-user-ID bit nor another owner.

import type * as NodeFiles from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { FileError } from './file-error.ts';
import { FolderPlaces, type PlacedNode } from './folder-places.ts';
import {
  ACCESS,
  FILE,
  FOLDER,
  LINK,
  NO_REPLACE,
  READ_ONLY,
  TRUNCATE,
  TYPE,
  type Attributes,
  type Changes,
  type Entry,
  type Share,
  type Space,
  type Time,
} from './share.ts';

export type Files = typeof NodeFiles;

/** What the guest may set: no set-user-ID, no set-group-ID. */
const MODES = 0o1777;
const SET_ID = 0o6000;

const NANOSECONDS = 1_000_000_000n;

interface FolderNode extends PlacedNode {
  /** Open files of this node, by which a file without a name is reached. */
  opened: Set<number>;
  /** See Share. */
  uses: number;
}

export class FolderShare implements Share<FolderNode, { node: FolderNode; descriptor: number }> {
  readonly readOnly: boolean;
  readonly flushes = false;
  readonly root: FolderNode;
  private readonly files: Files;
  private readonly places: FolderPlaces;
  private readonly nodes = new Map<string, FolderNode>();
  /** The user and group of this process, who are root in the guest. */
  private readonly user: number | undefined;
  private readonly group: number | undefined;

  /** @throws Error with a message for users. */
  constructor(files: Files, path: string, readOnly: boolean) {
    this.files = files;
    this.readOnly = readOnly;
    if (!files.statSync(path).isDirectory()) throw new Error('it is no folder');
    this.places = new FolderPlaces(files, path);
    this.user = process.getuid?.();
    this.group = process.getgid?.();
    const { dev, ino } = this.places.rootStatus();
    this.root = { device: dev, inode: ino, parent: undefined, name: '', type: FOLDER, opened: new Set(), uses: 0 };
    this.nodes.set(keyOf(this.root), this.root);
    this.places.root = this.root;
  }

  lookup(folder: FolderNode, name: string): FolderNode {
    return this.nodeOf(folder, name, this.statusAt(folder, name));
  }

  attributes(node: FolderNode): Attributes {
    return this.attributesOf(this.statusOf(node));
  }

  setAttributes(node: FolderNode, { size, mode, user, group, accessed, modified }: Changes): void {
    this.check();
    if (user !== undefined || group !== undefined) {
      const now = this.attributes(node);
      if ((user ?? now.user) !== now.user || (group ?? now.group) !== now.group) throw new FileError('EPERM');
    }
    if (size !== undefined)
      this.withFile(node, this.files.constants.O_WRONLY, (fd) => this.files.ftruncateSync(fd, size));
    if (mode !== undefined) this.setMode(node, mode);
    if (accessed !== undefined || modified !== undefined) this.setTimes(node, accessed, modified);
  }

  readLink(node: FolderNode): string {
    return this.files.readlinkSync(this.knownPlace(node));
  }

  makeFolder(folder: FolderNode, name: string, mode: number): FolderNode {
    this.check();
    this.files.mkdirSync(this.places.at(folder, name), { mode: mode & MODES });
    const node = this.lookup(folder, name);
    try {
      // Linux has taken this process' umask off.
      this.setMode(node, mode & MODES);
    } catch (error) {
      this.forget(node);
      throw error;
    }
    return node;
  }

  makeLink(folder: FolderNode, name: string, target: string): FolderNode {
    this.check();
    this.files.symlinkSync(target, this.places.at(folder, name));
    return this.lookup(folder, name);
  }

  remove(folder: FolderNode, name: string): void {
    this.check();
    const status = this.statusAt(folder, name);
    if (status.isDirectory()) throw new FileError('EISDIR');
    this.files.unlinkSync(this.places.at(folder, name));
    // Its inode's number may soon be another file's.
    if (status.nlink === 1n) this.nodes.delete(keyOf({ device: status.dev, inode: status.ino }));
  }

  removeFolder(folder: FolderNode, name: string): void {
    this.check();
    const status = this.statusAt(folder, name);
    this.files.rmdirSync(this.places.at(folder, name));
    const key = keyOf({ device: status.dev, inode: status.ino });
    const node = this.nodes.get(key);
    if (node !== undefined) this.places.release(node);
    this.nodes.delete(key);
  }

  rename(folder: FolderNode, name: string, newFolder: FolderNode, newName: string, flags: number): void {
    this.check();
    if ((flags & ~NO_REPLACE) !== 0) throw new FileError('EINVAL');
    // Another program may make one between this and the rename.
    if (flags === NO_REPLACE && this.exists(newFolder, newName)) throw new FileError('EEXIST');
    this.places.atBoth(folder, name, newFolder, newName, (from, to) => this.files.renameSync(from, to));
    const { dev, ino } = this.statusAt(newFolder, newName);
    const node = this.nodes.get(keyOf({ device: dev, inode: ino }));
    if (node !== undefined) Object.assign(node, { parent: newFolder, name: newName });
  }

  link(node: FolderNode, folder: FolderNode, name: string): void {
    this.check();
    if (node.type === FOLDER) throw new FileError('EPERM');
    this.places.atBoth(node.parent!, node.name, folder, name, (from, to) => {
      this.same(node, this.files.lstatSync(from, { bigint: true }));
      this.files.linkSync(from, to);
    });
  }

  open(node: FolderNode, flags: number): { node: FolderNode; descriptor: number } {
    const { O_RDONLY, O_WRONLY, O_RDWR } = this.files.constants;
    const access = [O_RDONLY, O_WRONLY, O_RDWR][flags & ACCESS];
    if (access === undefined) throw new FileError('EINVAL');
    if ((flags & ACCESS) !== READ_ONLY || (flags & TRUNCATE) !== 0) this.check();
    const descriptor = this.openFile(node, access);
    if ((flags & TRUNCATE) !== 0) this.files.ftruncateSync(descriptor, 0);
    node.opened.add(descriptor);
    return { node, descriptor };
  }

  create(
    folder: FolderNode,
    name: string,
    flags: number,
    mode: number,
  ): { node: FolderNode; open: { node: FolderNode; descriptor: number } } {
    this.check();
    const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL } = this.files.constants;
    const access = [O_RDONLY, O_WRONLY, O_RDWR][flags & ACCESS];
    if (access === undefined) throw new FileError('EINVAL');
    const descriptor = this.files.openSync(this.places.at(folder, name), access | O_CREAT | O_EXCL, mode & MODES);
    // Linux has taken this process' umask off.
    this.files.fchmodSync(descriptor, mode & MODES);
    const node = this.nodeOf(folder, name, this.files.fstatSync(descriptor, { bigint: true }));
    node.opened.add(descriptor);
    return { node, open: { node, descriptor } };
  }

  read({ descriptor }: { descriptor: number }, offset: number, views: Uint8Array[]): number {
    return transfer(views, offset, (left, at) => this.files.readvSync(descriptor, left, at));
  }

  write({ descriptor }: { descriptor: number }, offset: number, views: Uint8Array[]): number {
    this.check();
    return transfer(views, offset, (left, at) => this.files.writevSync(descriptor, left, at));
  }

  sync({ descriptor }: { descriptor: number }, onlyData: boolean): void {
    if (onlyData) this.files.fdatasyncSync(descriptor);
    else this.files.fsyncSync(descriptor);
  }

  syncFolder(folder: FolderNode): void {
    const descriptor = this.files.openSync(this.places.of(folder), this.files.constants.O_RDONLY);
    try {
      this.files.fsyncSync(descriptor);
    } finally {
      this.files.closeSync(descriptor);
    }
  }

  close({ node, descriptor }: { node: FolderNode; descriptor: number }): void {
    node.opened.delete(descriptor);
    this.files.closeSync(descriptor);
  }

  list(folder: FolderNode): Entry[] {
    return this.files.readdirSync(this.places.of(folder), { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      type: entry.isFile() ? FILE : entry.isDirectory() ? FOLDER : entry.isSymbolicLink() ? LINK : 0,
    }));
  }

  space(): Space {
    const { bsize, blocks, bfree, bavail, files, ffree } = this.files.statfsSync(this.places.of(this.root));
    return { blockSize: bsize, blocks, free: bfree, available: bavail, files, freeFiles: ffree };
  }

  forget(node: FolderNode, uses = 1): void {
    node.uses -= uses;
    if (node === this.root || node.uses > 0) return;
    this.places.release(node);
    if (this.nodes.get(keyOf(node)) === node) this.nodes.delete(keyOf(node));
  }

  watch(node: FolderNode, changed: (name: string | undefined) => void): () => void {
    const path = node.type === FOLDER ? this.places.of(node) : this.knownPlace(node);
    // The system keeps what the path leads to now.
    const watcher = this.files.watch(path, { persistent: false }, (_, name) => changed(name ?? undefined));
    watcher.on('error', () => changed(undefined));
    return () => watcher.close();
  }

  end(): void {
    for (const { opened } of this.nodes.values()) for (const descriptor of opened) this.files.closeSync(descriptor);
    this.nodes.clear();
    this.places.end();
  }

  private check(): void {
    if (this.readOnly) throw new FileError('EROFS');
  }

  private statusAt(folder: PlacedNode, name: string): BigIntStats {
    return this.files.lstatSync(this.places.at(folder, name), { bigint: true });
  }

  private exists(folder: PlacedNode, name: string): boolean {
    return this.files.lstatSync(this.places.at(folder, name), { throwIfNoEntry: false }) !== undefined;
  }

  /** The node that was found there, with one more use. */
  private nodeOf(folder: FolderNode, name: string, status: BigIntStats): FolderNode {
    const found = { device: status.dev, inode: status.ino };
    const key = keyOf(found);
    const known = this.nodes.get(key);
    if (known?.type === typeOf(status)) {
      if (known !== this.root) Object.assign(known, { parent: folder, name });
      ++known.uses;
      return known;
    }
    const node: FolderNode = { ...found, parent: folder, name, type: typeOf(status), opened: new Set(), uses: 1 };
    this.nodes.set(key, node);
    return node;
  }

  private statusOf(node: FolderNode): BigIntStats {
    if (node === this.root) return this.places.rootStatus();
    // A file that is open may have lost its name.
    for (const descriptor of node.opened) return this.files.fstatSync(descriptor, { bigint: true });
    return this.same(node, this.statusAt(node.parent!, node.name));
  }

  /** The place of a node, at which it was just now. */
  private knownPlace(node: FolderNode): string {
    this.same(node, this.statusAt(node.parent!, node.name));
    return this.places.at(node.parent!, node.name);
  }

  private same(node: FolderNode, status: BigIntStats): BigIntStats {
    if (status.dev !== node.device || status.ino !== node.inode || typeOf(status) !== node.type)
      throw new FileError('ESTALE');
    return status;
  }

  private openFile(node: FolderNode, access: number): number {
    if (node.parent === undefined) throw new FileError('EISDIR');
    return this.places.open(node.parent, node.name, access, (status) => {
      this.same(node, status);
      if (!status.isFile()) throw new FileError('EACCES');
    });
  }

  private withFile(node: FolderNode, access: number, use: (descriptor: number) => void): void {
    const descriptor = this.openFile(node, access);
    try {
      use(descriptor);
    } finally {
      this.files.closeSync(descriptor);
    }
  }

  private setMode(node: FolderNode, mode: number): void {
    if ((mode & SET_ID) !== 0) throw new FileError('EPERM');
    const now = this.statusOf(node);
    if ((Number(now.mode) & 0o7777) === mode) return;
    if (now.isSymbolicLink()) throw new FileError('EOPNOTSUPP');
    this.places.withPath(
      node,
      (path) => this.files.chmodSync(path, mode),
      (status) => this.same(node, status),
    );
  }

  private setTimes(node: FolderNode, accessed: Time | 'now' | undefined, modified: Time | 'now' | undefined): void {
    const now = this.statusOf(node);
    const seconds = (time: Time | 'now' | undefined, old: bigint) =>
      time === 'now'
        ? Date.now() / 1000
        : time === undefined
          ? Number(old / 1000n) / 1e6
          : time.seconds + time.nanoseconds / 1e9;
    const times = [seconds(accessed, now.atimeNs), seconds(modified, now.mtimeNs)] as const;
    const [descriptor] = node.opened;
    if (descriptor !== undefined) this.files.futimesSync(descriptor, ...times);
    else if (node === this.root) this.files.utimesSync(this.places.of(node), ...times);
    else this.files.lutimesSync(this.places.at(node.parent!, node.name), ...times);
  }

  private attributesOf(status: BigIntStats): Attributes {
    const user = Number(status.uid);
    const group = Number(status.gid);
    return {
      inode: Number(BigInt.asUintN(53, status.ino)),
      size: Number(status.size),
      blocks: Number(status.blocks),
      accessed: timeOf(status.atimeNs),
      modified: timeOf(status.mtimeNs),
      changed: timeOf(status.ctimeNs),
      mode: Number(status.mode),
      links: Number(status.nlink),
      user: user === this.user ? 0 : user,
      group: group === this.group ? 0 : group,
      blockSize: Number(status.blksize),
    };
  }
}

function keyOf({ device, inode }: { device: bigint; inode: bigint }): string {
  return `${device}:${inode}`;
}

function typeOf({ mode }: BigIntStats): number {
  return Number(mode) & TYPE;
}

function timeOf(nanoseconds: bigint): Time {
  const rest = ((nanoseconds % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  return { seconds: Number((nanoseconds - rest) / NANOSECONDS), nanoseconds: Number(rest) };
}

/** The system may do a part of it. Returns how many bytes it did. */
function transfer(views: Uint8Array[], offset: number, act: (left: Uint8Array[], at: number) => number): number {
  let left = views;
  let done = 0;
  while (left.length > 0) {
    let count = act(left, offset + done);
    if (count === 0) break;
    done += count;
    while (left.length > 0 && count >= left[0]!.length) {
      count -= left[0]!.length;
      left = left.slice(1);
    }
    if (count > 0) left = [left[0]!.subarray(count), ...left.slice(1)];
  }
  return done;
}
