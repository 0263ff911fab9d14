// SPDX-License-Identifier: MIT
// Files at any path of a guest that runs, by its agent's file servers.

import { FileError, codeOfNumber } from '../storage/file-error.ts';
import type { FileRequest, FolderEntry } from '../storage/share-files.ts';
import {
  ANSWER_SIZE,
  encodeRequest,
  entriesIn,
  FILES_NUMBER,
  FORCE,
  handleOf,
  isName,
  LONGEST_NAME,
  mostBytes,
  NO_SERVER,
  nonsense,
  RECURSIVE,
  statusIn,
  TO_WRITE,
  type AgentRequest,
} from './agent-file-protocol.ts';
import { ByteReader, whole } from './byte-reader.ts';
import { words } from './bytes.ts';
import { decodeName } from './guest-names.ts';
import { reportException } from './handlers.ts';
import type { SocketClient } from './sockets.ts';
import { MachineError, type MachineSocket } from './types.ts';

/**
 * Connections at a time, each with a process in the guest. One is enough while
 * the guest is quick.
 */
const MOST_CONNECTIONS = 4;
/**
 * Milliseconds that the first request of the queue waits before there is one
 * more connection.
 */
const PATIENCE = 20;
/** Bytes of all names in a folder, which the guest chooses. */
const MOST_LISTING = 64 * 1024 * 1024;

type Changed = (name: string | undefined) => void;

/** The next bytes, which are nobody else's: users may give them away. */
async function taken(input: ByteReader, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const error = () => new MachineError('failed', "the guest's agent has ended the connection for files");
  return (await whole(input, count, error)).slice();
}

interface Pending {
  /** Bytes that the answer may have. */
  most: number;
  /** Throws if the answer is nonsense. */
  take: (answer: Uint8Array) => void;
  reject: (error: Error) => void;
}

/** A connection to a file server, which answers in turn. */
class FileConnection {
  /** Whether it does a request without a handle. */
  busy = false;
  /** Open files, folders and watches. */
  handles = 0;
  readonly watchers = new Map<number, Changed>();
  /** Why it is over. */
  error: Error | undefined;
  private readonly socket: MachineSocket;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private readonly pending: Pending[] = [];

  constructor(socket: MachineSocket) {
    this.socket = socket;
    this.writer = socket.writable.getWriter();
    this.send(words(FILES_NUMBER));
  }

  /** Whether it would answer the next request at once. */
  get idle(): boolean {
    return !this.busy && this.pending.length === 0 && this.error === undefined;
  }

  /** Rejects with a FileError; with a MachineError if the connection ends. */
  async ask<Result>(request: AgentRequest, resultOf: (answer: Uint8Array) => Result): Promise<Result> {
    const bytes = encodeRequest(request);
    if (this.error !== undefined) throw this.error;
    return new Promise((resolve, reject) => {
      this.pending.push({ most: mostBytes(request), take: (answer) => resolve(resultOf(answer)), reject });
      this.send(bytes);
      if (request.content !== undefined) this.send(request.content);
    });
  }

  /** Takes answers until the connection is over. It never rejects. */
  async serve(): Promise<void> {
    const input = new ByteReader((this.socket.readable as ReadableStream<Uint8Array<ArrayBuffer>>).getReader());
    try {
      for (;;) await this.takeAnswer(input);
    } catch (error) {
      this.error = error as Error;
      this.socket.reset();
      for (const { reject } of this.pending.splice(0)) reject(this.error);
    }
  }

  /** The server ends when it has done what it was asked for. */
  finish(): void {
    this.writer.close().catch(() => {});
  }

  private send(bytes: Uint8Array): void {
    // serve() learns of a failure.
    this.writer.write(bytes).catch(() => {});
  }

