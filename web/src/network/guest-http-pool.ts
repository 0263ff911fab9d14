// SPDX-License-Identifier: MIT
// Connections to servers in the guest, kept for the next request.

import { GuestConnection, type ByteDuplex } from './guest-http-connection.ts';
import { GuestHttpError } from './guest-http-error.ts';

/** Connects to a port of the guest, or says why not. */
export type Connect = (port: number) => Promise<ByteDuplex>;

/** Connections to one port. */
const MOST_OPEN = 32;
/** Requests that wait for one. */
const MOST_WAITING = 1024;
/**
 * Milliseconds that a connection may be idle: less than servers wait, and some
 * serve nobody else meanwhile.
 */
const PATIENCE = 4000;

interface Port {
  open: number;
  /** The last one was used last. */
  idle: GuestConnection[];
  /** Gets a connection, or the right to open one. */
  waiting: Set<(connection: GuestConnection | undefined) => void>;
}

export class ConnectionPool {
  private readonly connect: Connect;
  private readonly ports = new Map<number, Port>();
  private readonly all = new Set<GuestConnection>();
  private isClosed = false;

  constructor(connect: Connect) {
    this.connect = connect;
  }

  /** @throws GuestHttpError, or the signal's reason. */
  async acquire(port: number, signal: AbortSignal | undefined): Promise<GuestConnection> {
    signal?.throwIfAborted();
    this.check();
    const entry = this.entry(port);
    let connection = entry.idle.pop();
    if (connection === undefined && entry.open < MOST_OPEN) ++entry.open;
    else connection ??= await this.turn(entry, signal);
    this.check();
    if (connection === undefined) return this.open(port, signal);
    connection.wake();
    return connection;
  }

  /** The connection can serve another request. */
  release(port: number, connection: GuestConnection): void {
    connection.isUsed = true;
    const entry = this.entry(port);
    const [next] = entry.waiting;
    if (next !== undefined) {
      next(connection);
      return;
    }
    entry.idle.push(connection);
    const drop = () => {
      clearTimeout(timer);
      entry.idle = entry.idle.filter((other) => other !== connection);
      this.drop(port, connection, new GuestHttpError('ended', 'the connection was not used'));
    };
    const timer = setTimeout(drop, PATIENCE);
    // Node.js would wait for it.
    (timer as { unref?: () => void }).unref?.();
    connection.rest(drop, () => clearTimeout(timer));
  }

  /** The connection is of no use any more. */
  drop(port: number, connection: GuestConnection, reason: unknown): void {
    connection.destroy(reason);
    this.detach(port, connection);
  }

  /** The connection is no longer the pool's. */
  detach(port: number, connection: GuestConnection): void {
    if (this.all.delete(connection)) this.giveUp(port);
  }

  /** Everything under way fails. */
  close(): void {
    this.isClosed = true;
    const reason = new GuestHttpError('closed', 'the machine has ended');
    for (const connection of this.all) connection.destroy(reason);
    this.all.clear();
    // They find that it is closed.
    for (const { waiting } of this.ports.values()) for (const next of [...waiting]) next(undefined);
    this.ports.clear();
  }

  private check(): void {
    if (this.isClosed) throw new GuestHttpError('closed', 'the machine has ended');
  }

  private entry(port: number): Port {
    let entry = this.ports.get(port);
    if (entry === undefined) {
      entry = { open: 0, idle: [], waiting: new Set() };
      this.ports.set(port, entry);
    }
    return entry;
  }

  private async open(port: number, signal: AbortSignal | undefined): Promise<GuestConnection> {
    let opening: Promise<GuestConnection> | undefined;
    try {
      signal?.throwIfAborted();
      opening = (async () => new GuestConnection(await this.connect(port)))();
      const connection = await abortable(opening, signal);
      this.check();
      this.all.add(connection);
      return connection;
    } catch (error) {
      // It may come when nobody needs it any more.
      opening?.then(
        (connection) => connection.destroy(error),
        () => {},
      );
      this.giveUp(port);
      if (signal?.aborted === true) throw signal.reason;
      if (error instanceof GuestHttpError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new GuestHttpError('unreachable', `nothing answers on port ${port} of the guest: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Waits until a connection, or the right to open one, is free. */
  private async turn(entry: Port, signal: AbortSignal | undefined): Promise<GuestConnection | undefined> {
    const { waiting } = entry;
    if (waiting.size === MOST_WAITING)
      throw new GuestHttpError('busy', `more than ${MOST_WAITING} requests wait for the guest's server`);
    return new Promise((resolve, reject) => {
      const stop = () => {
        waiting.delete(next);
        signal?.removeEventListener('abort', abort);
      };
      const next = (connection: GuestConnection | undefined) => {
        stop();
        resolve(connection);
      };
      const abort = () => {
        stop();
        reject(signal!.reason as Error);
      };
      waiting.add(next);
      signal?.addEventListener('abort', abort);
    });
  }

  /** There may be one connection more. */
  private giveUp(port: number): void {
    const entry = this.ports.get(port);
    if (entry === undefined) return;
    const [next] = entry.waiting;
    if (next !== undefined) next(undefined);
    else if (--entry.open === 0) this.ports.delete(port);
  }
}

/** The promise, or the signal's reason if that comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
