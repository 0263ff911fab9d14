// SPDX-License-Identifier: MIT
// The owner's side of the worker of shared folders: opens them, and closes
// them.

import type { InitialEntry } from '../machine/protocol.ts';
import { startWorker, within, type WorkerHandle } from '../machine/platform.ts';
import type { ShareSource } from '../storage/open-share.ts';
import { FileError } from '../storage/file-error.ts';
import type { FileRequest } from '../storage/share-files.ts';
import { ShareRings, type ShareDescription, type SharesOfHost } from '../storage/share-protocol.ts';
import type { FromShares, ToShares } from '../storage/share-server.ts';
import { parseSize } from '../storage/size.ts';
import { createStorageWorker } from './storage.ts';
import { MachineError, type ShareOptions } from './types.ts';

/** Milliseconds for a share to finish what it was asked for. */
const CLOSE_PATIENCE = 30_000;

/** Where the guest has a share. */
export function placeOf({ name, path }: ShareOptions): string {
  return path ?? `/mnt/${name}`;
}

/** Table of file systems that /sbin/sysinit mounts behind /etc/fstab's. */
const TABLE = '/etc/fstab.shares';

/** The files by which the guest mounts the shares. */
export function mountFiles(shares: readonly ShareOptions[]): InitialEntry[] {
  if (shares.length === 0) return [];
  const escaped = (path: string) =>
    path.replaceAll(/[\s\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const lines = shares.map(
    (share) =>
      `${share.name} ${escaped(placeOf(share))} virtiofs ${share.readOnly === true ? 'ro' : 'rw'},nosuid,nodev 0 0\n`,
  );
  return [{ path: TABLE, content: lines.join('') }];
}

function sourceOf({ name, path, folder, directory, saved, memory, readOnly }: ShareOptions): ShareSource {
  const size = typeof memory === 'string' ? parseSize(memory) : typeof memory === 'number' ? memory : undefined;
  return {
    name,
    readOnly: readOnly ?? false,
    place: placeOf({ name, ...(path === undefined ? {} : { path }) }),
    ...(folder === undefined ? {} : { folder }),
    ...(directory === undefined ? {} : { directory }),
    ...(saved ? { saved } : {}),
    ...(size === undefined ? {} : { size }),
  };
}

function gone(): MachineError {
  return new MachineError('disposed', 'the shared folders are closed');
}

export class SharesClient {
  /** Rejects with a MachineError if a share cannot be opened. */
  readonly opened: Promise<SharesOfHost>;
  private readonly worker: WorkerHandle<ToShares, FromShares>;
  private resolveClosed: (() => void) | undefined;
  private failed = false;
  private readonly asked = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private nextId = 1;
  private readonly watchers = new Map<string, (name: string | undefined) => void>();

  constructor(shares: readonly ShareOptions[], url: string | undefined, fail: (error: MachineError) => void) {
    this.worker = startWorker<ToShares, FromShares>('auklet-shares', url, createStorageWorker);
    const rings = ShareRings.create();
    this.opened = new Promise<ShareDescription[]>((resolve, reject) => {
      this.worker.onMessage = (message) => {
        if (message.type === 'shares-opened') resolve(message.shares);
        else if (message.type === 'shares-failed') reject(new MachineError('share', message.message));
        else if (message.type === 'file-done') this.answered(message);
        else if (message.type === 'file-changed')
          this.watchers.get(`${message.share} ${message.handle}`)?.(message.name);
        else this.resolveClosed?.();
      };
      this.worker.onError = (message, detail) => {
        this.failed = true;
        this.end();
        fail(new MachineError('failed', `the worker of shared folders has failed: ${message}`, detail));
        this.resolveClosed?.();
      };
    }).then((opened) => ({ shares: opened, rings }));
    this.opened.catch(() => {});
    this.worker.post({ type: 'open-shares', sources: shares.map(sourceOf), rings });
  }

  /** As StorageClient.connect(). */
  connect(host: MessagePort): void {
    this.worker.post({ type: 'shares-host', port: host }, [host]);
  }

  /**
   * Has a request of the owner's done. Rejects with a FileError, or with a
   * MachineError if the shares are closed before.
   */
  async ask(share: number, request: FileRequest): Promise<unknown> {
    await this.opened;
    if (this.failed) throw gone();
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      this.asked.set(id, { resolve, reject });
      const { bytes } = request as { bytes?: Uint8Array };
      this.worker.post({ type: 'file', id, share, request }, bytes === undefined ? [] : [bytes.buffer as ArrayBuffer]);
    });
  }

  /** Returns a function to end that. */
  async watch(share: number, path: string, changed: (name: string | undefined) => void): Promise<() => void> {
    const handle = (await this.ask(share, { operation: 'watch', path })) as number;
    const key = `${share} ${handle}`;
    this.watchers.set(key, changed);
    return () => {
      if (this.watchers.delete(key)) this.ask(share, { operation: 'close', handle }).catch(() => {});
    };
  }

  private answered({ id, result, error }: Extract<FromShares, { type: 'file-done' }>): void {
    const asked = this.asked.get(id);
    this.asked.delete(id);
    if (error === undefined) asked?.resolve(result);
    else asked?.reject(new FileError(error));
  }

  private end(): void {
    for (const { reject } of this.asked.values()) reject(gone());
    this.asked.clear();
  }

  /** Does what is in the ring when the host has ended, and closes all files. */
  async close(hostEnded: Promise<unknown>): Promise<void> {
    await hostEnded;
    const closed = new Promise<void>((resolve) => (this.resolveClosed = resolve));
    this.worker.post({ type: 'close-shares' });
    // A worker that has failed does not answer.
    if (!this.failed) await within(CLOSE_PATIENCE, closed);
    this.worker.onError = () => {};
    await this.worker.terminate();
    this.failed = true;
    this.end();
  }
}
