// SPDX-License-Identifier: MIT
// Files of a share for the machine's owner, by paths. They need no guest.

import { FileError } from './file-error.ts';
import {
  EXCLUSIVE,
  FILE,
  FOLDER,
  LINK,
  TRUNCATE,
  TYPE,
  type Attributes,
  type Maybe,
  type Owner,
  type Share,
} from './share.ts';

/** What the owner asks for. Paths are below the share: "" is its root. */
export type FileRequest =
  | { operation: 'stat'; path: string }
  | { operation: 'list'; path: string }
  | { operation: 'mkdir'; path: string; recursive: boolean; mode: number }
  | { operation: 'rename'; path: string; to: string }
  | { operation: 'rm'; path: string; recursive: boolean; force: boolean }
  /** Answered with a handle. `write` makes the file, or makes it empty. */
  | { operation: 'open'; path: string; write: boolean; mode: number }
  | { operation: 'read'; handle: number; offset: number; length: number }
  | { operation: 'write'; handle: number; offset: number; bytes: Uint8Array }
  | { operation: 'close'; handle: number }
  /** Answered with a handle. Changes are told until it is closed. */
  | { operation: 'watch'; path: string };

/** As of stat(2). */
export interface FileStatus {
  type: 'file' | 'folder' | 'link' | 'other';
  /** Bytes. */
  size: number;
  /** Permission bits. */
  mode: number;
  user: number;
  group: number;
  links: number;
  /** Milliseconds since 1970. */
  modified: number;
}

export interface FolderEntry {
  name: string;
  type: FileStatus['type'];
}

const OWNER: Owner = { user: 0, group: 0 };

/** As of Linux. */
const MOST_LINKS = 40;
const LONGEST_PATH = 4096;

type Handle = { open: object } | { stop: () => void };

export class ShareFiles {
  private readonly share: Share;
  /** The absolute path of the share in the guest: links may have it. */
  private readonly place: string;
  private readonly changed: (handle: number, name: string | undefined) => void;
  private readonly handles = new Map<number, Handle>();
  private nextHandle = 1;

  constructor(share: Share, place: string, changed: (handle: number, name: string | undefined) => void) {
    this.share = share;
    this.place = place;
    this.changed = changed;
  }

  /** Rejects with what a share throws. */
  async do(request: FileRequest): Promise<unknown> {
    const { share } = this;
    switch (request.operation) {
      case 'stat':
        return this.using(request.path, async (node) => statusOf(await share.attributes(node)));
      case 'list':
        return this.using(request.path, async (node) => {
          const entries = await share.list(node);
          return entries.map(({ name, type }): FolderEntry => ({ name, type: typeOf(type) }));
        });
      case 'mkdir':
        return this.makeFolder(request.path, request.recursive, request.mode);
      case 'rename':
        return this.inFolder(request.path, (folder, name) =>
          this.inFolder(request.to, (newFolder, newName) => share.rename(folder, name, newFolder, newName, 0)),
        );
      case 'rm':
        return this.remove(request);
      case 'open':
        return this.keep({ open: await this.open(request.path, request.write, request.mode) });
      case 'read': {
        const bytes = new Uint8Array(request.length);
        return bytes.subarray(0, await share.read(this.openFile(request.handle), request.offset, [bytes]));
      }
      case 'write':
        return this.write(this.openFile(request.handle), request.offset, request.bytes);
      case 'close':
        return this.close(request.handle);
      case 'watch':
        break;
    }
    return this.watch(request.path);
  }

  end(): void {
    for (const handle of this.handles.keys()) {
      const closed = this.close(handle);
      if (closed instanceof Promise) closed.catch(() => {});
    }
  }

  private keep(handle: Handle): number {
    const number = this.nextHandle++;
    this.handles.set(number, handle);
    return number;
  }

  private openFile(number: number): object {
    const handle = this.handles.get(number);
    if (handle === undefined || !('open' in handle)) throw new FileError('EBADF');
    return handle.open;
  }

  private close(number: number): Maybe<void> {
    const handle = this.handles.get(number);
    if (handle === undefined) throw new FileError('EBADF');
    this.handles.delete(number);
    if ('open' in handle) return this.share.close(handle.open);
    handle.stop();
  }

  private async watch(path: string): Promise<number> {
    if (this.share.watch === undefined) throw new FileError('EOPNOTSUPP');
    return this.using(path, (node) => {
      const number = this.nextHandle;
      const stop = this.share.watch!(node, (name) => this.changed(number, name));
      return this.keep({ stop });
    });
  }

