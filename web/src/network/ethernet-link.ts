// SPDX-License-Identifier: MIT
// The link to a network behind a relay of Ethernet: a message of a WebSocket is
// a frame, as with jor1k's relay and its kin. There are no offloads.

import { LONGEST_FRAME, OFFLOAD } from './frame-ring.ts';
import type { HostLink, LinkEvents } from './host-link.ts';
import { systemTimers, type Timers } from './timers.ts';
import { globalWebSocket } from './wisp-line.ts';
import type { MakeWebSocket, WebSocketLike } from './wisp-link.ts';

/** Bytes that the WebSocket has not sent. What comes on top is lost. */
const MOST_WAITING = 1 << 20;
/** Bytes for the guest for which it had no room. */
const MOST_QUEUED = 1 << 20;
/** Milliseconds until the relay is tried again: the first time, and at most. */
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;

export class EthernetLink implements HostLink {
  readonly offloads = false;
  readonly ready: Promise<void>;
  private readonly url: string;
  private readonly events: LinkEvents;
  private readonly makeWebSocket: MakeWebSocket;
  private readonly timers: Timers;
  private socket: WebSocketLike | undefined;
  private isOpen = false;
  private wasOpen = false;
  private isClosed = false;
  private pause = FIRST_PAUSE;
  private retry: unknown;
  private readonly queue: Uint8Array[] = [];
  private queued = 0;

  constructor(
    url: string,
    events: LinkEvents,
    makeWebSocket: MakeWebSocket = globalWebSocket,
    timers: Timers = systemTimers,
  ) {
    this.url = url;
    this.events = events;
    this.makeWebSocket = makeWebSocket;
    this.timers = timers;
    this.ready = new Promise((resolve, reject) =>
      this.connect(resolve, () => reject(new Error(`the relay ${url} cannot be reached`))),
    );
    // A machine may have ended before anybody waits for it.
    this.ready.catch(() => {});
  }

  send(_: Uint8Array, frame: Uint8Array): boolean {
    if (this.isOpen && this.socket!.bufferedAmount <= MOST_WAITING) this.socket!.send(frame.slice());
    return true;
  }

  receiverReady(): void {
    queueMicrotask(() => this.drain());
  }

  close(): void {
    this.isClosed = true;
    this.isOpen = false;
    this.timers.clear(this.retry);
    this.socket?.close();
    this.queue.length = 0;
  }

  private connect(opened: () => void, failed: () => void): void {
    if (this.isClosed) return;
    let socket: WebSocketLike;
    try {
      socket = this.makeWebSocket(this.url, []);
    } catch {
      failed();
      return;
    }
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.isOpen = this.wasOpen = true;
      this.pause = FIRST_PAUSE;
      opened();
    };
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.hear(new Uint8Array(data));
    };
    socket.onerror = () => {};
    socket.onclose = () => {
      this.isOpen = false;
      // The first attempt fails with an error that somebody sees.
      if (!this.wasOpen) failed();
      if (!this.wasOpen || this.isClosed) return;
      // The promise is settled, so nobody hears of this one.
      this.retry = this.timers.set(() => this.connect(opened, failed), this.pause);
      this.pause = Math.min(LONGEST_PAUSE, 2 * this.pause);
    };
  }

  private hear(frame: Uint8Array): void {
    if (this.isClosed || frame.length > LONGEST_FRAME || this.queued + frame.length > MOST_QUEUED) return;
    this.queue.push(frame);
    this.queued += frame.length;
    if (this.queue.length === 1) this.drain();
  }

  private drain(): void {
    let count = 0;
    for (; count < this.queue.length; ++count) {
      const frame = this.queue[count]!;
      const copy = (target: Uint8Array) => {
        target.fill(0, 0, OFFLOAD);
        target.set(frame, OFFLOAD);
      };
      if (!this.events.receive(OFFLOAD + frame.length, copy)) break;
      this.queued -= frame.length;
    }
    this.queue.splice(0, count);
  }
}
