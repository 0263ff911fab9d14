// SPDX-License-Identifier: MIT
// One stream of Wisp, as a client: its credit in both directions, its queue,
// and its end.

import type { FlowError, FlowKind } from './backend.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Timers } from './timers.ts';
import type { ServerTraits } from './wisp-link.ts';
import { HEADER, REASON, type Packet } from './wisp-packets.ts';

/** As of FlowEvents (backend.ts), for one flow. */
export interface FlowListener {
  opened(room: number): void;
  failed(error: FlowError): void;
  data(bytes: Uint8Array): number;
  writable(room: number): void;
  finished(): void;
  aborted(): void;
}

/** The connection that the streams share. */
export interface Line {
  readonly traits: ServerTraits;
  readonly timers: Timers;
  /** Too many bytes wait for the network. */
  readonly full: boolean;
  /**
   * Bytes of a stream that may be on their way or in its queue, as the number
   * of streams is now.
   */
  readonly window: number;
  send(packet: Packet): void;
  /** roomAgain() is called when it is no longer full. */
  waitForRoom(flow: WispFlow): void;
  /**
   * Counts bytes of all queues. False: there are too many, and none were added.
   */
  hold(count: number): boolean;
  /** The number is free. */
  release(flow: WispFlow): void;
}

/** Bytes of a new stream that the server may send before it hears of us. */
export const FIRST_CREDIT = 64 * 1024;
/**
 * Bytes of one packet to the server, whose credit counts packets: a segment of
 * a guest's. Chromium sends messages of more than 64 KiB at half the rate.
 */
const PIECE = 64 * 1024 - HEADER;
/** Bytes of the far side that a stream may queue without the extension. */
const MOST_QUEUED = 16 * 1024 * 1024;
/** The largest datagram of UDP. */
const MOST_DATAGRAM = 65_527;
/** Datagrams that wait for the line. Together they are no longer than one. */
const MOST_EARLY = 16;
/**
 * Milliseconds after which a stream counts as open if nothing speaks against.
 */
const SUPPOSED_OPEN = 300;
/** Milliseconds for the server to say that a stream is open. */
const CONNECT_TIMEOUT = 60_000;
/**
 * Milliseconds without data after the guest's end, of which a server without
 * the extension does not hear.
 */
const QUIET = 60_000;
/**
 * Milliseconds for which the server may take nothing of what a guest has sent
 * that has gone. Nobody else would end such a stream. What is on its way may
 * need a minute over a slow line.
 */
const LINGER = 300_000;

const ERRORS: Record<number, FlowError> = {
  [REASON.invalid]: 'unreachable',
  [REASON.unreachable]: 'unreachable',
  [REASON.timedOut]: 'timed-out',
  [REASON.idle]: 'timed-out',
  [REASON.blocked]: 'prohibited',
  [REASON.throttled]: 'unreachable',
};

/** The guest has gone, and hears nothing more. */
const NOBODY: FlowListener = {
  opened() {},
  failed() {},
  data: (bytes) => bytes.length,
  writable() {},
  finished() {},
  aborted() {},
};

export class WispFlow {
  readonly kind: FlowKind;
  /** Of the stream. 0: it has none yet. */
  number = 0;
  private listener: FlowListener;
  private line: Line | undefined;
  private state: 'waiting' | 'opening' | 'open' | 'gone' = 'waiting';
  /** DATA packets that the server has room for. */
  private packets = 0;
  /** Bytes that the server may send, with the extension. */
  private credit = 0;
  private readonly queue = new ByteQueue();
  /**
   * The guest's bytes for which the server has had no packets, or that came
   * while the line was full.
   */
  private readonly out = new ByteQueue();
  /**
   * Bytes that the guest may send, as it was told. It may have sent them when
   * it hears of less room, so this never shrinks but by what it sends.
   */
  private told = 0;
  private early: Uint8Array[] = [];
  private guestFinished = false;
  /** The far side sends nothing more. The queue may have more. */
  private farFinished = false;
  /** The server has closed the stream. */
  private farGone = false;
  private finishTold = false;
  private finishSent = false;
  /** The guest has gone, and what it has sent has not. */
  private isLeaving = false;
  private pumping = false;
  /** Somebody has connected to a port of the guest. */
  private isIncoming = false;
  private timer: unknown;

  constructor(kind: FlowKind, listener: FlowListener) {
    this.kind = kind;
    this.listener = listener;
  }

  get isGone(): boolean {
    return this.state === 'gone';
  }

  /** Asks the server for the far side. The listener hears of it later. */
  connect(line: Line, number: number, host: string, port: number): void {
    this.begin(line, number);
    line.send({ type: 'connect', stream: number, kind: this.kind, host, port });
    if (this.kind === 'datagrams') {
      for (const bytes of this.early) line.send({ type: 'data', stream: number, bytes });
      this.early = [];
      queueMicrotask(() => this.open());
    } else if (line.traits.confirms)
      this.timer = line.timers.set(() => this.fail('timed-out', REASON.voluntary), CONNECT_TIMEOUT);
    else this.timer = line.timers.set(() => this.open(), SUPPOSED_OPEN);
  }

