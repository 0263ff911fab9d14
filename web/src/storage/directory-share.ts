// SPDX-License-Identifier: MIT
// A share that is a directory which a page has a handle of: one of the site's
// own folder (OPFS), or one that the visitor has picked.
//
// Such a directory knows names, content and the time of a change, and no links,
// owners or modes. What it cannot keep is an error, and changes nothing.

import { allowed, find, moveFile, type Handle, type Place } from './directory-entries.ts';
import { DirectoryFile, type DirectoryHandle } from './directory-file.ts';
import { FileError } from './file-error.ts';
import {
  ACCESS,
  FILE,
  FOLDER,
  NO_REPLACE,
  READ_ONLY,
  TRUNCATE,
  type Attributes,
  type Changes,
  type Entry,
  type Maybe,
  type Share,
  type Space,
  type Time,
} from './share.ts';
import { Turns } from './turns.ts';

/** All files can be executed, because it is not known which ones should. */
const MODE = 0o755;

const BLOCK = 4096;

/** An access mode of open(2). */
const WRITE_ONLY = 1;

/** What Chromium adds to the name of a file for the copy of a stream. */
const COPY = '.crswap';

interface DirectoryNode {
  inode: number;
  parent: DirectoryNode | undefined;
  name: string;
  /** Of a folder. */
  handle: DirectoryHandle | undefined;
  /** Of a file. */
  file: DirectoryFile | undefined;
  /** Those that are in use, of a folder. */
  children: Map<string, DirectoryNode>;
  /** Of a folder: milliseconds, as far as it is known. */
  changed: number;
  /** See Share. Who has it open, watches or changes it has a use, too. */
  uses: number;
  /** A folder that was removed. */
  isGone: boolean;
  watchers: Set<(name: string | undefined) => void>;
}

interface DirectoryOpen {
  node: DirectoryNode;
}

/** The newest of these interfaces; not all engines have it. */
interface Observer {
  observe(handle: Handle): Promise<void>;
  disconnect(): void;
}
type ObserverClass = new (changed: (records: { relativePathComponents: string[] }[]) => void) => Observer;

export class DirectoryShare implements Share<DirectoryNode, DirectoryOpen> {
  readonly readOnly: boolean;
  readonly flushes: boolean;
  readonly root: DirectoryNode;
  private readonly isSynchronous: boolean;
  /** For all that depends on names. */
  private readonly turns = new Turns();
  private readonly used = new Set<DirectoryNode>();
  /** Files that are being closed, which may be used no more. */
  private readonly closing = new Set<Promise<void>>();
  private nextInode = 1;

  /** `isSynchronous`: its files have synchronous handles. */
  constructor(directory: DirectoryHandle, readOnly: boolean, isSynchronous: boolean) {
    this.readOnly = readOnly;
    this.isSynchronous = isSynchronous;
    this.flushes = !isSynchronous;
    this.root = this.makeNode(undefined, '', directory);
  }

  lookup(folder: DirectoryNode, name: string): Maybe<DirectoryNode> {
    return this.inTurn(folder, async (directory) => {
      const handle = await find(directory, name);
      if (handle === undefined) throw new FileError('ENOENT');
      return this.childOf(folder, name, handle);
    });
  }

  attributes(node: DirectoryNode): Maybe<Attributes> {
    if (node.file === undefined) {
      directoryOf(node);
      return this.attributesOf(node, FOLDER, 0, node.changed);
    }
    const found = node.file.attributes();
    const whole = ({ size, modified }: { size: number; modified: number }) =>
      this.attributesOf(node, FILE, size, modified);
    return found instanceof Promise ? found.then(whole) : whole(found);
  }

  async setAttributes(node: DirectoryNode, changes: Changes): Promise<void> {
    this.check();
    const { size, mode, user, group, accessed, modified } = changes;
    if ((mode !== undefined && (mode & 0o7777) !== MODE) || (user ?? 0) !== 0 || (group ?? 0) !== 0)
      throw new FileError('EPERM');
    if (typeof accessed === 'object' || typeof modified === 'object') throw new FileError('EPERM');
    ++node.uses;
    try {
      if (size !== undefined) await fileOf(node).truncate(size);
      else if (modified === 'now' && node.file !== undefined) await node.file.touch();
      else if (modified === 'now') node.changed = Date.now();
      this.tell(node);
    } finally {
      this.forget(node);
    }
  }