  private async takeAnswer(input: ByteReader): Promise<void> {
    const view = new DataView((await taken(input, ANSWER_SIZE)).buffer);
    const [watch, error, length] = [0, 4, 8].map((at) => view.getUint32(at, true)) as [number, number, number];
    if (watch === NO_SERVER) {
      if (error === 0 || length > 0) throw nonsense();
      // Nobody else may be served by this connection until it ends.
      throw new FileError(codeOfNumber(error));
    }
    if (watch !== 0) {
      if (error !== 0 || length > LONGEST_NAME) throw nonsense();
      this.tellChange(watch, await taken(input, length));
      return;
    }
    const asked = this.pending[0];
    if (asked === undefined || length > (error === 0 ? asked.most : 0)) throw nonsense();
    const answer = await taken(input, length);
    if (error === 0) asked.take(answer);
    else asked.reject(new FileError(codeOfNumber(error)));
    this.pending.shift();
  }

  private tellChange(watch: number, name: Uint8Array): void {
    if (name.length > 0 && !isName(name)) throw nonsense();
    try {
      // There is none any more for what was on its way when it ended.
      this.watchers.get(watch)?.(name.length === 0 ? undefined : decodeName(name));
    } catch (error) {
      reportException(error);
    }
  }
}

interface Job {
  /** Never rejects. */
  start: (connection: FileConnection) => Promise<void>;
  reject: (error: unknown) => void;
}

interface Opened {
  connection: FileConnection;
  /** Its handle there. */
  remote: number;
}

export class AgentFiles {
  private readonly sockets: SocketClient;
  private readonly port: number;
  private readonly ready: Promise<void>;
  private readonly connections = new Set<FileConnection>();
  private readonly waiting: Job[] = [];
  private readonly handles = new Map<number, Opened>();
  private nextHandle = 1;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param port - where the agent listens.
   * @param ready - when it does so.
   */
  constructor(sockets: SocketClient, port: number, ready: Promise<void>) {
    this.sockets = sockets;
    this.port = port;
    this.ready = ready;
  }

  /**
   * Has a request done when the agent is there. Paths are the guest's. Reads
   * and writes go on where the last one ended. Rejects with a FileError, or
   * with a MachineError if the machine or the server ends.
   */
  async ask(request: FileRequest): Promise<unknown> {
    await this.ready;
    switch (request.operation) {
      case 'stat':
        return this.run((connection) => connection.ask({ operation: 'status', paths: [request.path] }, statusIn));
      case 'list':
        return this.run((connection) => list(connection, request.path));
      case 'mkdir':
        return this.do({
          operation: 'makeFolder',
          paths: [request.path],
          flags: request.recursive ? RECURSIVE : 0,
          argument: request.mode,
        });
      case 'rename':
        return this.do({ operation: 'rename', paths: [request.path, request.to] });
      case 'rm':
        return this.do({
          operation: 'remove',
          paths: [request.path],
          flags: (request.recursive ? RECURSIVE : 0) | (request.force ? FORCE : 0),
        });
      case 'open':
        return this.open(
          { operation: 'open', paths: [request.path], flags: request.write ? TO_WRITE : 0, argument: request.mode },
          () => {},
        );
      case 'read':
        return this.askOf(
          this.opened(request.handle),
          (handle) => ({ operation: 'read', handle, argument: request.length }),
          (answer) => answer,
        );
      case 'write':
        return this.askOf(
          this.opened(request.handle),
          (handle) => ({ operation: 'write', handle, content: request.bytes }),
          () => {},
        );
      case 'close':
        return this.close(request.handle);
      case 'watch':
        break;
    }
    throw new FileError('ENOSYS');
  }

  /** Returns a function to end that. */
  async watch(path: string, changed: Changed): Promise<() => void> {
    await this.ready;
    const handle = await this.open({ operation: 'watch', paths: [path] }, (connection, remote) =>
      connection.watchers.set(remote, changed),
    );
    return () => {
      const { connection, remote } = this.handles.get(handle) ?? {};
      if (connection === undefined) return;
      connection.watchers.delete(remote!);
      this.close(handle).catch(() => {});
    };
  }

