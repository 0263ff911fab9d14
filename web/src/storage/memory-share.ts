// SPDX-License-Identifier: MIT
// A share in memory, which ends with the machine.

import { FileError } from './file-error.ts';
import {
  FILE,
  FOLDER,
  LINK,
  NO_REPLACE,
  TRUNCATE,
  TYPE,
  type Attributes,
  type Changes,
  type Entry,
  type Owner,
  type Share,
  type Space,
  type Time,
} from './share.ts';

/** Bytes of a file's content that are kept together, at most and at least. */
const PAGE = 65536;
const SMALLEST = 1024;

/** What a name, an inode and their objects take. */
const NODE_SIZE = 1024;

const PERMISSIONS = 0o7777;

interface MemoryNode {
  inode: number;
  mode: number;
  links: number;
  user: number;
  group: number;
  accessed: Time;
  modified: Time;
  changed: Time;
  size: number;
  /** Of a file, by the page's number. What is missing is zero. */
  pages: Map<number, Uint8Array>;
  /** Of a folder. */
  children: Map<string, MemoryNode>;
  parent: MemoryNode | undefined;
  target: string;
  watchers: Set<(name: string | undefined) => void>;
  /** Nodes and open files that keep the content of a file without a name. */
  opened: number;
}

interface MemoryOpen {
  node: MemoryNode;
}

export class MemoryShare implements Share<MemoryNode, MemoryOpen> {
  readonly readOnly: boolean;
  readonly flushes = false;
  readonly root: MemoryNode;
  /** Bytes that it may take. */
  private readonly size: number;
  private used = 0;
  private nextInode = 1;
  private lastTime = 0n;

  constructor(size: number, readOnly: boolean) {
    this.size = size;
    this.readOnly = readOnly;
    this.root = this.makeNode(FOLDER | 0o755, { user: 0, group: 0 });
    this.root.links = 2;
  }

  lookup(folder: MemoryNode, name: string): MemoryNode {
    const node = folderOf(folder).get(name);
    if (node === undefined) throw new FileError('ENOENT');
    return node;
  }

  attributes(node: MemoryNode): Attributes {
    const { inode, size, accessed, modified, changed, mode, links, user, group } = node;
    const blocks = taken(node) / 512;
    return { inode, size, blocks, accessed, modified, changed, mode, links, user, group, blockSize: PAGE };
  }

  setAttributes(node: MemoryNode, { size, mode, user, group, accessed, modified }: Changes): void {
    const now = this.now();
    if (size !== undefined) {
      if ((node.mode & TYPE) !== FILE) throw new FileError('EINVAL');
      this.resize(node, size);
      node.modified = now;
    }
    if (mode !== undefined) node.mode = (node.mode & TYPE) | (mode & PERMISSIONS);
    if (user !== undefined) node.user = user;
    if (group !== undefined) node.group = group;
    if (accessed !== undefined) node.accessed = accessed === 'now' ? now : accessed;
    if (modified !== undefined) node.modified = modified === 'now' ? now : modified;
    node.changed = now;
    tell(node);
  }

  readLink(node: MemoryNode): string {
    if ((node.mode & TYPE) !== LINK) throw new FileError('EINVAL');
    return node.target;
  }

  makeFolder(folder: MemoryNode, name: string, mode: number, owner: Owner): MemoryNode {
    const node = this.add(folder, name, FOLDER | (mode & PERMISSIONS), owner);
    node.links = 2;
    ++folder.links;
    return node;
  }

  makeLink(folder: MemoryNode, name: string, target: string, owner: Owner): MemoryNode {
    const node = this.add(folder, name, LINK | 0o777, owner);
    node.target = target;
    node.size = new TextEncoder().encode(target).length;
    return node;
  }

  remove(folder: MemoryNode, name: string): void {
    const node = this.lookup(folder, name);
    if ((node.mode & TYPE) === FOLDER) throw new FileError('EISDIR');
    this.unlink(folder, name, node);
  }

  removeFolder(folder: MemoryNode, name: string): void {
    const node = this.lookup(folder, name);
    if (folderOf(node).size > 0) throw new FileError('ENOTEMPTY');
    this.unlink(folder, name, node);
  }