  readLink(): string {
    throw new FileError('EINVAL');
  }

  makeFolder(folder: DirectoryNode, name: string): Maybe<DirectoryNode> {
    return this.add(folder, name, async (directory) => {
      const handle = await directory.getDirectoryHandle(name, { create: true });
      return this.childOf(folder, name, handle);
    });
  }

  makeLink(): DirectoryNode {
    throw new FileError('EPERM');
  }

  link(): void {
    throw new FileError('EPERM');
  }

  create(folder: DirectoryNode, name: string): Maybe<{ node: DirectoryNode; open: DirectoryOpen }> {
    return this.add(folder, name, async (directory) => {
      const handle = await directory.getFileHandle(name, { create: true });
      const node = this.childOf(folder, name, handle);
      try {
        return { node, open: await this.open(node, WRITE_ONLY) };
      } catch (error) {
        this.forget(node);
        throw error;
      }
    });
  }

  remove(folder: DirectoryNode, name: string): Maybe<void> {
    return this.change(folder, async (directory) => {
      const handle = await find(directory, name);
      if (handle === undefined) throw new FileError('ENOENT');
      if (handle.kind === 'directory') throw new FileError('EISDIR');
      await this.takeAway(folder, name, () => directory.removeEntry(name));
      this.tell(folder, name);
    });
  }

  removeFolder(folder: DirectoryNode, name: string): Maybe<void> {
    return this.change(folder, async (directory) => {
      const handle = await find(directory, name);
      if (handle === undefined) throw new FileError('ENOENT');
      if (handle.kind === 'file') throw new FileError('ENOTDIR');
      await this.removeEmpty(folder, name, directory, handle);
      this.tell(folder, name);
    });
  }

  /**
   * A folder is moved file by file: what ends that leaves each of them in one
   * of the two places.
   */
  rename(folder: DirectoryNode, name: string, newFolder: DirectoryNode, newName: string, flags: number): Maybe<void> {
    if ((flags & ~NO_REPLACE) !== 0) throw new FileError('EINVAL');
    return this.change(folder, async (directory) => {
      const target = directoryOf(newFolder);
      const handle = await find(directory, name);
      if (handle === undefined) throw new FileError('ENOENT');
      const old = await find(target, newName);
      if (old !== undefined && flags === NO_REPLACE) throw new FileError('EEXIST');
      if (folder === newFolder && name === newName) return;
      if (handle.kind === 'directory')
        for (let at: DirectoryNode | undefined = newFolder; at !== undefined; at = at.parent)
          if (at.parent === folder && at.name === name) throw new FileError('EINVAL');
      if (old?.kind === 'directory' && handle.kind === 'file') throw new FileError('EISDIR');
      if (old?.kind === 'file' && handle.kind === 'directory') throw new FileError('ENOTDIR');
      if (old?.kind === 'directory') await this.removeEmpty(newFolder, newName, target, old);
      const node = folder.children.get(name);
      await this.move(handle, node, { directory, name }, { directory: target, name: newName }, (act) =>
        old === undefined ? act() : this.takeAway(newFolder, newName, act),
      );
      if (node !== undefined) {
        folder.children.delete(name);
        newFolder.children.set(newName, Object.assign(node, { parent: newFolder, name: newName }));
      }
      this.tell(folder, name);
      this.tell(newFolder, newName);
    });
  }

  open(node: DirectoryNode, flags: number): Maybe<DirectoryOpen> {
    const file = fileOf(node);
    const writes = (flags & ACCESS) !== READ_ONLY || (flags & TRUNCATE) !== 0;
    if (writes) this.check();
    const opened = file.open(writes);
    ++node.uses;
    if (!(opened instanceof Promise) && (flags & TRUNCATE) === 0) return { node };
    return (async () => {
      try {
        await opened;
      } catch (error) {
        this.forget(node);
        throw error;
      }
      const open = { node };
      try {
        if ((flags & TRUNCATE) !== 0) await file.truncate(0);
      } catch (error) {
        await this.close(open);
        throw error;
      }
      return open;
    })();
  }

