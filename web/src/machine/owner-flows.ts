// SPDX-License-Identifier: MIT
// Flows between a guest and its machine's owner: the same messages as those of
// the socket device (protocol.ts), for connections of TCP.

import type { FlowEvents } from '../network/backend.ts';
import { FIRST_ACCEPTED, type SocketEvent, type SocketRequest } from './protocol.ts';

/**
 * The owner's connections have numbers from here on. Those of published ports
 * are below.
 */
export const FIRST_OWNED = 2 ** 30;

/** Bytes that a program may send while the owner reads nothing. */
const ROOM = 256 * 1024;

interface Flow {
  /** Bytes for the owner that it has not taken. */
  untaken: number;
  /** The owner's bytes for which the guest had no room. */
  waiting: Uint8Array[];
  /** The owner sends nothing more after these. */
  finished: boolean;
}

export class OwnerFlows {
  private readonly events: FlowEvents;
  private readonly post: (event: SocketEvent) => void;
  private readonly flows = new Map<number, Flow>();
  private readonly ports = new Set<number>();

  constructor(events: FlowEvents, post: (event: SocketEvent) => void) {
    this.events = events;
    this.post = post;
  }

  has(id: number): boolean {
    return this.flows.has(id);
  }

  listens(port: number): boolean {
    return this.ports.has(port);
  }

  // ---- what the owner asks for ----------------------------------------------

  request(request: SocketRequest): void {
    if (request.type === 'listen') {
      if (request.on) this.ports.add(request.port);
      else this.ports.delete(request.port);
      return;
    }
    const { id } = request;
    if (request.type === 'connect') return this.connect(id, request.port);
    const flow = this.flows.get(id);
    // It may have gone meanwhile.
    if (flow === undefined) return;
    switch (request.type) {
      case 'send':
        flow.waiting.push(request.bytes);
        return this.pass(id, flow);
      case 'taken':
        flow.untaken -= request.count;
        return this.events.writable(id, this.room(flow));
      case 'finish':
        flow.finished = true;
        return this.pass(id, flow);
      case 'abort':
        this.flows.delete(id);
        this.events.aborted(id);
        this.post({ type: 'closed', id, reset: true });
    }
  }

  private connect(id: number, port: number): void {
    const isNumber = id >= FIRST_OWNED && id < FIRST_ACCEPTED && !this.flows.has(id);
    if (isNumber) this.flows.set(id, { untaken: 0, waiting: [], finished: false });
    if (isNumber && this.events.incoming(id, port, ROOM)) return;
    if (isNumber) this.flows.delete(id);
    this.post({ type: 'closed', id, reset: true });
  }

  // ---- FlowBackend ----------------------------------------------------------

  /** A program connects to a port on which the owner listens. */
  open(id: number, port: number): void {
    this.flows.set(id, { untaken: 0, waiting: [], finished: false });
    queueMicrotask(() => {
      if (!this.flows.has(id)) return;
      this.events.opened(id, ROOM);
      this.post({ type: 'accepted', id, port });
    });
  }

  accepted(id: number): void {
    this.post({ type: 'opened', id });
    this.passLater(id);
  }

  send(id: number, bytes: Uint8Array): number {
    const flow = this.flows.get(id);
    if (flow === undefined) return 0;
    flow.untaken += bytes.length;
    this.post({ type: 'data', id, bytes: bytes.slice() });
    return this.room(flow);
  }

  finish(id: number): void {
    this.post({ type: 'ended', id });
  }

  consumed(id: number, count: number): void {
    this.post({ type: 'sent', id, count });
    this.passLater(id);
  }

  closed(id: number, reset: boolean): void {
    this.flows.delete(id);
    this.post({ type: 'closed', id, reset });
  }

  private room({ untaken }: Flow): number {
    return Math.max(0, ROOM - untaken);
  }

  /** A call of the C++ host may not come back into it. */
  private passLater(id: number): void {
    queueMicrotask(() => {
      const flow = this.flows.get(id);
      if (flow !== undefined) this.pass(id, flow);
    });
  }

  /** Gives the guest what it has room for. */
  private pass(id: number, flow: Flow): void {
    for (let bytes; (bytes = flow.waiting[0]) !== undefined;) {
      const taken = this.events.data(id, bytes);
      if (taken < bytes.length) {
        flow.waiting[0] = bytes.subarray(taken);
        return;
      }
      flow.waiting.shift();
    }
    if (flow.finished) this.events.finished(id);
    flow.finished = false;
  }
}