  /**
   * Takes a connection that the server has accepted, for a port of the guest.
   */
  accept(line: Line, number: number): void {
    this.isIncoming = true;
    this.begin(line, number);
  }

  /** As FlowBackend.accepted(). */
  accepted(): void {
    if (this.state !== 'opening' || !this.isIncoming) return;
    this.state = 'open';
    this.topUp();
    // What waits comes later, because this is a call of the guest's. So does
    // room that there is since incoming().
    this.consumed();
    queueMicrotask(() => this.roomAgain());
  }

  private begin(line: Line, number: number): void {
    this.line = line;
    this.number = number;
    this.state = 'opening';
    this.packets = line.traits.packets;
    this.credit = FIRST_CREDIT;
  }

  private open(): void {
    if (this.state !== 'opening' || this.isIncoming) return;
    this.state = 'open';
    this.line!.timers.clear(this.timer);
    this.topUp();
    this.listener.opened(this.room);
  }

  /** The stream cannot be. The server hears the reason, if there is one. */
  fail(error: FlowError, reason?: number): void {
    if (this.state === 'gone') return;
    if (reason !== undefined) this.line?.send({ type: 'close', stream: this.number, reason });
    this.leave();
    this.listener.failed(error);
  }

  private abort(reason?: number): void {
    if (this.state === 'gone') return;
    if (reason !== undefined) this.line!.send({ type: 'close', stream: this.number, reason });
    this.leave();
    this.listener.aborted();
  }

  private leave(): void {
    this.state = 'gone';
    this.line?.timers.clear(this.timer);
    this.line?.hold(-this.queue.length - this.out.length);
    this.queue.clear();
    this.out.clear();
    this.early = [];
    this.line?.release(this);
  }

  /** The line is gone. What has come whole can still be read. */
  lost(): void {
    if (this.isLeaving) return this.leave();
    if (this.farGone || (this.finishSent && this.farFinished)) return;
    if (this.isIncoming || (this.state === 'open' && this.kind === 'stream')) this.abort();
    else this.fail('unreachable');
  }

  /** A packet of this stream. */
  handle(packet: Packet): void {
    if (this.state === 'gone' || this.farGone) return;
    switch (packet.type) {
      case 'data':
        this.open();
        this.receive(packet.bytes);
        return;
      case 'continue':
        if (this.kind === 'datagrams') return;
        this.packets = packet.count;
        this.flush();
        if (this.isGone) return;
        if (this.state === 'open') this.listener.writable(this.room);
        else this.open();
        return;
      case 'close':
        this.closeFar(packet.reason);
        return;
      case 'finish':
        if (this.kind === 'datagrams') return this.abort(REASON.client);
        this.open();
        this.farFinished = true;
        this.pump();
        return;
      case 'connect':
      case 'info':
      case 'listen':
      case 'accept':
        // The answer to LISTEN, for a stream.
        this.abort(REASON.client);
    }
  }

  private closeFar(reason: number): void {
    if (this.state === 'opening') return this.isIncoming ? this.abort() : this.fail(ERRORS[reason] ?? 'refused');
    if (this.kind === 'datagrams')
      return reason === REASON.refused || reason === REASON.blocked
        ? this.fail(ERRORS[reason] ?? 'refused')
        : this.abort();
    if (reason !== REASON.voluntary) return this.abort();
    this.farFinished = true;
    this.farGone = true;
    this.line!.timers.clear(this.timer);
    if (this.isLeaving) return this.leave();
    // Nobody is there to take it.
    this.line!.hold(-this.out.length);
    this.out.clear();
    this.pump();
  }

  private receive(bytes: Uint8Array): void {
    const line = this.line!;
    // open() may have ended it.
    if (this.isGone) return;
    if (this.kind === 'datagrams') {
      if (bytes.length <= MOST_DATAGRAM) this.listener.data(bytes);
      return;
    }
    if (this.farFinished) return this.abort(REASON.client);
    if (this.guestFinished) this.waitForEnd();
    const extended = line.traits.abilities !== undefined;
    if (extended && bytes.length > this.credit) return this.abort(REASON.client);
    this.credit -= bytes.length;
    const isNext = this.state === 'open' && this.queue.length === 0 && bytes.length > 0;
    const taken = isNext ? this.listener.data(bytes) : 0;
    if (this.isGone) return;
    const rest = bytes.subarray(taken);
    if (this.queue.length + rest.length > MOST_QUEUED || !line.hold(rest.length)) return this.abort(REASON.client);
    this.queue.push(rest);
    this.topUp();
  }

  /** Gives the owner what waits, and then the end. */
  private pump(): void {
    while (this.state === 'open' && this.queue.length > 0) {
      const bytes = this.queue.peek();
      const taken = this.listener.data(bytes);
      if (this.isGone || taken === 0) return;
      this.queue.drop(taken);
      this.line!.hold(-taken);
      if (taken < bytes.length) break;
    }
    if (this.state !== 'open') return;
    this.topUp();
    if (this.farFinished && !this.finishTold && this.queue.length === 0) {
      this.finishTold = true;
      this.listener.finished();
    }
  }