  rename(folder: MemoryNode, name: string, newFolder: MemoryNode, newName: string, flags: number): void {
    if ((flags & ~NO_REPLACE) !== 0) throw new FileError('EINVAL');
    const node = this.lookup(folder, name);
    const old = folderOf(newFolder).get(newName);
    this.checkAlive(newFolder);
    if (old !== undefined && flags === NO_REPLACE) throw new FileError('EEXIST');
    if (old === node) return;
    const isFolder = (node.mode & TYPE) === FOLDER;
    if (isFolder)
      for (let at: MemoryNode | undefined = newFolder; at !== undefined; at = at.parent)
        if (at === node) throw new FileError('EINVAL');
    if (old !== undefined) {
      const replacesFolder = (old.mode & TYPE) === FOLDER;
      if (isFolder && !replacesFolder) throw new FileError('ENOTDIR');
      if (!isFolder && replacesFolder) throw new FileError('EISDIR');
      if (replacesFolder && old.children.size > 0) throw new FileError('ENOTEMPTY');
      this.unlink(newFolder, newName, old);
    }
    folder.children.delete(name);
    newFolder.children.set(newName, node);
    node.changed = this.now();
    if (isFolder) {
      --folder.links;
      ++newFolder.links;
      node.parent = newFolder;
    }
    this.touch(folder, name);
    this.touch(newFolder, newName);
  }

  link(node: MemoryNode, folder: MemoryNode, name: string): void {
    if ((node.mode & TYPE) === FOLDER) throw new FileError('EPERM');
    if (node.links === 0) throw new FileError('ENOENT');
    if (folderOf(folder).has(name)) throw new FileError('EEXIST');
    this.checkAlive(folder);
    this.take(NODE_SIZE);
    folder.children.set(name, node);
    ++node.links;
    node.changed = this.now();
    this.touch(folder, name);
  }

  open(node: MemoryNode, flags: number): MemoryOpen {
    if ((node.mode & TYPE) !== FILE) throw new FileError((node.mode & TYPE) === FOLDER ? 'EISDIR' : 'ELOOP');
    if ((flags & TRUNCATE) !== 0) this.setAttributes(node, { size: 0 });
    ++node.opened;
    return { node };
  }

  create(
    folder: MemoryNode,
    name: string,
    _flags: number,
    mode: number,
    owner: Owner,
  ): { node: MemoryNode; open: MemoryOpen } {
    const node = this.add(folder, name, FILE | (mode & PERMISSIONS), owner);
    ++node.opened;
    return { node, open: { node } };
  }

  read({ node }: MemoryOpen, offset: number, views: Uint8Array[]): number {
    let at = offset;
    for (const view of views) {
      const length = Math.max(0, Math.min(view.length, node.size - at));
      eachPart(at, view.subarray(0, length), (page, begin, part) => {
        const bytes = node.pages.get(page)?.subarray(begin, begin + part.length);
        if (bytes !== undefined) part.set(bytes);
        part.fill(0, bytes?.length ?? 0);
      });
      at += length;
    }
    return at - offset;
  }

  write({ node }: MemoryOpen, offset: number, views: Uint8Array[]): number {
    let at = offset;
    try {
      for (const view of views) {
        eachPart(at, view, (page, begin, part) => this.pageOf(node, page, begin + part.length).set(part, begin));
        at += view.length;
      }
    } finally {
      node.size = Math.max(node.size, at);
      node.modified = node.changed = this.now();
      tell(node);
    }
    return at - offset;
  }

  sync(): void {}

  syncFolder(): void {}

  close({ node }: MemoryOpen): void {
    --node.opened;
    this.dropUnused(node);
  }

  list(folder: MemoryNode): Entry[] {
    return [...folderOf(folder)].map(([name, { mode }]) => ({ name, type: mode & TYPE }));
  }

  space(): Space {
    const free = Math.floor((this.size - this.used) / PAGE);
    const freeFiles = Math.floor((this.size - this.used) / NODE_SIZE);
    return {
      blockSize: PAGE,
      blocks: Math.floor(this.size / PAGE),
      free,
      available: free,
      files: Math.floor(this.size / NODE_SIZE),
      freeFiles,
    };
  }

  /** Names and open files keep nodes; uses do not. */
  forget(): void {}

  watch(node: MemoryNode, changed: (name: string | undefined) => void): () => void {
    node.watchers.add(changed);
    return () => void node.watchers.delete(changed);
  }