  private do(request: AgentRequest): Promise<void> {
    return this.run((connection) => connection.ask(request, () => {}));
  }

  private open(request: AgentRequest, done: (connection: FileConnection, remote: number) => void): Promise<number> {
    return this.run((connection) =>
      connection.ask(request, (answer) => {
        const remote = handleOf(answer);
        const handle = this.nextHandle++;
        this.handles.set(handle, { connection, remote });
        ++connection.handles;
        done(connection, remote);
        return handle;
      }),
    );
  }

  /** Asks for something of an open file, by its connection. */
  private askOf<Result>(
    { connection, remote }: Opened,
    requestOf: (remote: number) => AgentRequest,
    resultOf: (answer: Uint8Array) => Result,
  ): Promise<Result> {
    return connection.ask(requestOf(remote), resultOf).finally(() => this.startJobs());
  }

  private opened(handle: number): Opened {
    const found = this.handles.get(handle);
    if (found === undefined) throw new FileError('EBADF');
    return found;
  }

  private async close(handle: number): Promise<void> {
    const opened = this.opened(handle);
    this.handles.delete(handle);
    --opened.connection.handles;
    // A handle is gone with its connection.
    if (opened.connection.error !== undefined) return;
    await this.askOf(
      opened,
      (remote) => ({ operation: 'close', handle: remote }),
      () => {},
    );
  }

  /** Does a job by the first connection that is idle. */
  private run<Result>(job: (connection: FileConnection) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ start: (connection) => job(connection).then(resolve, reject), reject });
      this.startJobs();
    });
  }

  private startJobs(): void {
    for (const connection of this.connections) {
      const job = connection.idle ? this.waiting.shift() : undefined;
      if (job === undefined) continue;
      connection.busy = true;
      void job.start(connection).then(() => {
        connection.busy = false;
        this.startJobs();
      });
    }
    if (this.waiting.length === 0) this.endSpare();
    else if (this.connections.size === 0) this.connect();
    else this.watchQueue();
  }

  /** Makes one more connection if the queue does not move. */
  private watchQueue(): void {
    if (this.timer !== undefined || this.connections.size === MOST_CONNECTIONS) return;
    const [first] = this.waiting;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.waiting.length > 0 && this.waiting[0] === first) this.connect();
      else this.startJobs();
    }, PATIENCE);
  }

  private connect(): void {
    let socket: MachineSocket;
    try {
      const { socket: opening, opened } = this.sockets.open(this.port);
      // Reading tells it, too.
      opened.catch(() => {});
      socket = opening;
    } catch (error) {
      // The machine has ended.
      for (const { reject } of this.waiting.splice(0)) reject(error);
      return;
    }
    const connection = new FileConnection(socket);
    this.connections.add(connection);
    void connection.serve().then(() => {
      this.connections.delete(connection);
      this.startJobs();
    });
    this.startJobs();
  }

  /** One that is idle stays, because its server takes time to start. */
  private endSpare(): void {
    if (this.waiting.length > 0) return;
    const idle = [...this.connections].filter((connection) => connection.idle);
    let count = idle.length;
    for (const connection of idle)
      if (count > 1 && connection.handles === 0) {
        --count;
        this.connections.delete(connection);
        connection.finish();
      }
  }
}

async function list(connection: FileConnection, path: string): Promise<FolderEntry[]> {
  const handle = await connection.ask({ operation: 'openFolder', paths: [path] }, handleOf);
  const all: FolderEntry[] = [];
  try {
    for (let size = 0; size <= MOST_LISTING;) {
      const piece = await connection.ask({ operation: 'entries', handle }, (answer) => ({
        length: answer.length,
        entries: entriesIn(answer),
      }));
      if (piece.length === 0) return all;
      for (const entry of piece.entries) all.push(entry);
      size += piece.length;
    }
  } finally {
    if (connection.error === undefined) await connection.ask({ operation: 'close', handle }, () => {});
  }
  throw new FileError('EFBIG', path);
}
