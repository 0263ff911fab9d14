// SPDX-License-Identifier: MIT
// The content of a file that a page has a handle of.
//
// In the site's own folder (OPFS) a file that is open has a synchronous handle,
// which excludes all others. What is written is in the file at once.
//
// Elsewhere there are only streams, each of which writes to a copy of the file
// that takes its place when the stream is closed. A stream is closed when a
// program closes or syncs the file, before anybody reads it, and some time
// after its first write.

import { FileError } from './file-error.ts';
import { MemoryShare } from './memory-share.ts';
import type { SegmentFile } from './segments.ts';
import type { Maybe } from './share.ts';
import { Turns } from './turns.ts';
import { gather, lengthOf, scatter } from './views.ts';

/** What is used of a FileSystemWritableFileStream. */
interface Stream {
  write(part: { type: 'write'; position: number; data: Uint8Array }): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** What is used of a FileSystemFileHandle. Not all engines have all of it. */
export interface FileHandle {
  readonly kind: 'file';
  getFile(): Promise<File>;
  createSyncAccessHandle?(): Promise<SegmentFile>;
  createWritable?(options: { keepExistingData: boolean; mode: 'exclusive' }): Promise<Stream>;
  move?(folder: DirectoryHandle, name: string): Promise<void>;
}

/** What is used of a FileSystemDirectoryHandle. */
export interface DirectoryHandle {
  readonly kind: 'directory';
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<DirectoryHandle>;
  removeEntry(name: string): Promise<void>;
  entries(): AsyncIterable<[string, { kind: 'file' | 'directory' }]>;
}

/**
 * Milliseconds after a first write for others to see it; more if the stream
 * takes so long to close that a tenth of all time would be spent with it.
 */
const PATIENCE = 1000;
const SHARE_OF_TIME = 10;

/** Bytes of a file without a name that open files keep. */
const LARGEST_APART = 64 << 20;

/** Bytes that are copied at a time. */
const PIECE = 4 << 20;

export interface Content {
  size: number;
  /** Milliseconds since 1970. */
  modified: number;
}

/** A file that has no name any more, for those who have it open. */
interface Apart {
  share: MemoryShare;
  open: ReturnType<MemoryShare['open']>;
}

export class DirectoryFile {
  /** Open files of the guest's and the owner's. */
  opened = 0;
  private handle: FileHandle;
  private readonly isSynchronous: boolean;
  private readonly turns = new Turns();
  private direct: SegmentFile | undefined;
  private stream: Stream | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private patience = PATIENCE;
  /** Why what was written is lost, until a program has heard of it. */
  private failure: unknown;
  /** While there is `direct` or `stream`; only we change the file then. */
  private content: Content = { size: 0, modified: 0 };
  /** What the file was when its attributes were asked for. */
  private seen: File | undefined;
  private apart: Apart | undefined;
  private isGone = false;

  constructor(handle: FileHandle, isSynchronous: boolean) {
    this.handle = handle;
    this.isSynchronous = isSynchronous;
  }

  get hasStream(): boolean {
    return this.stream !== undefined;
  }

  attributes(): Maybe<Content> {
    return this.run(() => {
      if (this.apart !== undefined) {
        const { size, modified } = this.apart.share.attributes(this.apart.open.node);
        return { size, modified: modified.seconds * 1000 };
      }
      if (this.direct !== undefined || this.stream !== undefined) return this.content;
      return this.look();
    });
  }

  /** Counts one more open file, of which there is one fewer if it fails. */
  open(writes: boolean): Maybe<void> {
    ++this.opened;
    const failed = (error: unknown): never => {
      --this.opened;
      throw error;
    };
    try {
      const done = this.run(() => this.begin(writes));
      return done instanceof Promise ? done.catch(failed) : done;
    } catch (error) {
      return failed(error);
    }
  }

  read(offset: number, views: Uint8Array[]): Maybe<number> {
    return this.run(() => {
      if (this.apart !== undefined) return this.apart.share.read(this.apart.open, offset, views);
      if (this.isSynchronous && this.direct === undefined)
        return this.begin(false).then(() => this.readNow(offset, views));
      return this.readNow(offset, views);
    });
  }