  read({ node }: DirectoryOpen, offset: number, views: Uint8Array[]): Maybe<number> {
    return node.file!.read(offset, views);
  }

  write({ node }: DirectoryOpen, offset: number, views: Uint8Array[]): Maybe<number> {
    this.check();
    const done = node.file!.write(offset, views);
    this.tell(node);
    return done;
  }

  sync({ node }: DirectoryOpen): Maybe<void> {
    return node.file!.sync();
  }

  syncFolder(): void {}

  flush({ node }: DirectoryOpen): Maybe<void> {
    return node.file!.flush();
  }

  close({ node }: DirectoryOpen): Maybe<void> {
    // Until its stream is closed, whoever looks the file up must find this one:
    // a second stream would replace what this one has written.
    const forget = () => this.forget(node);
    let done;
    try {
      done = node.file!.close();
    } catch (error) {
      forget();
      throw error;
    }
    if (!(done instanceof Promise)) return forget();
    const closed: Promise<void> = done.finally(forget).finally(() => this.closing.delete(closed));
    this.closing.add(closed);
    return closed;
  }

  async list(folder: DirectoryNode): Promise<Entry[]> {
    const entries: Entry[] = [];
    for await (const [name, { kind }] of directoryOf(folder).entries()) {
      const isCopy = name.endsWith(COPY) && folder.children.get(name.slice(0, -COPY.length))?.file?.hasStream;
      if (!isCopy) entries.push({ name, type: kind === 'file' ? FILE : FOLDER });
    }
    return entries;
  }

  /** Nobody knows how much room there is where the visitor has picked. */
  async space(): Promise<Space> {
    const estimate = this.isSynchronous ? await navigator.storage.estimate() : undefined;
    const blocks = Math.floor((estimate?.quota ?? 0) / BLOCK);
    const free = Math.max(0, blocks - Math.ceil((estimate?.usage ?? 0) / BLOCK));
    return { blockSize: BLOCK, blocks, free, available: free, files: 0, freeFiles: 0 };
  }

  forget(node: DirectoryNode, uses = 1): void {
    node.uses -= uses;
    const { parent } = node;
    // What is in a folder needs the folder.
    if (parent === undefined || node.uses > 0 || node.children.size > 0) return;
    this.used.delete(node);
    if (parent.children.get(node.name) !== node) return;
    parent.children.delete(node.name);
    this.forget(parent, 0);
  }

