// SPDX-License-Identifier: MIT
// What the network needs of the world outside of a machine. A backend is a file
// in this folder, and a row of the table in open-network.ts.

/** A connection of TCP, or the datagrams between two ports of UDP. */
export type FlowKind = 'stream' | 'datagrams';

/** Why a flow did not open. */
export type FlowError = 'refused' | 'unreachable' | 'timed-out' | 'prohibited';

/**
 * What a backend tells of its flows. All of these ignore a number that they do
 * not know: its flow may just have gone.
 *
 * A backend never calls them from within a call of its own functions.
 */
export interface FlowEvents {
  /**
   * Somebody wants to be connected to a port of the guest. `id` is below 2^31,
   * and in no use. accepted() or closed() follows, unless this is false: there
   * are too many connections.
   */
  incoming(id: number, port: number, room: number): boolean;
  /** The far side is there, and there is room for so many bytes to it. */
  opened(id: number, room: number): void;
  /**
   * The far side is not there, and the number is free. Of datagrams, this may
   * come after opened(), too.
   */
  failed(id: number, error: FlowError): void;
  /**
   * Bytes from the far side: of a stream, or one datagram. They are only looked
   * at during the call. Returns how many were taken. The rest of a stream may
   * come after consumed().
   */
  data(id: number, bytes: Uint8Array): number;
  /** There is room for so many bytes in all now. */
  writable(id: number, room: number): void;
  /** The far side sends nothing more on this stream. */
  finished(id: number): void;
  /** The far side has cut it off. The number is free. */
  aborted(id: number): void;
}

/**
 * The far sides of the guests' connections. Each direction of a stream has the
 * credit of its receiver, so that no queue is without a bound.
 */
export interface FlowBackend {
  /**
   * Connects. opened() or failed() follows. `address` is a literal of IPv4 or
   * IPv6, or the name that NameBackend.resolve() has answered with it. The
   * policy (policy.ts) has not been asked.
   */
  open(id: number, kind: FlowKind, address: string, port: number): void;
  /** A program in the guest has accepted what incoming() has announced. */
  accepted?(id: number): void;
  /**
   * Bytes of the guest's, valid during the call only: of a stream never more
   * than there is room for, of datagrams one. Returns how many more there is
   * room for. writable() tells when that has grown. A datagram without room is
   * lost. Some come before opened(): the first is what the flow was opened for.
   */
  send(id: number, bytes: Uint8Array): number;
  /** The guest sends nothing more on this stream. It goes on to receive. */
  finish(id: number): void;
  /** The guest has got `count` more bytes of data(). There may be room now. */
  consumed(id: number, count: number): void;
  /**
   * The flow is gone, and its number is free. `reset`: it was cut off, and what
   * is under way is lost. Not called after failed() and aborted().
   */
  closed(id: number, reset: boolean): void;
  /** The machine has ended. All flows are gone. */
  close(): void;
}

/** The answer to a question for addresses. */
export interface Addresses {
  /** Literals, of both versions of IP. Without one, the name has none. */
  addresses: string[];
  /** For how long they are good. */
  seconds: number;
}

/** Knows names. */
export interface NameBackend {
  /**
   * The addresses of a name, which has labels of printable ASCII and no dot at
   * its end. Undefined if nobody has such a name.
   *
   * @throws whatever, if the question found no answer.
   */
  resolve(name: string, ipv6: boolean): Promise<Addresses | undefined>;
  /**
   * The answer to any other question: both are messages of DNS.
   *
   * @throws whatever, if there is none.
   */
  ask(message: Uint8Array): Promise<Uint8Array>;
}
