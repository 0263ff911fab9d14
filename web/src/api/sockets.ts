// SPDX-License-Identifier: MIT
// Connections between programs in the guest and the machine's owner, as
// streams.

import { FIRST_ACCEPTED, type SocketEvent, type SocketRequest } from '../machine/protocol.ts';
import { isBytes } from './bytes.ts';
import { isPromise, reportException } from './handlers.ts';
import { ReceivedBytes } from './received-bytes.ts';
import { MachineError, type MachineSocket } from './types.ts';

/**
 * A connection's writer waits while this many bytes are on the way to the
 * guest.
 */
const MOST_ON_THE_WAY = 256 * 1024;
/** Bytes of one message. A large array is sent as many messages. */
const PIECE = 64 * 1024;
/** The guest's command `download` connects to this port of the owner. */
export const DOWNLOAD_PORT = 2;
/**
 * The largest port of AF_VSOCK. Ports have 32 bits, and the last one stands for
 * any port.
 */
const MOST_PORT = 2 ** 32 - 2;

/** Events of a connection that exists already. */
type ConnectionEvent = Exclude<SocketEvent, { type: 'opened' | 'accepted' }>;

class Connection implements MachineSocket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;
  private resolveClosed!: () => void;
  private writer!: WritableStreamDefaultController;
  /** What the owner has not read of it is what the guest's credit counts. */
  private readonly received: ReceivedBytes;
  private guestEnded = false;
  /** Bytes sent that the guest has not taken. */
  private onWay = 0;
  /** Ends a write() that waits for room. */
  private roomWanted: (() => void) | undefined;
  private over = false;

  readonly port: number;
  private readonly id: number;
  private readonly request: (request: SocketRequest) => void;

  constructor(port: number, id: number, request: (request: SocketRequest) => void) {
    this.port = port;
    this.id = id;
    this.request = request;
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    const taken = (count: number) => {
      if (!this.over) this.request({ type: 'taken', id: this.id, count });
    };
    this.received = new ReceivedBytes(taken, () => this.reset());
    this.readable = this.received.readable;
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.writer = controller;
        // The signal comes at once. abort() below comes only after a write that
        // is under way, and that write may wait for a program that does not
        // read.
        controller.signal.addEventListener('abort', () => this.reset());
      },
      write: (bytes) => this.write(bytes),
      close: () => {
        if (!this.over) this.request({ type: 'finish', id: this.id });
      },
      abort: () => this.reset(),
    });
  }

  reset(): void {
    if (!this.over) this.request({ type: 'abort', id: this.id });
  }

  handle(event: ConnectionEvent): void {
    switch (event.type) {
      case 'data':
        this.received.add(event.bytes);
        return;
      case 'sent':
        this.onWay -= event.count;
        if (this.onWay < MOST_ON_THE_WAY) this.roomWanted?.();
        return;
      case 'ended':
        this.guestEnded = true;
        this.received.end();
        return;
      case 'closed':
        this.end(
          event.reset ? new MachineError('refused', `the connection to port ${this.port} was reset`) : undefined,
        );
        return;
    }
  }

  /**
   * The connection is gone. Writing fails from now on. With an error reading
   * fails too, unless the program had ended its direction before.
   */
  end(error: MachineError | undefined): void {
    if (this.over) return;
    this.over = true;
    const gone = error ?? new MachineError('refused', `the program at port ${this.port} reads nothing more`);
    this.writer.error(gone);
    this.roomWanted?.();
    // The owner can still read what came before the end.
    if (error === undefined || this.guestEnded) this.received.end();
    else this.received.fail(error);
    this.resolveClosed();
  }

  private async write(bytes: Uint8Array): Promise<void> {
    if (!isBytes(bytes)) throw new MachineError('invalid-option', 'a connection is written with Uint8Arrays');
    for (let offset = 0; offset < bytes.length && !this.over; offset += PIECE) {
      // The bytes are transferred, so this is a copy, which slice() of a
      // Buffer would not make.
      const piece = new Uint8Array(bytes.subarray(offset, offset + PIECE));
      this.onWay += piece.length;
      this.request({ type: 'send', id: this.id, bytes: piece });
      while (this.onWay >= MOST_ON_THE_WAY && !this.over)
        await new Promise<void>((resolve) => (this.roomWanted = resolve));
    }
    this.roomWanted = undefined;
  }
}

