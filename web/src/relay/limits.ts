// SPDX-License-Identifier: MIT
// The bounds of a relay.

export interface RelayLimits {
  /** WebSockets at a time. */
  clients: number;
  /** Streams of one client at a time, also those that still connect. */
  streams: number;
  /** Ports that one client listens on. */
  listeners: number;
  /** Bytes from a client that wait for its far sides. */
  waitingBytes: number;
  /** Bytes that one client may move in all, both directions. 0: any number. */
  clientBytes: number;
  /** Seconds until a far side must have answered. */
  connectSeconds: number;
  /** Seconds without a byte after which a stream of TCP ends. */
  idleSeconds: number;
  /** Seconds without a datagram after which a stream of UDP ends. */
  datagramSeconds: number;
}

export const DEFAULT_LIMITS: RelayLimits = {
  clients: 64,
  streams: 1024,
  listeners: 8,
  waitingBytes: 64 * 1024 * 1024,
  clientBytes: 0,
  connectSeconds: 30,
  idleSeconds: 7200,
  datagramSeconds: 60,
};

/** DATA packets of a stream that the relay keeps for the far side. */
export const PACKETS = 64;
/** Bytes of the largest message that a client may send. */
export const LARGEST_MESSAGE = 1024 * 1024 + 5;
/**
 * Bytes that are read of a far side at a time, and of one message to a client.
 */
export const PIECE = 256 * 1024;
/**
 * Bytes on the way to a client with which far sides are no longer read, and
 * those with which they are read again.
 */
export const FULL = 2 * 1024 * 1024;
export const ROOM_AGAIN = 512 * 1024;
/** Bytes of memory that each message needs besides its own. */
export const MESSAGE_COST = 256;
/** With so many bytes on the way to it, a client is cut off. */
export const MOST_SENDING = 16 * 1024 * 1024;
/** Names of one client that are looked up at a time. */
export const MOST_LOOKUPS = 256;
/** Connections that are no clients, or not yet. */
export const MOST_STRANGERS = 256;
/** Milliseconds in which these must say what they want. */
export const GREETING = 10_000;
/** Milliseconds in which a client must have made its handshake. */
export const HANDSHAKE = 15_000;
/** Milliseconds between looks at what is idle, and at clients that are gone. */
export const ROUND = 15_000;
/** Rounds without a sign of a client after which it is gone. */
export const SILENT_ROUNDS = 4;
/** Milliseconds for a far side to take what was sent before the CLOSE. */
export const LINGER = 10_000;
