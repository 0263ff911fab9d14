// SPDX-License-Identifier: MIT
// A guest's connection as a socket of Node.js.

import type { Socket } from 'node:net';
import type { FlowError, FlowEvents } from './backend.ts';
import { BASE, MOST_ROOM, type Budget } from './budget.ts';
import { resetSocket } from './reset-socket.ts';
import { WriteQueue } from './write-queue.ts';

/** What a flow is told by FlowBackend. */
export interface Flow {
  accepted?(): void;
  send(bytes: Uint8Array): number;
  finish(): void;
  consumed(): void;
  closed(reset: boolean): void;
}

/** What a flow tells its owner. */
export interface FlowOwner {
  readonly events: FlowEvents;
  readonly budget: Budget;
  /** The flow has ended by itself: its number is free. */
  ended(id: number): void;
}

/** What one read takes. More at a time is faster. */
const LARGE_READ = 128 << 10;
/**
 * What Node.js reads at a time of a connection that a server has accepted. It
 * cannot read those into a buffer of ours.
 */
const SERVER_READ = 64 << 10;
/** What a guest may send at first: a segment of the largest. */
const FIRST_ROOM = 64 << 10;
/** What a guest has sent is not waited for longer than this, in ms. */
const LONGEST_LINGER = 10_000;

/**
 * All sockets read into the same memory: what is not taken at once is copied.
 */
const memory = new Uint8Array(LARGE_READ);
const smallMemory = memory.subarray(0, BASE);

const ERRORS: Record<string, FlowError> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timed-out',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
};

/** Without a way, a port, or descriptors, nothing is reached. */
export function flowErrorOf(error: unknown): FlowError {
  return ERRORS[String((error as { code?: unknown }).code)] ?? 'unreachable';
}

/** What reads without a buffer for each time. */
interface OnRead {
  onread: { buffer: () => Uint8Array; callback: (count: number, bytes: Uint8Array) => boolean };
}

export class NodeStream implements Flow {
  readonly id: number;
  private readonly owner: FlowOwner;
  private readonly socket: Socket;
  private readonly out: WriteQueue;
  private readonly isIncoming: boolean;
  /** What the guest may have on its way at most. */
  private limit = BASE;
  /** What of the budget is given back at the end. */
  private taken: number;
  private state: 'opening' | 'open' | 'gone' = 'opening';
  /** The guest has used the most of its room. */
  private isBusy = false;
  /** Of what was read, what the guest had no room for. */
  private rest: Uint8Array | undefined;
  /** The socket waits for consumed(). */
  private isStalled = false;
  private isTrying = false;

  private constructor(id: number, owner: FlowOwner, socket: Socket, isIncoming: boolean, taken: number) {
    this.id = id;
    this.owner = owner;
    this.socket = socket;
    this.isIncoming = isIncoming;
    this.taken = taken;
    this.grow(FIRST_ROOM - BASE);
    this.out = new WriteQueue(socket, (count) => this.written(count));
    owner.budget.streams += 1;
    socket.on('end', () => this.ended());
    socket.on('error', (error) => this.failed(flowErrorOf(error)));
    socket.on('close', () => this.giveBack());
  }

  /**
   * Connects within `timeout` ms. `connect` makes a socket that has the option.
   */
  static open(id: number, owner: FlowOwner, connect: (option: OnRead) => Socket, timeout: number): NodeStream {
    const extra = LARGE_READ - BASE;
    const isLarge = owner.budget.takeSpare(extra);
    const buffer = (): Uint8Array => (isLarge ? memory : smallMemory);
    const callback = (count: number, bytes: Uint8Array): boolean => stream.read(bytes.subarray(0, count));
    const socket = connect({ onread: { buffer, callback } });
    const stream = new NodeStream(id, owner, socket, false, isLarge ? extra : 0);
    socket.setTimeout(timeout, () => stream.failed('timed-out'));
    socket.once('connect', () => stream.opened());
    return stream;
  }

  /**
   * Takes a paused socket that a server has accepted; its high-water mark is 1.
   * Undefined: there is no memory for it.
   */
  static accept(id: number, owner: FlowOwner, socket: Socket): NodeStream | undefined {
    const extra = SERVER_READ - BASE;
    if (!owner.budget.take(extra)) return undefined;
    const stream = new NodeStream(id, owner, socket, true, extra);
    socket.on('data', (bytes: Uint8Array) => stream.readByServer(bytes));
    socket.pause();
    return stream;
  }