/** All connections of one machine. */
export class SocketClient {
  private readonly connections = new Map<number, Connection>();
  private readonly opening = new Map<number, (error: MachineError | undefined) => void>();
  private readonly listeners = new Map<number, (socket: MachineSocket) => unknown>();
  private nextId: number;
  private over: MachineError | undefined;

  private readonly request: (request: SocketRequest) => void;
  private readonly firstId: number;
  private readonly largestPort: number;

  /** `firstId`: the owner's connections have numbers from there on. */
  constructor(request: (request: SocketRequest) => void, firstId = 1, largestPort = MOST_PORT) {
    this.request = request;
    this.firstId = this.nextId = firstId;
    this.largestPort = largestPort;
  }

  async connect(port: number): Promise<MachineSocket> {
    const { socket, opened } = this.open(port);
    await opened;
    return socket;
  }

  /**
   * Opens a connection. The owner may write to it at once: the bytes wait until
   * a program accepts the connection. `opened` resolves then, and rejects if
   * none does.
   * @throws MachineError 'invalid-option' if the port is none; the machine's
   *   error if the machine has ended.
   */
  open(port: number): { socket: MachineSocket; opened: Promise<void> } {
    this.checkPort(port);
    if (this.over !== undefined) throw this.over;
    const id = this.freeId();
    const socket = new Connection(port, id, this.request);
    this.connections.set(id, socket);
    const opened = new Promise<void>((resolve, reject) => {
      this.opening.set(id, (error) => (error === undefined ? resolve() : reject(error)));
      this.request({ type: 'connect', id, port });
    });
    return { socket, opened };
  }

  /**
   * Calls the handler for each connection to the port. Returns a function that
   * stops these calls; open connections stay open.
   * @throws MachineError 'invalid-option' if the port is none or has a handler.
   */
  listen(port: number, handler: (socket: MachineSocket) => unknown): () => void {
    this.checkPort(port);
    if (this.listeners.has(port))
      throw new MachineError('invalid-option', `there is a handler for connections to port ${port} already`);
    this.listeners.set(port, handler);
    this.request({ type: 'listen', port, on: true });
    return () => {
      if (this.listeners.get(port) !== handler) return;
      this.listeners.delete(port);
      this.request({ type: 'listen', port, on: false });
    };
  }

  handle(event: SocketEvent): void {
    if (event.type === 'accepted') {
      this.accept(event.id, event.port);
      return;
    }
    const { id } = event;
    const opened = this.opening.get(id);
    const connection = this.connections.get(id);
    if (event.type === 'closed') {
      this.connections.delete(id);
      this.opening.delete(id);
    }
    if (event.type === 'opened') {
      this.opening.delete(id);
      opened?.(undefined);
      return;
    }
    connection?.handle(event);
    if (event.type === 'closed' && connection !== undefined)
      opened?.(new MachineError('refused', `no program in the guest listens on port ${connection.port}`));
  }

  /** The machine has ended: all its connections fail with this error. */
  ended(error: MachineError): void {
    this.over ??= error;
    for (const opened of this.opening.values()) opened(error);
    for (const connection of this.connections.values()) connection.end(error);
    this.opening.clear();
    this.connections.clear();
  }

  private accept(id: number, port: number): void {
    const connection = new Connection(port, id, this.request);
    this.connections.set(id, connection);
    const handler = this.listeners.get(port);
    // The owner has stopped listening meanwhile.
    if (handler === undefined) return connection.reset();
    // The program would wait for ever.
    const failed = (error: unknown) => {
      reportException(error);
      connection.reset();
    };
    try {
      const result = handler(connection);
      if (isPromise(result)) Promise.resolve(result).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  private freeId(): number {
    do this.nextId = this.nextId + 1 < FIRST_ACCEPTED ? this.nextId + 1 : this.firstId;
    while (this.connections.has(this.nextId));
    return this.nextId;
  }

  private checkPort(port: number): void {
    if (!Number.isInteger(port) || port < 0 || port > this.largestPort)
      throw new MachineError(
        'invalid-option',
        `${String(port)} is no port; use a whole number from 0 to ${this.largestPort}`,
      );
  }
}
