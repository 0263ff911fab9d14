// SPDX-License-Identifier: MIT
// The owner's side of the storage worker: opens disks, and closes them.

import { startWorker, within, type WorkerHandle } from '../machine/platform.ts';
import {
  DISK_WAIT,
  DiskRings,
  type DiskDescription,
  type DisksOfHost,
  type DiskSource,
  type DiskWish,
  type FromStorage,
  type ToStorage,
} from '../storage/protocol.ts';
import { DiskInUseError } from '../storage/disk-lock.ts';
import { parseSize } from '../storage/size.ts';
import { MachineError, type DiskOptions } from './types.ts';

/**
 * Milliseconds for a disk to write what it was given. One that hangs (a
 * network's) must not keep a program for ever.
 */
const CLOSE_PATIENCE = 30_000;

export function createStorageWorker(): Worker {
  // Written out, because bundlers must recognise it.
  return new Worker(new URL('../storage/storage-worker.ts', import.meta.url), { type: 'module' });
}

function sourceOf({ name, size, file, memory, readOnly, saved, whenInUse, overlay, format }: DiskOptions): DiskSource {
  const content = memory === true ? undefined : memory;
  const bytes = typeof size === 'string' ? parseSize(size) : (size ?? content?.length);
  return {
    name,
    readOnly: readOnly ?? false,
    ...(bytes === undefined ? {} : { size: bytes }),
    ...(file === undefined ? {} : { file }),
    ...(content === undefined ? {} : { content }),
    ...(saved ? { saved } : {}),
    ...(whenInUse === undefined ? {} : { whenInUse }),
    ...(overlay ? { overlay } : {}),
    ...((format ?? (saved ? 'ext4' : 'raw')) === 'ext4' ? { format: 'ext4' } : {}),
  };
}

export interface StorageEvents {
  /** A request has failed, and the guest got an error. */
  trouble: (message: string) => void;
  /** A disk that another tab has is waited for. */
  waiting: (message: string) => void;
  /** No request will be answered any more. */
  failed: (error: MachineError) => void;
}

/**
 * One promise for each machine that was disposed of and may still write. Who
 * opens files or saved disks waits for them: they may be the same, and what an
 * old machine writes late would be on top of what a new one has written.
 */
const closing = new Set<Promise<void>>();

export class StorageClient {
  /** Rejects with a MachineError if a disk cannot be opened. */
  readonly opened: Promise<DisksOfHost>;
  private readonly worker: WorkerHandle<ToStorage, FromStorage>;
  /** Resolves when the disks are being closed: nothing is answered then. */
  readonly ended: Promise<void>;
  private resolveEnded!: () => void;
  private resolveClosed: (() => void) | undefined;
  private failed = false;

  /** `root`: the disk of the root file system, after the others. */
  constructor(
    disks: readonly DiskOptions[],
    root: DiskSource | undefined,
    url: string | undefined,
    events: StorageEvents,
  ) {
    this.worker = startWorker<ToStorage, FromStorage>('auklet-storage', url, createStorageWorker);
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    const rings = DiskRings.create();
    this.opened = new Promise<DiskDescription[]>((resolve, reject) => {
      this.worker.onMessage = (message) => {
        switch (message.type) {
          case 'opened':
            resolve(message.disks);
            return;
          case 'failed':
            reject(new MachineError(message.kind, message.message, message.detail));
            return;
          case 'trouble':
            events.trouble(message.message);
            return;
          case 'waiting':
            events.waiting(`${DISK_WAIT}${message.disk}: ${new DiskInUseError(message.holder).message}`);
            return;
          case 'title':
            this.worker.post({ type: 'title', title: globalThis.document?.title ?? '' });
            return;
          case 'closed':
            this.resolveClosed?.();
        }
      };
      this.worker.onError = (message, detail) => {
        this.failed = true;
        this.resolveEnded();
        events.failed(new MachineError('failed', `the storage worker has failed: ${message}`, detail));
        this.resolveClosed?.();
      };
    }).then((opened) => ({ disks: opened, rings }));
    this.opened.catch(() => {});
    const open = () => {
      const sources = [...disks.map(sourceOf), ...(root === undefined ? [] : [root])];
      this.worker.post({ type: 'open', sources, rings });
    };
    if (closing.size === 0 || disks.every(({ memory }) => memory !== undefined)) open();
    else void Promise.allSettled(closing).then(open);
  }

  /** `host`: the other end of a channel that the host has made. */
  connect(host: MessagePort): void {
    this.worker.post({ type: 'host', port: host }, [host]);
  }

  /** Begins a transfer with a disk, on a port. */
  transfer(wish: DiskWish, disk: string): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.worker.post({ ...wish, disk, port: port2 }, [port2]);
    return port1;
  }

  /**
   * Closes the disks when the host has ended. Resolves when all that the ring
   * had is on the media, and the disks are free for others.
   */
  async close(hostEnded: Promise<unknown>): Promise<void> {
    // Before the wait for the host: whoever disposed of the machine may open
    // the files again before that is over.
    const closed = hostEnded.then(() => this.end());
    closing.add(closed);
    try {
      await closed;
    } finally {
      closing.delete(closed);
    }
  }

  private async end(): Promise<void> {
    this.resolveEnded();
    const closed = new Promise<void>((resolve) => (this.resolveClosed = resolve));
    this.worker.post({ type: 'close' });
    // A worker that has failed does not answer.
    if (!this.failed) await within(CLOSE_PATIENCE, closed);
    this.worker.onError = () => {};
    await this.worker.terminate();
  }
}
