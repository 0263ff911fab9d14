// SPDX-License-Identifier: MIT
// A connection of TCP for a client of the relay. The client's credit bounds
// what is read of it, and the relay's credit what the client sends.

import { connect, type Socket } from 'node:net';
import { resetSocket } from '../network/reset-socket.ts';
import { REASON } from '../network/wisp-packets.ts';
import { NoWay, type Way } from './destination.ts';
import { LINGER, PACKETS, PIECE } from './limits.ts';
import type { Stream, StreamOwner } from './stream.ts';

/** All sockets read into this, because what is sent is a copy. */
const memory = new Uint8Array(PIECE);
/** More credit than anybody can use is a lie. */
const MOST_CREDIT = 2 ** 40;

const UNREACHABLE = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETDOWN']);

function reasonOf(error: NodeJS.ErrnoException, isOpen: boolean): number {
  if (error.code === 'ETIMEDOUT') return isOpen ? REASON.idle : REASON.timedOut;
  if (isOpen) return REASON.network;
  if (error.code === 'ECONNREFUSED') return REASON.refused;
  return UNREACHABLE.has(error.code ?? '') ? REASON.unreachable : REASON.network;
}

export class TcpStream implements Stream {
  isIdle = false;
  private readonly owner: StreamOwner;
  private readonly number: number;
  private socket: Socket | undefined;
  private state: 'connecting' | 'open' | 'gone' = 'connecting';
  private timer: unknown;
  /** What came before there was a socket. */
  private early: Uint8Array[] = [];
  /** DATA packets and their bytes that the far side has not taken. */
  private packets = 0;
  private bytes = 0;
  /**
   * DATA packets that are on their way or that the client may still send, at
   * most. CONTINUE says how many it may send, not how many more, so what it had
   * left is lost and stays in this number: at most half of PACKETS.
   */
  private outstanding = PACKETS;
  /** Bytes that the client takes. */
  private room: number;
  /** What was read and is beyond the client's credit. */
  private rest: Uint8Array | undefined;
  private clientFinished = false;
  private farFinished = false;
  private finishSent = false;
  /** Closed by the client before there was a socket for what it has sent. */
  private isLate = false;

  constructor(owner: StreamOwner, number: number) {
    this.owner = owner;
    this.number = number;
    this.room = owner.extended ? owner.firstCredit : Infinity;
  }

  /** Connects for the client. */
  open(host: string, port: number): void {
    const { owner } = this;
    this.timer = owner.timers.set(() => this.end(REASON.timedOut), owner.limits.connectSeconds * 1000);
    owner.find(host, port).then(
      (way) => this.connectTo(way),
      (error: unknown) => {
        this.end(error instanceof NoWay ? error.reason : REASON.unknown);
        if (this.isLate) this.forget();
      },
    );
  }

  /** Takes a connection that has come to a port. */
  accept(socket: Socket): void {
    this.use(socket);
    this.state = 'open';
    this.flush();
  }

  private connectTo({ addresses, port }: Way): void {
    if (this.state === 'gone' && !this.isLate) return;
    const [{ address, family }] = addresses as [Way['addresses'][0]];
    // Node tries one after the other, and sees no others than these.
    const socket = connect({
      ...(addresses.length === 1
        ? { host: address, family }
        : {
            host: 'auklet.invalid',
            lookup: (_name, _options, done) => (done as (error: null, all: object[]) => void)(null, addresses),
            autoSelectFamily: true,
          }),
      port,
      allowHalfOpen: true,
      noDelay: true,
      onread: {
        buffer: memory,
        callback: (count, bytes) => {
          this.receive(bytes.subarray(0, count));
          return true;
        },
      },
    });
    this.use(socket);
    socket.on('connect', () => this.connected());
    const { early } = this;
    this.early = [];
    for (const bytes of early) this.write(bytes);
    if (this.isLate) this.watch();
    else if (this.clientFinished) socket.end();
  }

