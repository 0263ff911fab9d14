// SPDX-License-Identifier: MIT
// Opens disks, and does the requests that the host puts into the ring.
//
// The host has checked each request against its disk, and each place against
// the size of K. A request is done when its answer is in the ring; until then
// its memory belongs to this thread.

import { listen } from '../machine/platform.ts';
import type { Disk, Done } from './disk.ts';
import { offerCopies } from './copied-disk.ts';
import { DiskInUseError } from './disk-lock.ts';
import { EarlyFlush } from './early-flush.ts';
import { FileInUseError } from './file-lock.ts';
import { KernelAccess } from './kernel-access.ts';
import { openDisk, type DiskContext } from './open-disk.ts';
import { NoStorageError } from './opfs.ts';
import { SavedDisk } from './saved-disk.ts';
import { serveRing } from './serve-ring.ts';
import { Snapshot } from './snapshot.ts';
import { sendPieces, takePieces, type FromTransfer } from './transfers.ts';
import {
  DISCARD,
  DISK_TROUBLE,
  DiskRings,
  DURABLE,
  FLUSH,
  READ,
  WRITE,
  ZERO,
  type DiskFailure,
  type DiskRequest,
  type DiskSource,
  type FromStorage,
  type HostToStorage,
  type StorageToHost,
  type ToStorage,
} from './protocol.ts';

interface OpenDisk {
  name: string;
  disk: Disk;
  /** Whether it changes its medium. */
  changes: boolean;
  /** Why it cannot grow, for users. */
  fixed: string | undefined;
  /** Resolves when its medium is not becoming larger. */
  growing: Promise<void>;
  /** Those that are still read. */
  snapshots: Set<Snapshot>;
  early: EarlyFlush;
  endOffer?: () => void;
}

export class StorageServer {
  private readonly post: (message: FromStorage) => void;
  private readonly openDisk: (source: DiskSource, context: DiskContext) => Promise<Disk>;
  private readonly disks: OpenDisk[] = [];
  private readonly troubles = new Set<string>();
  /** Requests that are not answered yet. */
  private readonly pending = new Set<Promise<void>>();
  private opening: Promise<void> = Promise.resolve();
  /** Ends what waits for another tab. */
  private readonly gaveUp = new AbortController();
  private readonly titles: ((title: string) => void)[] = [];
  /** Each waits until the host has told the guest of a disk's size. */
  private readonly told: (() => void)[] = [];
  private connected!: (host: MessagePort) => void;
  private readonly host = new Promise<MessagePort>((resolve) => (this.connected = resolve));
  private rings: DiskRings | undefined;
  private kernel: KernelAccess | undefined;
  private closed = false;

  /** Tests give disks of their own. */
  constructor(post: (message: FromStorage) => void, open = openDisk) {
    this.post = post;
    this.openDisk = open;
  }

  handle(message: ToStorage): void {
    switch (message.type) {
      case 'open':
        this.opening = this.open(message);
        return;
      case 'host':
        listen(message.port, (heard: HostToStorage) => void this.hear(heard));
        this.connected(message.port);
        return;
      case 'close':
        void this.close();
        return;
      case 'title':
        for (const resolve of this.titles.splice(0)) resolve(message.title);
        return;
      case 'export':
      case 'import':
      case 'reset':
      case 'usage':
      case 'grow':
        void this.transfer(message);
    }
  }

  private async open({ sources, rings }: Extract<ToStorage, { type: 'open' }>): Promise<void> {
    for (const source of sources) {
      try {
        await this.openOne(source);
      } catch (error) {
        await this.closeDisks();
        const place = source.file === undefined ? '' : ` (${source.file})`;
        const message = `disk ${source.name}${place}: ${textOf(error)}`;
        this.post({ type: 'failed', message, ...failureOf(error) });
        return;
      }
    }
    this.rings = new DiskRings(rings);
    this.post({
      type: 'opened',
      disks: this.disks.map(({ name, disk: { size, readOnly, unit, discard } }) => ({
        name,
        size,
        readOnly,
        unit,
        discards: discard !== undefined,
      })),
    });
  }

  private async openOne(source: DiskSource): Promise<void> {
    const { name } = source;
    const opened = this.openDisk(source, {
      title: () =>
        new Promise((resolve) => {
          this.titles.push(resolve);
          this.post({ type: 'title' });
        }),
      waiting: (holder) => this.post({ type: 'waiting', disk: name, holder }),
      signal: this.gaveUp.signal,
    });
    const disk = await opened.catch((error: unknown) => {
      const known = this.disks.find((open) => error instanceof FileInUseError && open.disk.medium === error.medium);
      throw known === undefined ? error : isToo(known);
    });
    const entry: OpenDisk = {
      name,
      disk,
      changes: !disk.readOnly && source.overlay !== true,
      fixed: whyFixed(disk, source),
      growing: Promise.resolve(),
      snapshots: new Set(),
      early: new EarlyFlush(() => disk.flush()),
    };
    const other = this.disks.find((open) => writeToOne(open, entry));
    this.disks.push(entry);
    if (other !== undefined) throw isToo(other);
    if (disk instanceof SavedDisk) entry.endOffer = offerCopies(name, () => takeSnapshot(entry));
  }