  end(): void {
    this.root.children.clear();
  }

  /** No two are equal: a change is seen by its time. */
  private now(): Time {
    const time = BigInt(Date.now()) * 1_000_000n;
    this.lastTime = time > this.lastTime ? time : this.lastTime + 1n;
    return { seconds: Number(this.lastTime / 1_000_000_000n), nanoseconds: Number(this.lastTime % 1_000_000_000n) };
  }

  private makeNode(mode: number, { user, group }: Owner): MemoryNode {
    this.take(NODE_SIZE);
    const now = this.now();
    return {
      inode: this.nextInode++,
      mode,
      links: 1,
      user,
      group,
      accessed: now,
      modified: now,
      changed: now,
      size: 0,
      pages: new Map(),
      children: new Map(),
      parent: undefined,
      target: '',
      watchers: new Set(),
      opened: 0,
    };
  }

  private add(folder: MemoryNode, name: string, mode: number, owner: Owner): MemoryNode {
    if (folderOf(folder).has(name)) throw new FileError('EEXIST');
    this.checkAlive(folder);
    const node = this.makeNode(mode, owner);
    node.parent = folder;
    folder.children.set(name, node);
    this.touch(folder, name);
    return node;
  }

  /** Nothing is made in a folder that has been removed. */
  private checkAlive(folder: MemoryNode): void {
    if (folder.links === 0) throw new FileError('ENOENT');
  }

  private unlink(folder: MemoryNode, name: string, node: MemoryNode): void {
    folder.children.delete(name);
    if ((node.mode & TYPE) === FOLDER) {
      node.links = 0;
      --folder.links;
    } else --node.links;
    this.used -= NODE_SIZE;
    node.changed = this.now();
    this.dropUnused(node);
    this.touch(folder, name);
    tell(node);
  }

  private dropUnused(node: MemoryNode): void {
    if (node.links > 0 || node.opened > 0) return;
    this.used -= taken(node);
    node.pages.clear();
  }

  private touch(folder: MemoryNode, name: string): void {
    folder.modified = folder.changed = this.now();
    tell(folder, name);
  }

  private take(bytes: number): void {
    if (this.used + bytes > this.size) throw new FileError('ENOSPC');
    this.used += bytes;
  }

  /** The page, with room for so many bytes. */
  private pageOf(node: MemoryNode, page: number, length: number): Uint8Array {
    const old = node.pages.get(page);
    if (old !== undefined && old.length >= length) return old;
    let size = SMALLEST;
    while (size < length) size *= 2;
    this.take(size - (old?.length ?? 0));
    const bytes = new Uint8Array(size);
    if (old !== undefined) bytes.set(old);
    node.pages.set(page, bytes);
    return bytes;
  }

  private resize(node: MemoryNode, size: number): void {
    if (size < node.size) {
      const last = Math.floor(size / PAGE);
      for (const [page, bytes] of [...node.pages])
        if (page > last) {
          node.pages.delete(page);
          this.used -= bytes.length;
        }
      node.pages.get(last)?.fill(0, size % PAGE);
    }
    node.size = size;
  }
}

/** Bytes that a file's content takes. */
function taken({ pages }: MemoryNode): number {
  let sum = 0;
  for (const bytes of pages.values()) sum += bytes.length;
  return sum;
}

function folderOf(node: MemoryNode): Map<string, MemoryNode> {
  if ((node.mode & TYPE) !== FOLDER) throw new FileError('ENOTDIR');
  return node.children;
}

function tell(node: MemoryNode, name?: string): void {
  for (const changed of node.watchers) changed(name);
  // Who watches a folder hears of its files.
  if (name === undefined && node.parent !== undefined && node.parent.watchers.size > 0)
    for (const [each, child] of node.parent.children)
      if (child === node) for (const changed of node.parent.watchers) changed(each);
}

/** Calls `use` for each part of the view that is within a page. */
function eachPart(
  offset: number,
  view: Uint8Array,
  use: (page: number, begin: number, part: Uint8Array) => void,
): void {
  for (let done = 0; done < view.length;) {
    const begin = (offset + done) % PAGE;
    const length = Math.min(PAGE - begin, view.length - done);
    use(Math.floor((offset + done) / PAGE), begin, view.subarray(done, done + length));
    done += length;
  }
}