  get room(): number {
    return this.limit - this.out.pending;
  }

  accepted(): void {
    if (this.state !== 'opening') return;
    this.state = 'open';
    this.socket.resume();
  }

  send(bytes: Uint8Array): number {
    if (this.state !== 'open') return 0;
    if (bytes.length > this.room) throw new Error(`${bytes.length} bytes for a flow with room for ${this.room}`);
    this.out.add(bytes);
    this.isBusy ||= this.room < this.limit / 2;
    return this.room;
  }

  finish(): void {
    if (this.state === 'open') this.out.end();
  }

  consumed(): void {
    if (!this.isStalled || this.isTrying) return;
    this.isTrying = true;
    // Events do not come from within a call.
    queueMicrotask(() => {
      this.isTrying = false;
      this.goOn();
    });
  }

  closed(reset: boolean): void {
    const { state, socket } = this;
    this.leave();
    if (state === 'open' && !reset && !socket.destroyed && this.owner.budget.take(BASE)) {
      // What the guest has sent still goes out, and what comes is dropped. The
      // guest may have another stream meanwhile.
      this.taken += BASE;
      socket.setTimeout(LONGEST_LINGER, () => socket.destroy());
      this.out.end();
      socket.resume();
      return;
    }
    this.giveBack();
    resetSocket(socket);
  }

  private leave(): void {
    this.state = 'gone';
    this.rest = undefined;
    this.owner.budget.streams -= 1;
  }

  private giveBack(): void {
    this.owner.budget.give(this.taken);
    this.taken = 0;
  }

  private opened(): void {
    if (this.state !== 'opening') return;
    this.state = 'open';
    this.socket.setTimeout(0);
    this.owner.events.opened(this.id, this.room);
  }

  private ended(): void {
    if (this.state !== 'open') return;
    // Node.js 20 takes a reset that follows bytes at once for the end of a
    // direction. But then there is no peer any longer. (There is none either
    // after both directions have ended.)
    if (!this.out.isEnding && this.socket.remoteAddress === undefined) this.failed('refused');
    else this.owner.events.finished(this.id);
  }

  private failed(error: FlowError): void {
    const { state } = this;
    if (state === 'gone') return;
    this.leave();
    this.giveBack();
    this.socket.destroy();
    this.owner.ended(this.id);
    if (state === 'opening' && !this.isIncoming) this.owner.events.failed(this.id, error);
    else this.owner.events.aborted(this.id);
  }

  private written(count: number): void {
    if (this.state !== 'open') return;
    if (this.owner.budget.isScarce) this.shrink(count);
    else if (this.isBusy) this.grow(this.limit);
    this.isBusy = false;
    this.owner.events.writable(this.id, this.room);
  }

  /** The guest gets more room, as far as there is. */
  private grow(count: number): void {
    const more = this.owner.budget.share(Math.min(count, MOST_ROOM - this.limit));
    this.limit += more;
    this.taken += more;
  }

  /** Of what was written, some is not given to the guest again. */
  private shrink(count: number): void {
    const less = Math.max(0, Math.min(count, this.limit - FIRST_ROOM));
    this.limit -= less;
    this.taken -= less;
    this.owner.budget.give(less);
  }

  /** Returns whether the next read may come. */
  private read(bytes: Uint8Array): boolean {
    if (this.state !== 'open') return true;
    const count = this.owner.events.data(this.id, bytes);
    if (count >= bytes.length) return true;
    this.rest = new Uint8Array(bytes.subarray(count));
    this.isStalled = true;
    return false;
  }

  private readByServer(bytes: Uint8Array): void {
    if (this.state !== 'open') return;
    const count = this.owner.events.data(this.id, bytes);
    if (count >= bytes.length) return;
    this.socket.pause();
    // With this much in its own queue, the socket reads nothing more.
    this.socket.unshift(bytes.subarray(count));
    this.isStalled = true;
  }

  private goOn(): void {
    if (this.state !== 'open') return;
    this.isStalled = false;
    if (this.rest !== undefined) {
      const { rest } = this;
      this.rest = undefined;
      // It may be cut off meanwhile.
      if (!this.read(rest)) return;
    }
    this.socket.resume();
  }
}