  private use(socket: Socket): void {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.receive(bytes));
    socket.on('end', () => this.farEnd());
    socket.on('error', (error) => this.end(reasonOf(error, this.state === 'open')));
    socket.on('close', () => {
      // What was read and has no credit yet is still to go.
      if (!this.farFinished || this.finishSent) this.end(REASON.voluntary);
    });
  }

  private connected(): void {
    if (this.state !== 'connecting') return;
    this.owner.timers.clear(this.timer);
    this.state = 'open';
    if (this.owner.confirms) this.confirm();
    this.grantIfLow();
  }

  // ---- to the client

  private receive(bytes: Uint8Array): void {
    if (this.state === 'gone') return;
    this.isIdle = false;
    this.rest = bytes;
    this.flush();
  }

  /** Sends what was read, as far as there is credit, and reads on if it can. */
  private flush(): void {
    const { owner, socket } = this;
    while (this.rest !== undefined && this.room > 0 && !owner.isFull) {
      const part = this.rest.subarray(0, Math.min(PIECE, this.room));
      this.rest = part.length < this.rest.length ? this.rest.subarray(part.length) : undefined;
      this.room -= part.length;
      owner.send({ type: 'data', stream: this.number, bytes: part });
      if (!owner.count('down', part.length)) return this.end(REASON.throttled);
    }
    // What was read is in memory that the next read uses.
    if (this.rest?.buffer === memory.buffer) this.rest = this.rest.slice();
    if (this.rest === undefined && this.farFinished) this.sendEnd();
    if (this.rest !== undefined || this.room === 0 || owner.isFull) socket!.pause();
    else socket!.resume();
  }

  credit(count: number): void {
    if (!this.owner.extended) return;
    this.room += count;
    if (this.room > MOST_CREDIT) return this.end(REASON.invalid);
    if (this.socket !== undefined && this.state === 'open') this.flush();
  }

  roomAgain(): void {
    if (this.socket !== undefined && this.state === 'open') this.flush();
  }

  private farEnd(): void {
    this.farFinished = true;
    if (this.rest === undefined) this.sendEnd();
  }

  private sendEnd(): void {
    if (this.finishSent || this.state === 'gone') return;
    this.finishSent = true;
    if (!this.owner.extended) {
      // Wisp has no word for one direction.
      this.owner.send({ type: 'close', stream: this.number, reason: REASON.voluntary });
      this.over();
      return;
    }
    this.owner.send({ type: 'finish', stream: this.number });
    if (this.clientFinished) this.over();
  }

  /** Nothing more goes to the client. */
  private over(): void {
    this.leave();
    this.linger();
  }

  // ---- from the client

  data(bytes: Uint8Array): void {
    this.isIdle = false;
    if (this.clientFinished) return this.end(REASON.invalid);
    this.outstanding = Math.max(0, this.outstanding - 1);
    ++this.packets;
    this.bytes += bytes.length;
    // One and a half of PACKETS are outstanding, and half of it waits: that is
    // what an honest client can do, with PACKETS that confirm() did not know.
    if (this.packets > 3 * PACKETS || !this.owner.hold(bytes.length) || !this.owner.count('up', bytes.length))
      return this.end(REASON.throttled);
    if (this.socket === undefined) this.early.push(bytes);
    else this.write(bytes);
  }

  private write(bytes: Uint8Array): void {
    this.socket!.write(bytes, () => {
      --this.packets;
      this.bytes -= bytes.length;
      this.owner.hold(-bytes.length);
      this.isIdle = false;
      this.grantIfLow();
    });
  }

  private grantIfLow(): void {
    if (this.state !== 'open' || this.outstanding > PACKETS / 2 || this.packets > PACKETS / 2) return;
    // Others need room, too. This is looked at again with the next packet.
    if (this.owner.waiting > this.owner.limits.waitingBytes / 2 && this.packets > 0) return;
    const count = PACKETS - this.packets;
    this.outstanding += count;
    this.owner.send({ type: 'continue', stream: this.number, count });
  }

  /** Tells the client that it is connected, by the credit that it has. */
  private confirm(): void {
    this.owner.send({ type: 'continue', stream: this.number, count: this.outstanding });
  }

  finish(): void {
    if (this.clientFinished) return;
    this.clientFinished = true;
    this.socket?.end();
    if (this.finishSent) this.over();
  }

  closed(orderly: boolean): void {
    // Some clients do not wait until a stream is open, and send, and go.
    if (orderly && this.early.length > 0) this.isLate = this.owner.linger(1);
    this.leave();
    if (this.socket === undefined) return;
    if (orderly) this.linger();
    else this.reset();
  }

  end(reason: number): void {
    if (this.state === 'gone') return;
    this.owner.send({ type: 'close', stream: this.number, reason });
    this.owner.metrics.add('closed_total', 1, `reason="${reason}"`);
    this.leave();
    if (this.socket !== undefined) this.reset();
  }

  private leave(): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.owner.timers.clear(this.timer);
    if (!this.isLate) this.dropEarly();
    this.rest = undefined;
    this.owner.release(this.number);
  }

  private dropEarly(): void {
    this.owner.hold(-this.early.reduce((sum, bytes) => sum + bytes.length, 0));
    this.early = [];
  }

  /** There is no way for what was sent. */
  private forget(): void {
    this.isLate = false;
    this.dropEarly();
    this.owner.linger(-1);
  }

  private reset(): void {
    resetSocket(this.socket!);
  }

  /** Lets the far side take what is left, for a while. */
  private linger(): void {
    if (this.socket!.closed) return;
    if (this.owner.linger(1)) this.watch();
    else this.reset();
  }

  private watch(): void {
    const socket = this.socket!;
    const { owner } = this;
    const timer = owner.timers.set(() => this.reset(), LINGER);
    socket.on('close', () => {
      owner.timers.clear(timer);
      owner.linger(-1);
    });
    socket.end();
    // Nobody reads what comes now, and its end must be seen.
    socket.removeAllListeners('data');
    socket.resume();
  }
}
