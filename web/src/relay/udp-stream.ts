// SPDX-License-Identifier: MIT
// Datagrams of UDP between a client of the relay and one far side.

import { createSocket, type Socket } from 'node:dgram';
import { REASON } from '../network/wisp-packets.ts';
import { NoWay, type Way } from './destination.ts';
import type { Stream, StreamOwner } from './stream.ts';

/** Datagrams from the client that wait, for the socket or for the system. */
const MOST_WAITING = 64;
const MOST_BYTES = 65_527;

export class UdpStream implements Stream {
  isIdle = false;
  private readonly owner: StreamOwner;
  private readonly number: number;
  private socket: Socket | undefined;
  private isConnected = false;
  private isGone = false;
  private early: Uint8Array[] = [];
  private sending = 0;

  constructor(owner: StreamOwner, number: number) {
    this.owner = owner;
    this.number = number;
  }

  open(host: string, port: number): void {
    this.owner.find(host, port).then(
      (way) => this.connectTo(way),
      (error: unknown) => this.end(error instanceof NoWay ? error.reason : REASON.unknown),
    );
  }

  private connectTo({ addresses, port }: Way): void {
    if (this.isGone) return;
    const [{ address, family }] = addresses as [Way['addresses'][0]];
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    this.socket = socket;
    socket.on('message', (bytes) => this.receive(bytes));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.end(error.code === 'ECONNREFUSED' ? REASON.refused : REASON.unreachable),
    );
    // A callback of connect() would get its error, too, in place of 'error'.
    socket.once('connect', () => {
      this.isConnected = true;
      const { early } = this;
      this.early = [];
      for (const bytes of early) this.write(bytes);
    });
    // Only datagrams of this far side come through a connected socket.
    socket.connect(port, address);
  }

  private receive(bytes: Uint8Array): void {
    const { owner } = this;
    this.isIdle = false;
    if (owner.isFull) return owner.metrics.add('datagrams_dropped_total', 1, 'direction="down"');
    owner.send({ type: 'data', stream: this.number, bytes });
    if (!owner.count('down', bytes.length)) this.end(REASON.throttled);
  }

  data(bytes: Uint8Array): void {
    this.isIdle = false;
    if (!this.owner.count('up', bytes.length)) return this.end(REASON.throttled);
    const hasRoom = this.early.length + this.sending < MOST_WAITING && bytes.length <= MOST_BYTES;
    if (!hasRoom || !this.owner.hold(bytes.length))
      return this.owner.metrics.add('datagrams_dropped_total', 1, 'direction="up"');
    if (this.isConnected) this.write(bytes);
    else this.early.push(bytes);
  }

  private write(bytes: Uint8Array): void {
    ++this.sending;
    this.socket!.send(bytes, (error) => {
      --this.sending;
      this.owner.hold(-bytes.length);
      // One that is too large is lost, as it is in a network.
      if (error !== null && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.end(REASON.refused);
    });
  }

  credit(): void {}

  finish(): void {
    this.end(REASON.invalid);
  }

  roomAgain(): void {}

  closed(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.owner.hold(-this.early.reduce((sum, bytes) => sum + bytes.length, 0));
    this.early = [];
    this.owner.release(this.number);
    this.socket?.close();
  }

  end(reason: number): void {
    if (this.isGone) return;
    this.owner.send({ type: 'close', stream: this.number, reason });
    this.owner.metrics.add('closed_total', 1, `reason="${reason}"`);
    this.closed();
  }
}