  /** Gives the server credit for what the queue no longer has. */
  private topUp(): void {
    const { line } = this;
    if (line?.traits.abilities === undefined || this.kind === 'datagrams' || this.farFinished) return;
    const { window } = line;
    const count = window - this.credit - this.queue.length;
    if (count < window / 4) return;
    this.credit += count;
    line.send({ type: 'continue', stream: this.number, count });
  }

  /** Bytes that the guest may send. */
  get room(): number {
    const line = this.line!;
    if (line.full) line.waitForRoom(this);
    if (this.kind === 'datagrams') return line.full ? 0 : MOST_DATAGRAM;
    // All that was told may come while the line is full.
    const most = Math.min(this.packets * PIECE, Math.floor(line.window / 2));
    if (!line.full) this.told = Math.max(this.told, most - this.out.length);
    return this.told;
  }

  /** The line is no longer full. */
  roomAgain(): void {
    if (this.state !== 'open' || this.farGone) return;
    this.flush();
    if (!this.isGone) this.listener.writable(this.room);
  }

  /** As FlowBackend.send(). */
  send(bytes: Uint8Array): number {
    if (this.kind === 'datagrams') return this.sendDatagram(bytes);
    if (this.state !== 'open' || this.guestFinished) return 0;
    if (this.farGone) {
      // Nobody takes these: the guest hears it as from a closed socket.
      queueMicrotask(() => this.abort());
      return 0;
    }
    this.told = Math.max(0, this.told - bytes.length);
    let at = 0;
    if (this.out.length === 0)
      for (; at < bytes.length && this.maySend; at += PIECE) this.sendPiece(bytes.subarray(at, at + PIECE));
    const rest = bytes.slice(at);
    if (this.line!.hold(rest.length)) this.out.push(rest);
    else queueMicrotask(() => this.abort(REASON.client));
    return this.room;
  }

  /** What all flows were told of is more than the line takes. */
  private get maySend(): boolean {
    return this.packets > 0 && !this.line!.full;
  }

  private sendPiece(bytes: Uint8Array): void {
    --this.packets;
    this.line!.send({ type: 'data', stream: this.number, bytes });
  }

  /** Sends what waits, and then what comes behind it. */
  private flush(): void {
    const before = this.out.length;
    while (this.out.length > 0 && this.maySend) {
      const bytes = this.out.peek().subarray(0, PIECE);
      this.sendPiece(bytes);
      this.out.drop(bytes.length);
      this.line!.hold(-bytes.length);
    }
    if (this.isLeaving && this.out.length < before) this.linger();
    if (this.out.length > 0) return;
    if (this.guestFinished) this.sendFinish();
    if (this.isLeaving) this.end(false);
  }

  private sendDatagram(bytes: Uint8Array): number {
    if (this.state === 'waiting') {
      const waiting = this.early.reduce((sum, each) => sum + each.length, bytes.length);
      if (this.early.length < MOST_EARLY && waiting <= MOST_DATAGRAM) this.early.push(bytes.slice());
      return MOST_DATAGRAM;
    }
    if (this.state === 'gone') return 0;
    const room = this.room;
    if (room > 0) this.line!.send({ type: 'data', stream: this.number, bytes });
    return room;
  }

  /** As FlowBackend.finish(). */
  finish(): void {
    if (this.state !== 'open' || this.guestFinished) return;
    this.guestFinished = true;
    if (!this.farGone && this.out.length === 0) this.sendFinish();
  }

  private sendFinish(): void {
    if (this.finishSent) return;
    this.finishSent = true;
    if (this.line!.traits.abilities !== undefined) this.line!.send({ type: 'finish', stream: this.number });
    else this.waitForEnd();
  }

  /** A server that does not hear of the guest's end may never end, either. */
  private waitForEnd(): void {
    const { timers, traits } = this.line!;
    if (traits.abilities !== undefined) return;
    timers.clear(this.timer);
    this.timer = timers.set(() => this.abort(REASON.voluntary), QUIET);
  }

  /** As FlowBackend.consumed(). */
  consumed(): void {
    if (this.pumping || (this.queue.length === 0 && !this.farFinished)) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      this.pump();
    });
  }

  /** As FlowBackend.closed(). The listener hears nothing any more. */
  closed(reset: boolean): void {
    if (this.state === 'gone') return;
    this.listener = NOBODY;
    if (reset || this.out.length === 0) return this.end(reset);
    this.isLeaving = true;
    this.linger();
    this.pump();
  }

  private linger(): void {
    const { timers } = this.line!;
    timers.clear(this.timer);
    this.timer = timers.set(() => (this.line!.full ? this.linger() : this.end(true)), LINGER);
  }

  private end(reset: boolean): void {
    const isOver = this.farGone || (this.guestFinished && this.farFinished);
    if (this.number !== 0 && !isOver)
      this.line!.send({ type: 'close', stream: this.number, reason: reset ? REASON.client : REASON.voluntary });
    this.leave();
  }
}