  /** Does what the owner wants of a disk that is in use. */
  private async transfer(message: Extract<ToStorage, { disk: string }>): Promise<void> {
    const { type, disk: name, port } = message;
    await this.opening;
    const entry = this.disks.find((open) => open.name === name);
    const answer = (reply: FromTransfer) => {
      port.postMessage(reply);
      port.close();
    };
    try {
      if (entry === undefined) throw new Error('it is closed');
      const { disk } = entry;
      if (type === 'export') {
        const [snapshot, end] = takeSnapshot(entry);
        await sendPieces(snapshot, port).finally(end);
        return;
      }
      if (type === 'usage') return answer({ type: 'end', length: disk.usage ?? disk.size });
      if (message.type === 'grow') {
        await this.grow(entry, message.size);
        return answer({ type: 'end', length: disk.size });
      }
      if (!(disk instanceof SavedDisk)) throw new Error('it is no disk that the browser keeps');
      if (type === 'import') return await takePieces(disk, port);
      await disk.reset();
      answer({ type: 'end', length: 0 });
    } catch (error) {
      answer({ type: 'failed', message: `disk ${name}: ${textOf(error)}` });
    }
  }

  /**
   * Makes a disk larger, and resolves when its driver is told. The medium comes
   * first: whatever ends the machine then, no request was for bytes that the
   * medium does not have.
   */
  private async grow(entry: OpenDisk, size: number): Promise<void> {
    const { disk } = entry;
    const grown = entry.growing.then(async () => {
      if (entry.fixed !== undefined) throw new Error(`it cannot grow: ${entry.fixed}`);
      if (size < disk.size) throw new Error(`it has ${disk.size} bytes already, and a disk does not shrink`);
      if (size > disk.size) await disk.grow?.(size);
    });
    entry.growing = grown.catch(() => {});
    await grown;
    const host = await this.host;
    await new Promise<void>((resolve) => {
      this.told.push(resolve);
      const message = { type: 'grown', disk: this.disks.indexOf(entry), size: disk.size } satisfies StorageToHost;
      host.postMessage(message);
    });
  }

  private async hear(message: HostToStorage): Promise<void> {
    if (message.type === 'grown') {
      this.told.shift()?.();
      return;
    }
    if (message.type === 'kernel') {
      this.kernel = new KernelAccess(message.memory, message.doorbell, message.bit);
      // Not before: a loop that can take no request does not wait for one.
      void serveRing(this.rings!.requests, {
        doAll: () => this.doAll(),
        isPending: () => this.pending.size > 0,
        isClosed: () => this.closed,
      });
      return;
    }
    await this.finish();
    const failure = await this.flushAll();
    // Before the answer: who hears of the end may use the files.
    if (message.last) for (const entry of this.disks) await this.release(entry);
    const host = await this.host;
    host.postMessage({ type: 'settled', ...(failure === undefined ? {} : { failure }) } satisfies StorageToHost);
  }

  /** Nothing changes its size from then on, because another may have it. */
  private async release(entry: OpenDisk): Promise<void> {
    entry.fixed ??= 'the machine has ended';
    await entry.growing;
    entry.disk.release?.();
  }

  private doAll(): void {
    if (this.kernel === undefined) return;
    let last: DiskRequest | undefined;
    for (let request; this.rings !== undefined && (request = this.rings.take()) !== undefined;) {
      const { disk, id } = request;
      last = request;
      const done = this.do(request);
      if (typeof done === 'boolean') this.answer(disk, id, done);
      else {
        const answered = done.then((succeeded) => {
          this.answer(disk, id, succeeded);
          this.pending.delete(answered);
        });
        this.pending.add(answered);
      }
    }
    if (last?.operation === WRITE && this.pending.size === 0) this.disks[last.disk]?.early.pause();
  }

  private answer(disk: number, id: number, succeeded: boolean): void {
    // There is room for the answers of all that can be on the way.
    this.rings?.answers.push([disk, id, succeeded ? 1 : 0]);
    this.kernel?.ringDoorbell();
  }

  /** Does what is in the ring, and resolves when all of it is answered. */
  private async finish(): Promise<void> {
    this.doAll();
    await Promise.all(this.pending);
  }