  watch(node: DirectoryNode, changed: (name: string | undefined) => void): () => void {
    node.watchers.add(changed);
    ++node.uses;
    const { FileSystemObserver: Class } = globalThis as { FileSystemObserver?: ObserverClass };
    const directory = node.handle ?? node.parent?.handle;
    const hear = (name: string | undefined) => {
      if (node.handle !== undefined) changed(name);
      else if (name === node.name) changed(undefined);
    };
    const observer =
      Class === undefined
        ? undefined
        : new Class((records) => {
            for (const { relativePathComponents } of records) hear(relativePathComponents.at(-1));
          });
    // Without it, the guest's changes are told all the same.
    if (directory !== undefined) observer?.observe(directory).catch(() => {});
    return () => {
      if (!node.watchers.delete(changed)) return;
      observer?.disconnect();
      this.forget(node);
    };
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.closing);
    for (const { file } of this.used)
      try {
        await file?.end();
      } catch {
        // Programs were told when they closed the file.
      }
    this.used.clear();
  }

  private check(): void {
    if (this.readOnly) throw new FileError('EROFS');
  }

  private change<T>(folder: DirectoryNode, act: (directory: DirectoryHandle) => Promise<T>): Maybe<T> {
    this.check();
    return this.inTurn(folder, act);
  }

  /** The folder stays in use meanwhile, whoever forgets it. */
  private inTurn<T>(folder: DirectoryNode, act: (directory: DirectoryHandle) => Promise<T>): Maybe<T> {
    const directory = directoryOf(folder);
    ++folder.uses;
    return this.turns.run(() => act(directory).finally(() => this.forget(folder)));
  }

  private add<T>(folder: DirectoryNode, name: string, make: (directory: DirectoryHandle) => Promise<T>): Maybe<T> {
    return this.change(folder, async (directory) => {
      if ((await find(directory, name)) !== undefined) throw new FileError('EEXIST');
      const made = await allowed(make(directory));
      this.tell(folder, name);
      return made;
    });
  }

  private makeNode(parent: DirectoryNode | undefined, name: string, handle: Handle): DirectoryNode {
    const isFile = handle.kind === 'file';
    const node: DirectoryNode = {
      inode: this.nextInode++,
      parent,
      name,
      handle: isFile ? undefined : handle,
      file: isFile ? new DirectoryFile(handle, this.isSynchronous) : undefined,
      children: new Map(),
      changed: Date.now(),
      uses: 0,
      isGone: false,
      watchers: new Set(),
    };
    if (parent !== undefined) this.used.add(node);
    return node;
  }

  /**
   * The node of what was found there, with one more use: the same one for the
   * same name.
   */
  private childOf(folder: DirectoryNode, name: string, handle: Handle): DirectoryNode {
    let node = folder.children.get(name);
    if (node === undefined || (node.file !== undefined) !== (handle.kind === 'file')) {
      node = this.makeNode(folder, name, handle);
      folder.children.set(name, node);
    }
    ++node.uses;
    return node;
  }

  /** Calls what takes a file away; programs may have it open. */
  private async takeAway(folder: DirectoryNode, name: string, act: () => Promise<void>): Promise<void> {
    const known = folder.children.get(name);
    if (known?.file === undefined) return act();
    await known.file.takeAway(act);
    folder.children.delete(name);
    this.tell(known);
  }

  private async removeEmpty(
    folder: DirectoryNode,
    name: string,
    directory: DirectoryHandle,
    handle: DirectoryHandle,
  ): Promise<void> {
    for await (const _ of handle.entries()) throw new FileError('ENOTEMPTY');
    await directory.removeEntry(name);
    const known = folder.children.get(name);
    if (known === undefined) return;
    known.isGone = true;
    folder.children.delete(name);
    this.used.delete(known);
  }

  /** `take` calls its argument, and sees to the file that is replaced. */
  private async move(
    handle: Handle,
    node: DirectoryNode | undefined,
    from: Place,
    to: Place,
    take: (act: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    if (handle.kind === 'file') {
      const file = node?.file ?? new DirectoryFile(handle, this.isSynchronous);
      await take(async () => file.move(() => moveFile(handle, from, to)));
      return;
    }
    const made = await allowed(to.directory.getDirectoryHandle(to.name, { create: true }));
    const names: string[] = [];
    for await (const [name] of handle.entries()) names.push(name);
    for (const name of names) {
      const each = await find(handle, name);
      const known = node?.children.get(name);
      if (each !== undefined)
        await this.move(each, known, { directory: handle, name }, { directory: made, name }, (act) => act());
    }
    await from.directory.removeEntry(from.name);
    if (node !== undefined) node.handle = made;
  }

  private attributesOf(node: DirectoryNode, type: number, size: number, milliseconds: number): Attributes {
    const time: Time = {
      seconds: Math.floor(milliseconds / 1000),
      nanoseconds: Math.floor((milliseconds - Math.floor(milliseconds / 1000) * 1000) * 1e6),
    };
    return {
      inode: node.inode,
      size,
      blocks: Math.ceil(size / 512),
      accessed: time,
      modified: time,
      changed: time,
      mode: type | MODE,
      links: 1,
      user: 0,
      group: 0,
      blockSize: BLOCK,
    };
  }

  private tell(node: DirectoryNode, name?: string): void {
    if (name !== undefined) node.changed = Date.now();
    for (const changed of node.watchers) changed(name);
    // Who watches a folder hears of its files.
    if (name === undefined && node.parent !== undefined) for (const changed of node.parent.watchers) changed(node.name);
  }
}

function directoryOf(node: DirectoryNode): DirectoryHandle {
  if (node.isGone) throw new FileError('ENOENT');
  if (node.handle === undefined) throw new FileError('ENOTDIR');
  return node.handle;
}

function fileOf({ file }: DirectoryNode): DirectoryFile {
  if (file === undefined) throw new FileError('EISDIR');
  return file;
}
