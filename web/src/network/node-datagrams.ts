// SPDX-License-Identifier: MIT
// A guest's datagrams between two ports, as a socket of Node.js. It is
// connected, so that it gets datagrams of that far side only, and its errors.

import type { Socket } from 'node:dgram';
import { flowErrorOf, type Flow, type FlowOwner } from './node-stream.ts';

/** Datagrams on their way at a time, in bytes: any one fits. */
const MOST_PENDING = 128 << 10;
const LONGEST_DATAGRAM = 65_535;
/** Datagrams that wait for the socket to be connected. */
const MOST_EARLY = 16;

export class NodeDatagrams implements Flow {
  private readonly id: number;
  private readonly owner: FlowOwner;
  private readonly socket: Socket;
  private state: 'opening' | 'open' | 'gone' = 'opening';
  private early: Uint8Array[] = [];
  private pending = 0;

  constructor(id: number, owner: FlowOwner, socket: Socket, address: string, port: number) {
    this.id = id;
    this.owner = owner;
    this.socket = socket;
    owner.budget.datagramFlows += 1;
    socket.on('error', (error) => this.failed(error));
    socket.on('message', (bytes) => {
      if (this.state === 'open') owner.events.data(id, bytes);
    });
    socket.once('connect', () => this.opened());
    socket.connect(port, address);
  }

  send(bytes: Uint8Array): number {
    const isLost =
      this.state === 'gone' ||
      this.early.length >= MOST_EARLY ||
      this.pending + bytes.length > MOST_PENDING ||
      !this.owner.budget.takeDatagram(bytes.length);
    if (!isLost) {
      this.pending += bytes.length;
      const copy = new Uint8Array(bytes);
      if (this.state === 'opening') this.early.push(copy);
      else this.pass(copy);
    }
    const room = MOST_PENDING - this.pending;
    return room < LONGEST_DATAGRAM ? 0 : room;
  }

  finish(): void {}

  consumed(): void {}

  closed(): void {
    if (this.state !== 'gone') this.end();
  }

  private opened(): void {
    if (this.state !== 'opening') return;
    this.state = 'open';
    this.owner.events.opened(this.id, MOST_PENDING);
    const { early } = this;
    this.early = [];
    for (const datagram of early) this.pass(datagram);
  }

  private pass(datagram: Uint8Array): void {
    this.socket.send(datagram, (error) => {
      this.sent(datagram.length);
      if (error !== null) this.failed(error);
      else if (this.state === 'open') this.owner.events.writable(this.id, MOST_PENDING - this.pending);
    });
  }

  private sent(count: number): void {
    this.pending -= count;
    this.owner.budget.giveDatagram(count);
  }

  private failed(error: unknown): void {
    if (this.state === 'gone') return;
    // One that is too long is lost, as on any other way.
    if ((error as { code?: unknown }).code === 'EMSGSIZE') return;
    this.end();
    this.owner.ended(this.id);
    this.owner.events.failed(this.id, flowErrorOf(error));
  }

  private end(): void {
    this.state = 'gone';
    this.owner.budget.datagramFlows -= 1;
    for (const { length } of this.early) this.sent(length);
    this.early = [];
    this.socket.close();
  }
}