  private async write(open: object, offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const count = await this.share.write(open, offset + done, [bytes.subarray(done)]);
      if (count === 0) throw new FileError('EIO');
      done += count;
    }
  }

  private async open(path: string, write: boolean, mode: number): Promise<object> {
    if (!write) return this.using(path, (node) => this.openNode(node, 0));
    try {
      return await this.inFolder(path, async (folder, name) => {
        const { node, open } = await this.share.create(folder, name, 1 | EXCLUSIVE, mode, OWNER);
        this.share.forget(node);
        return open;
      });
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    }
    return this.using(path, (node) => this.openNode(node, 1 | TRUNCATE));
  }

  private async openNode(node: object, flags: number): Promise<object> {
    const { mode } = await this.share.attributes(node);
    if ((mode & TYPE) === FOLDER) throw new FileError('EISDIR');
    return this.share.open(node, flags);
  }

  private async makeFolder(path: string, recursive: boolean, mode: number): Promise<void> {
    const { share } = this;
    if (!recursive) {
      if (partsOf(path).length === 0) throw new FileError('EEXIST');
      return this.inFolder(path, async (folder, name) =>
        share.forget(await share.makeFolder(folder, name, mode, OWNER)),
      );
    }
    let at = '';
    for (const part of partsOf(path)) {
      at += `/${part}`;
      try {
        await this.makeFolder(at, false, mode);
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
        const { mode: existing } = await this.using(at, (node) => share.attributes(node));
        if ((existing & TYPE) !== FOLDER) throw new FileError('ENOTDIR');
      }
    }
  }

  private async remove({
    path,
    recursive,
    force,
  }: {
    path: string;
    recursive: boolean;
    force: boolean;
  }): Promise<void> {
    try {
      await this.inFolder(path, (folder, name) => this.removeEntry(folder, name, recursive));
    } catch (error) {
      if (!force || (error as { code?: unknown }).code !== 'ENOENT') throw error;
    }
  }

  private async removeEntry(folder: object, name: string, recursive: boolean): Promise<void> {
    const { share } = this;
    const node = await share.lookup(folder, name);
    try {
      const { mode } = await share.attributes(node);
      if ((mode & TYPE) !== FOLDER) return await share.remove(folder, name);
      if (!recursive) throw new FileError('EISDIR');
      for (const entry of await share.list(node)) await this.removeEntry(node, entry.name, true);
      await share.removeFolder(folder, name);
    } finally {
      share.forget(node);
    }
  }

  /**
   * Calls `use` with the node at a path, whose folders stay in use meanwhile.
   */
  private async using<T>(path: string, use: (node: object) => Maybe<T>): Promise<T> {
    const used: object[] = [];
    try {
      return await use(await this.resolve(path, used));
    } finally {
      for (const node of used) this.share.forget(node);
    }
  }

  /** Calls `use` for the last component of a path, which need not exist. */
  private async inFolder<T>(path: string, use: (folder: object, name: string) => Maybe<T>): Promise<T> {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) throw new FileError('EBUSY');
    if (new TextEncoder().encode(name).length > 255) throw new FileError('ENAMETOOLONG');
    return this.using(parts.join('/'), (folder) => use(folder, name));
  }

  /**
   * The node at a path. Follows links as long as they stay in the share. `used`
   * gets what the caller has to forget.
   */
  private async resolve(path: string, used: object[]): Promise<object> {
    const { share } = this;
    let parts = partsOf(path);
    let links = 0;
    const way = [share.root];
    for (let part; (part = parts.shift()) !== undefined;) {
      if (part === '..') {
        if (way.length === 1) throw new FileError('EXDEV');
        way.pop();
        continue;
      }
      const node = await share.lookup(way.at(-1)!, part);
      used.push(node);
      const { mode } = await share.attributes(node);
      if ((mode & TYPE) !== LINK) {
        way.push(node);
        continue;
      }
      if (++links > MOST_LINKS) throw new FileError('ELOOP');
      const target = await share.readLink(node);
      if (target.length > LONGEST_PATH) throw new FileError('ENAMETOOLONG');
      if (target.startsWith('/')) {
        if (!isBelow(target, this.place)) throw new FileError('EXDEV');
        way.length = 1;
        parts = [...linkParts(target.slice(this.place.length)), ...parts];
      } else parts = [...linkParts(target), ...parts];
    }
    return way.at(-1)!;
  }
}

/** Whether an absolute path is a folder, or below it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** ".." is not known here: it depends on links. */
function linkParts(target: string): string[] {
  return target.split('/').filter((part) => part !== '' && part !== '.');
}

/** The owner's paths are names: ".." takes the name before it away. */
function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of linkParts(path))
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw new FileError('EXDEV');
  return parts;
}

function typeOf(mode: number): FileStatus['type'] {
  const type = mode & TYPE;
  return type === FILE ? 'file' : type === FOLDER ? 'folder' : type === LINK ? 'link' : 'other';
}

export function statusOf({
  mode,
  size,
  user,
  group,
  links,
  modified,
}: Pick<Attributes, 'mode' | 'size' | 'user' | 'group' | 'links' | 'modified'>): FileStatus {
  return {
    type: typeOf(mode),
    size,
    mode: mode & 0o7777,
    user,
    group,
    links,
    modified: modified.seconds * 1000 + modified.nanoseconds / 1e6,
  };
}