  write(offset: number, views: Uint8Array[]): Maybe<number> {
    return this.run(() => {
      if (this.apart !== undefined) return this.apart.share.write(this.apart.open, offset, views);
      if (this.isSynchronous)
        return this.direct === undefined
          ? this.begin(true).then(() => this.writeDirect(offset, views))
          : this.writeDirect(offset, views);
      return this.writeStream(offset, views);
    });
  }

  truncate(size: number): Maybe<void> {
    return this.changing(
      (apart) => apart.share.setAttributes(apart.open.node, { size }),
      (direct) => {
        direct.truncate(size);
        // What Firefox does not do is no exception in all versions.
        if (direct.getSize() !== size) throw new FileError('ENOSPC');
        this.content.size = size;
      },
      async () => {
        await this.changeStream(size > 0, (stream) => stream.truncate(size));
        this.content.size = size;
      },
    );
  }

  /** Gives it the time of now. */
  touch(): Maybe<void> {
    return this.changing(
      (apart) => apart.share.setAttributes(apart.open.node, { modified: 'now' }),
      (direct) => direct.truncate(direct.getSize()),
      async () => void (await this.openStream(true)),
    );
  }

  /** What was written is in the file, and on the medium if there is a way. */
  sync(): Maybe<void> {
    return this.run(() => {
      this.direct?.flush();
      return this.commit();
    });
  }

  /** A program closes the file. */
  flush(): Maybe<void> {
    return this.run(() => this.commit());
  }

  close(): Maybe<void> {
    return this.run(() => {
      if (--this.opened === 0) return this.letGo();
    });
  }

  /** For the end of the share. */
  end(): Maybe<void> {
    return this.run(() => this.letGo());
  }

  /** Calls what gives the file another name; it returns the new handle. */
  move(act: () => Promise<FileHandle>): Maybe<void> {
    return this.run(async () => {
      await this.commitForOther();
      await this.letGo();
      this.handle = await act();
      this.seen = undefined;
    });
  }

  /** Calls what takes the name away. Open files keep what they have. */
  takeAway(act: () => Promise<void>): Maybe<void> {
    return this.run(async () => {
      const apart = this.opened > 0 ? await this.copy() : undefined;
      await this.letGo();
      await act();
      this.apart = apart;
      this.isGone = true;
    });
  }

  private run<T>(act: () => Maybe<T>): Maybe<T> {
    return this.turns.run(() => {
      if (this.isGone && this.apart === undefined) throw new FileError('ESTALE');
      return act();
    });
  }

  private async look(): Promise<Content> {
    this.seen = await this.handle.getFile();
    return { size: this.seen.size, modified: this.seen.lastModified };
  }

  /** Opens what is needed. Who only reads needs nothing of its own. */
  private async begin(writes: boolean): Promise<void> {
    if (this.apart !== undefined || this.direct !== undefined || this.stream !== undefined) return;
    if (this.isSynchronous)
      try {
        this.direct = await this.handle.createSyncAccessHandle!();
      } catch (error) {
        // The page, or another tab, has it open.
        if (writes || (error as { name?: unknown }).name !== 'NoModificationAllowedError') throw error;
      }
    try {
      this.content = await this.look();
    } catch (error) {
      await this.letGo();
      throw error;
    }
  }

  private readNow(offset: number, views: Uint8Array[]): Maybe<number> {
    const { direct } = this;
    if (direct === undefined) return this.readFile(offset, views);
    // Each call of a file costs as much as to copy 100 KiB.
    const bytes = views.length === 1 ? views[0]! : new Uint8Array(lengthOf(views));
    const count = direct.read(bytes, { at: offset });
    if (views.length !== 1) scatter(bytes.subarray(0, count), views);
    return count;
  }

  private async readFile(offset: number, views: Uint8Array[]): Promise<number> {
    await this.commitForOther();
    const part = async () => {
      const file = (this.seen ??= await this.handle.getFile());
      return new Uint8Array(await file.slice(offset, offset + lengthOf(views)).arrayBuffer());
    };
    let bytes;
    try {
      bytes = await part();
    } catch {
      // Somebody has changed it meanwhile.
      this.seen = undefined;
      bytes = await part();
    }
    scatter(bytes, views);
    return bytes.length;
  }

  private writeDirect(offset: number, views: Uint8Array[]): number {
    const direct = this.direct!;
    const bytes = views.length === 1 ? views[0]! : gather(views);
    try {
      const count = direct.write(bytes, { at: offset });
      // Firefox says so that there is no room.
      if (count === 0 && bytes.length > 0) throw new FileError('ENOSPC');
      return count;
    } finally {
      this.content = { size: direct.getSize(), modified: Date.now() };
    }
  }

