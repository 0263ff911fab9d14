// SPDX-License-Identifier: MIT
// What a relay's streams have in common, and what they need of their client.

import type { Packet } from '../network/wisp-packets.ts';
import type { Timers } from '../network/timers.ts';
import type { Way } from './destination.ts';
import type { RelayLimits } from './limits.ts';
import type { Metrics } from './metrics.ts';

/** A client, as its streams see it. */
export interface StreamOwner {
  readonly limits: RelayLimits;
  readonly metrics: Metrics;
  readonly timers: Timers;
  /** Whether it has Auklet's extension. */
  readonly extended: boolean;
  /** Whether it is told of streams that are connected. */
  readonly confirms: boolean;
  /** Bytes that each stream may send to the client at first. */
  readonly firstCredit: number;
  /** Too many bytes are on their way to the client. */
  readonly isFull: boolean;
  /** Bytes from the client that wait for far sides. */
  readonly waiting: number;
  /** @throws NoWay */
  find(host: string, port: number): Promise<Way>;
  send(packet: Packet): void;
  /** Counts bytes that wait. False: there are too many. */
  hold(count: number): boolean;
  /** Counts bytes that were moved. False: the client may move no more. */
  count(direction: 'up' | 'down', bytes: number): boolean;
  /** The number is free. */
  release(number: number): void;
  /**
   * Counts connections whose stream has ended and that still send. False: there
   * are too many.
   */
  linger(count: 1 | -1): boolean;
}

export interface Stream {
  /** Rounds without a byte are counted by the client. */
  isIdle: boolean;
  /** Bytes from the client. */
  data(bytes: Uint8Array): void;
  /** The client takes so many more bytes. */
  credit(count: number): void;
  /** The client sends nothing more. */
  finish(): void;
  /** The client has closed it. `orderly`: what it has sent is to arrive. */
  closed(orderly: boolean): void;
  /** There is room to the client again. */
  roomAgain(): void;
  /** The relay closes it, and tells the client why. */
  end(reason: number): void;
}
