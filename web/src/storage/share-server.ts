// SPDX-License-Identifier: MIT
// Opens shares, and does what the host puts into the ring for the guest.
//
// The host has checked that names are names, and places within K. A request is
// done when its answer is in the ring; until then its memory belongs to this
// thread.

import { listen } from '../machine/platform.ts';
import { codeOf, numberOf, type FileErrorCode } from './file-error.ts';
import { KernelAccess } from './kernel-access.ts';
import { openShare, type ShareSource } from './open-share.ts';
import { serveRing } from './serve-ring.ts';
import { ShareFiles, type FileRequest } from './share-files.ts';
import {
  requestOf,
  ShareRings,
  type AnswerWords,
  type HostToShares,
  type ShareDescription,
  type ShareRequest,
} from './share-protocol.ts';
import { ShareSession } from './share-session.ts';
import type { Share } from './share.ts';

export type ToShares =
  /** The first message, answered with 'shares-opened' or 'shares-failed'. */
  | { type: 'open-shares'; sources: ShareSource[]; rings: SharedArrayBuffer }
  /** After 'shares-opened': the host's port. */
  | { type: 'shares-host'; port: MessagePort }
  /** For the owner itself. Answered with 'file-done'. */
  | { type: 'file'; id: number; share: number; request: FileRequest }
  /** Does what was asked for, and answers 'shares-closed'. */
  | { type: 'close-shares' };

export type FromShares =
  | { type: 'shares-opened'; shares: ShareDescription[] }
  /** No share is open. The text is for users. */
  | { type: 'shares-failed'; message: string }
  | { type: 'file-done'; id: number; result?: unknown; error?: FileErrorCode }
  /** What the owner watches has changed. */
  | { type: 'file-changed'; share: number; handle: number; name?: string }
  | { type: 'shares-closed' };

interface OpenShare {
  share: Share;
  session: ShareSession;
  files: ShareFiles;
}

export class ShareServer {
  private readonly post: (message: FromShares) => void;
  private readonly shares: OpenShare[] = [];
  private readonly pending = new Set<Promise<void>>();
  private rings: ShareRings | undefined;
  private host: MessagePort | undefined;
  private kernel: KernelAccess | undefined;
  private opening: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(post: (message: FromShares) => void) {
    this.post = post;
  }

  handle(message: ToShares): void {
    if (message.type === 'close-shares') void this.close();
    else if (message.type === 'file') void this.doFile(message);
    else if (message.type === 'shares-host') this.listenTo(message.port);
    else this.opening = this.open(message);
  }

  private async open({ sources, rings }: Extract<ToShares, { type: 'open-shares' }>): Promise<void> {
    for (const source of sources) {
      try {
        const share = await openShare(source);
        this.shares.push(this.entryOf(share, source.place, this.shares.length));
      } catch (error) {
        for (const { share } of this.shares.splice(0)) await share.end();
        const text = error instanceof Error ? error.message : String(error);
        const place = source.folder === undefined ? '' : ` (${source.folder})`;
        this.post({ type: 'shares-failed', message: `share ${source.name}${place}: ${text}` });
        return;
      }
    }
    this.rings = new ShareRings(rings);
    this.post({
      type: 'shares-opened',
      shares: this.shares.map(({ share: { readOnly, flushes } }, index) => ({
        tag: sources[index]!.name,
        readOnly,
        flushes,
      })),
    });
  }

  private listenTo(host: MessagePort): void {
    this.host = host;
    listen(host, (message: HostToShares) => this.attach(message));
  }

  private entryOf(share: Share, place: string, index: number): OpenShare {
    const entry: OpenShare = {
      share,
      session: this.newSession(share),
      files: new ShareFiles(share, place, (handle, name) =>
        this.post({ type: 'file-changed', share: index, handle, ...(name === undefined ? {} : { name }) }),
      ),
    };
    return entry;
  }

  private async doFile({ id, share, request }: Extract<ToShares, { type: 'file' }>): Promise<void> {
    try {
      const entry = this.shares[share];
      // What the guest has asked for before comes first.
      this.doAll();
      this.post({ type: 'file-done', id, result: await entry?.files.do(request) });
    } catch (error) {
      this.post({ type: 'file-done', id, error: codeOf(error) });
    }
  }

  private newSession(share: Share): ShareSession {
    return new ShareSession(share, (places) => this.kernel!.viewsOf(places));
  }

  private attach({ memory, doorbell, bit }: HostToShares): void {
    this.kernel = new KernelAccess(memory, doorbell, bit);
    // Not before: a loop that can take no request does not wait for one.
    void serveRing(this.rings!.requests, {
      doAll: () => this.doAll(),
      isPending: () => this.pending.size > 0,
      isClosed: () => this.closed,
    });
  }

  private doAll(): void {
    if (this.kernel === undefined) return;
    for (let record; this.rings !== undefined && (record = this.rings.requests.shift()) !== undefined;)
      this.do(requestOf(record));
  }

  private do(request: ShareRequest): void {
    const entry = this.shares[request.share];
    if (entry === undefined) return;
    if (request.operation === 'reset') {
      entry.session.end();
      entry.session = this.newSession(entry.share);
      return;
    }
    if (request.operation === 'forget') {
      entry.session.forget(request);
      return;
    }
    try {
      const done = entry.session.do(request);
      if (done instanceof Promise) {
        const answered = done.then(
          (words) => this.answer(request, 0, words),
          (error: unknown) => this.answer(request, numberOf(error)),
        );
        this.pending.add(answered);
        void answered.then(() => this.pending.delete(answered));
      } else this.answer(request, 0, done);
    } catch (error) {
      this.answer(request, numberOf(error));
    }
  }

  private answer({ share, id }: ShareRequest, error: number, answer?: AnswerWords): void {
    // There is room for the answers of all that can be on the way.
    this.rings?.answers.push([share, id, error, ...(answer?.words ?? [])]);
    this.kernel?.ringDoorbell();
  }

  /** What is in the ring is done first. */
  private async close(): Promise<void> {
    await this.opening;
    this.doAll();
    await Promise.all(this.pending);
    this.closed = true;
    for (const { share, session, files } of this.shares.splice(0)) {
      files.end();
      session.end();
      await share.end();
    }
    this.host?.close();
    this.kernel = undefined;
    this.post({ type: 'shares-closed' });
  }
}