  private async writeStream(offset: number, views: Uint8Array[]): Promise<number> {
    // A stream takes no shared memory.
    const data = gather(views);
    await this.changeStream(true, (stream) => stream.write({ type: 'write', position: offset, data }));
    this.content = { size: Math.max(this.content.size, offset + data.length), modified: Date.now() };
    return data.length;
  }

  private async changeStream(keepExistingData: boolean, change: (stream: Stream) => Promise<void>): Promise<void> {
    const stream = await this.openStream(keepExistingData);
    try {
      await change(stream);
    } catch (error) {
      // With the stream, all is lost that is not in the file yet.
      this.drop();
      if (this.opened > 0) this.failure = error;
      throw error;
    }
  }

  private async openStream(keepExistingData: boolean): Promise<Stream> {
    this.throwFailure();
    if (this.stream !== undefined) return this.stream;
    if (this.handle.createWritable === undefined) throw new FileError('EOPNOTSUPP');
    const { size } = await this.look();
    this.stream = await this.handle.createWritable({ keepExistingData, mode: 'exclusive' });
    this.content = { size: keepExistingData ? size : 0, modified: Date.now() };
    const late = () => {
      const failed = (error: unknown) => void (this.failure = error);
      try {
        const done = this.turns.run(() => this.commit());
        if (done instanceof Promise) done.catch(failed);
      } catch (error) {
        failed(error);
      }
    };
    this.timer = setTimeout(late, this.patience);
    return this.stream;
  }

  /** Puts what the stream has into the file. */
  private commit(): Maybe<void> {
    this.throwFailure();
    const { stream } = this;
    if (stream === undefined) return;
    this.drop();
    const begin = performance.now();
    return stream.close().then(() => {
      this.patience = Math.max(PATIENCE, SHARE_OF_TIME * (performance.now() - begin));
    });
  }

  /** The program that writes hears of a failure, too. */
  private async commitForOther(): Promise<void> {
    try {
      await this.commit();
    } catch (error) {
      if (this.opened > 0) this.failure = error;
      throw error;
    }
  }

  private drop(): void {
    clearTimeout(this.timer);
    this.stream = undefined;
    this.seen = undefined;
  }

  private throwFailure(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  private letGo(): Maybe<void> {
    this.direct?.close();
    this.direct = undefined;
    this.seen = undefined;
    return this.commit();
  }

  /** Changes a file that need not be open. */
  private changing(
    ofApart: (apart: Apart) => void,
    ofDirect: (direct: SegmentFile) => void,
    ofStream: () => Promise<void>,
  ): Maybe<void> {
    return this.run(() => {
      if (this.apart !== undefined) return ofApart(this.apart);
      const finish = () => {
        this.content.modified = Date.now();
        if (this.opened === 0) return this.letGo();
      };
      if (!this.isSynchronous) return ofStream().then(() => finish());
      const act = () => {
        try {
          ofDirect(this.direct!);
        } finally {
          this.content.size = this.direct!.getSize();
          void finish();
        }
      };
      return this.direct === undefined ? this.begin(true).then(act) : act();
    });
  }

  private async copy(): Promise<Apart> {
    await this.commitForOther();
    const { size } = await this.handle.getFile();
    if (size > LARGEST_APART) throw new FileError('EBUSY');
    const bytes = new Uint8Array(size);
    await this.readNow(0, [bytes]);
    const share = new MemoryShare(2 * LARGEST_APART, false);
    const { open } = share.create(share.root, 'file', 0, 0, { user: 0, group: 0 });
    share.write(open, 0, [bytes]);
    return { share, open };
  }
}

/** Gives a file the content of another; it has all of it, or is as before. */
export async function copyFile(from: FileHandle, to: FileHandle): Promise<void> {
  if (to.createWritable === undefined) throw new FileError('EXDEV');
  const file = await from.getFile();
  const stream = await to.createWritable({ keepExistingData: false, mode: 'exclusive' });
  for (let position = 0; position < file.size; position += PIECE) {
    const data = new Uint8Array(await file.slice(position, position + PIECE).arrayBuffer());
    await stream.write({ type: 'write', position, data });
  }
  await stream.close();
}