  private do(request: DiskRequest): boolean | Promise<boolean> {
    const entry = this.disks[request.disk];
    const { kernel } = this;
    if (entry === undefined || kernel === undefined) return false;
    const { name, disk, snapshots, early } = entry;
    const { offset, length } = request;
    const change = (what: string, act: () => Done) => {
      early.changes(length);
      return this.attempt(name, what, () => keepAll(snapshots.values(), offset, length, act));
    };
    if ((request.operation & DURABLE) !== 0) {
      const done = this.do({ ...request, operation: request.operation & ~DURABLE });
      const flush = (succeeded: boolean) => succeeded && this.attempt(name, 'flush', () => early.flush());
      return typeof done === 'boolean' ? flush(done) : done.then(flush);
    }
    switch (request.operation) {
      case READ:
        early.reads();
        return this.attempt(name, 'read', () => disk.read(offset, kernel.viewsOf(request.places)));
      case WRITE:
        return change('write', () => disk.write(offset, kernel.viewsOf(request.places)));
      case FLUSH:
        return this.attempt(name, 'flush', () => early.flush());
      case ZERO:
        return change('write', () => disk.zero(offset, length));
      case DISCARD:
        return change('discard', () => disk.discard?.(offset, length));
    }
    return false;
  }

  /** False if it fails. */
  private attempt(name: string, what: string, act: () => Done): boolean | Promise<boolean> {
    try {
      const done = act();
      if (done === undefined) return true;
      return done.then(
        () => true,
        (error: unknown) => this.reportTrouble(name, what, error),
      );
    } catch (error) {
      return this.reportTrouble(name, what, error);
    }
  }

  /** The owner hears of it once for each reason. Returns false. */
  private reportTrouble(name: string, what: string, error: unknown): false {
    const message = `${DISK_TROUBLE}${name}: a ${what} has failed: ${textOf(error)}`;
    if (!this.troubles.has(message)) this.post({ type: 'trouble', message });
    this.troubles.add(message);
    return false;
  }

  /** What is in the ring is done first. */
  private async close(): Promise<void> {
    this.gaveUp.abort();
    await this.opening;
    await this.finish();
    await this.flushAll();
    this.closed = true;
    await this.closeDisks();
    void this.host.then((host) => host.close());
    this.kernel = undefined;
    this.post({ type: 'closed' });
  }

  /** Returns what could not be flushed. */
  private async flushAll(): Promise<string | undefined> {
    const failed: string[] = [];
    for (const { name, early } of this.disks)
      if (!(await this.attempt(name, 'flush', () => early.flush()))) failed.push(name);
    return failed.length === 0 ? undefined : `not all is on ${failed.join(', ')}`;
  }

  private async closeDisks(): Promise<void> {
    for (const { name, disk, growing, endOffer } of this.disks.splice(0)) {
      endOffer?.();
      await growing;
      await this.attempt(name, 'close', () => disk.close());
    }
  }
}

const isToo = ({ name }: OpenDisk): Error => new Error(`it is disk ${name}, too, and one of them writes`);

/** Whether two disks are the same bytes, and one may change them. */
function writeToOne(one: OpenDisk, other: OpenDisk): boolean {
  return one.disk.medium !== undefined && one.disk.medium === other.disk.medium && (one.changes || other.changes);
}

function whyFixed(disk: Disk, { overlay, saved }: DiskSource): string | undefined {
  if (disk.readOnly) return 'it is only read';
  if (overlay) return 'its changes are in memory, over a disk that is only read';
  if (saved && !(disk instanceof SavedDisk)) return 'it is a copy of the disk of another tab';
  return disk.grow === undefined ? 'this kind of disk has a fixed size' : undefined;
}

/** A snapshot of now, and a function that ends it. */
function takeSnapshot({ disk, snapshots }: OpenDisk): [Snapshot, () => void] {
  const snapshot = new Snapshot(disk);
  snapshots.add(snapshot);
  return [snapshot, () => void snapshots.delete(snapshot)];
}

/** Changes bytes when all snapshots have what they were. */
function keepAll(snapshots: Iterator<Snapshot>, offset: number, length: number, change: () => Done): Done {
  for (let next; (next = snapshots.next()).done !== true;) {
    const done = next.value.keep(offset, length);
    if (done instanceof Promise) return done.then(() => keepAll(snapshots, offset, length, change));
  }
  return change();
}

/** The code of a MachineError, and its detail. */
function failureOf(error: unknown): { kind: DiskFailure; detail?: string } {
  if (error instanceof DiskInUseError)
    return { kind: 'disk-in-use', detail: error.holder === undefined ? 'silent' : 'answers' };
  if (error instanceof FileInUseError) return { kind: 'disk-in-use' };
  return error instanceof NoStorageError ? { kind: 'no-storage', detail: error.reason } : { kind: 'disk' };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
