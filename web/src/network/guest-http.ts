// SPDX-License-Identifier: MIT
// Requests to servers in the guest, over connections that are streams of bytes.

import { BodyBudget, CollectedBody } from './collected-body.ts';
import type { ByteDuplex, GuestConnection } from './guest-http-connection.ts';
import { GuestHttpError } from './guest-http-error.ts';
import { ConnectionPool, type Connect } from './guest-http-pool.ts';
import { chunkOf, endToEnd, lastChunk, requestHead, type Fields, type ResponseHead } from './http1.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Bytes of a body that is sent with its length, which simple servers need. A
 * longer one is sent in chunks.
 */
const LONGEST_WHOLE = 1 << 20;
/** Bytes of one that is sent together with its head. */
const SMALL = 16_384;
/** Statuses whose responses have no body for Response, whatever was sent. */
const EMPTY = new Set([204, 205, 304]);
/** A server may answer these twice as well as once. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
/** Fields that are made here. */
const OWN = new Set(['host', 'content-length', 'expect']);

interface Body {
  /** What was read, which is all if there is no reader. */
  whole: Bytes | undefined;
  rest: ReadableStreamDefaultReader<Bytes> | undefined;
}

/** A request whose parts are the caller's: `fields` have Host. */
export interface GuestRequest {
  method: string;
  target: string;
  fields: Fields;
  body: ReadableStream<Bytes> | null;
  signal: AbortSignal;
}

/** Hears of fields that no Response shows, such as Set-Cookie. */
type OnHead = (head: ResponseHead) => void;

/** What comes after a response that changes the protocol. */
export interface Upgraded extends ByteDuplex {
  head: ResponseHead;
}

export class GuestHttp {
  private readonly pool: ConnectionPool;

  constructor(connect: Connect) {
    this.pool = new ConnectionPool(connect);
  }

  /**
   * The response of the server on a port of the guest, as it is: redirects are
   * not followed, and bodies not decoded. The request's address says what the
   * server sees as Host. A body that is not read holds its connection until it
   * is cancelled.
   *
   * @throws GuestHttpError, or the reason of the request's signal. Both may
   *   also come from the body.
   */
  async fetch(port: number, request: Request): Promise<Response> {
    const { signal, method } = request;
    signal.throwIfAborted();
    const body = await bodyOf(request);
    return this.perform(port, method, requestHead(method, ...addressOf(request, body)), body, signal);
  }

  /** As fetch(), for fields that no Request takes, such as Cookie. */
  async send(port: number, request: GuestRequest, onHead: OnHead): Promise<Response> {
    const { method, target, fields, signal } = request;
    signal.throwIfAborted();
    const body = await bodyOf(request);
    const head = requestHead(method, target, [...fields, ...lengthOf(body)]);
    return this.perform(port, method, head, body, signal, onHead);
  }

  private async perform(
    port: number,
    method: string,
    head: Bytes,
    body: Body,
    signal: AbortSignal,
    onHead?: OnHead,
  ): Promise<Response> {
    const isRepeatable = body.rest === undefined && REPEATABLE.has(method);
    try {
      return await this.attempt(port, signal, isRepeatable, (exchange) => exchange.run(method, head, body, onHead));
    } catch (error) {
      void body.rest?.cancel(error).catch(() => {});
      throw error;
    }
  }

  /**
   * Asks for another protocol: `fields` say which, and have Host. The streams
   * are the caller's.
   *
   * @throws GuestHttpError, the signal's reason, or HttpError if a field is not
   *   valid.
   */
  async upgrade(port: number, target: string, fields: Fields, signal?: AbortSignal): Promise<Upgraded> {
    const head = requestHead('GET', target, fields);
    return this.attempt(port, signal, true, (exchange) => exchange.upgrade(head));
  }

  /** Everything under way fails. */
  close(): void {
    this.pool.close();
  }

  private async attempt<T>(
    port: number,
    signal: AbortSignal | undefined,
    isRepeatable: boolean,
    act: (exchange: Exchange) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const connection = await this.pool.acquire(port, signal);
      const exchange = new Exchange(this.pool, port, connection, signal);
      try {
        signal?.throwIfAborted();
        return await act(exchange);
      } catch (error) {
        exchange.fail(error);
        // It had ended before the request came, which is then sent again.
        const isLate = error instanceof GuestHttpError && error.code === 'ended' && connection.isUnanswered;
        if (!(isLate && connection.isUsed && isRepeatable)) throw error;
      }
    }
  }
}

/** A request and its response, on a connection of the pool. */
class Exchange {
  private readonly pool: ConnectionPool;
  private readonly port: number;
  private readonly connection: GuestConnection;
  private readonly signal: AbortSignal | undefined;
  private readonly onAbort: () => void;
  /** What is left of the request's body. */
  private unsent: ReadableStreamDefaultReader<Bytes> | undefined;
  private isOver = false;

  constructor(pool: ConnectionPool, port: number, connection: GuestConnection, signal: AbortSignal | undefined) {
    this.pool = pool;
    this.port = port;
    this.connection = connection;
    this.signal = signal;
    this.onAbort = () => this.fail(signal?.reason);
    signal?.addEventListener('abort', this.onAbort);
  }

  async run(method: string, head: Bytes, { whole, rest }: Body, onHead?: OnHead): Promise<Response> {
    const { connection } = this;
    const isOne = rest === undefined && whole !== undefined && whole.length <= SMALL;
    connection.begin(method, isOne ? joined([head, whole]) : head);
    if (rest !== undefined) void this.sendStream(whole, rest);
    else if (whole !== undefined && !isOne) void connection.write(whole);
    const answer = await connection.head();
    onHead?.(answer);
    return this.responseOf(answer);
  }

  async upgrade(bytes: Bytes): Promise<Upgraded> {
    const { connection } = this;
    connection.begin('GET', bytes, true);
    const head = await connection.head();
    if (head.status !== 101) {
      const message = `the guest's server answers ${head.status} ${head.reason}`.trimEnd();
      throw new GuestHttpError('not-upgraded', message, { status: head.status });
    }
    // The connection is the caller's from now on.
    if (this.end()) this.pool.detach(this.port, connection);
    return { head, readable: bytesFrom(connection), writable: bytesTo(connection) };
  }

  /** The connection is of no use any more. */
  fail(reason: unknown): void {
    if (this.end()) this.pool.drop(this.port, this.connection, reason);
  }

  private async sendStream(first: Bytes | undefined, rest: ReadableStreamDefaultReader<Bytes>): Promise<void> {
    const { connection } = this;
    this.unsent = rest;
    for (let bytes = first; bytes !== undefined; bytes = await this.nextOf(rest))
      for (const part of chunkOf(bytes)) if (this.isOver || !(await connection.write(part))) return;
    if (this.isOver) return;
    // The response may come before the write has resolved.
    this.unsent = undefined;
    await connection.write(lastChunk());
  }

  private async nextOf(rest: ReadableStreamDefaultReader<Bytes>): Promise<Bytes | undefined> {
    try {
      return (await rest.read()).value;
    } catch (cause) {
      this.fail(bodyError(cause));
      return undefined;
    }
  }

  /** With the body itself, if it has come. Streams cost more. */
  private responseOf(head: ResponseHead): Response {
    const { connection } = this;
    const { status, reason: statusText } = head;
    const init = { status, statusText, headers: head.fields };
    const first: Bytes[] = [];
    for (let part; (part = connection.ready()) !== undefined;) {
      if (part.type === 'data') first.push(part.bytes);
      else {
        this.succeed(head);
        return new Response(EMPTY.has(status) || head.body === 0 ? null : joined(first), init);
      }
    }
    if (!EMPTY.has(status)) return new Response(this.stream(first, head), init);
    this.fail(new GuestHttpError('malformed', `a response with ${status} has no body`));
    return new Response(null, init);
  }

  private stream(first: Bytes[], head: ResponseHead): ReadableStream<Bytes> {
    return new ReadableStream<Bytes>(
      {
        pull: async (controller) => {
          try {
            const bytes = first.shift();
            const part = bytes === undefined ? await this.connection.next() : { type: 'data' as const, bytes };
            if (part.type === 'data') controller.enqueue(part.bytes);
            else {
              this.succeed(head);
              controller.close();
            }
          } catch (error) {
            this.fail(error);
            controller.error(error);
          }
        },
        cancel: (reason) => this.fail(reason),
      },
      { highWaterMark: 0 },
    );
  }

  private succeed(head: ResponseHead): void {
    const { connection, port } = this;
    if (!head.keepAlive || this.unsent !== undefined || !connection.isClean)
      this.fail(new GuestHttpError('ended', 'the response has ended'));
    else if (this.end()) this.pool.release(port, connection);
  }

  /** False if it has ended already. */
  private end(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.signal?.removeEventListener('abort', this.onAbort);
    void this.unsent?.cancel().catch(() => {});
    return true;
  }
}

/** The target and the fields of a request. */
function addressOf(request: Request, body: Body): [target: string, fields: Fields] {
  const url = new URL(request.url);
  const all: Fields = [...request.headers];
  const fields: Fields = [['host', request.headers.get('host') ?? url.host]];
  fields.push(...endToEnd(all).filter(([name]) => !OWN.has(name)));
  // Nobody decodes what comes.
  if (!request.headers.has('accept-encoding')) fields.push(['accept-encoding', 'identity']);
  return [url.pathname + url.search, [...fields, ...lengthOf(body)]];
}

function lengthOf({ whole, rest }: Body): Fields {
  if (rest !== undefined) return [['transfer-encoding', 'chunked']];
  return whole === undefined ? [] : [['content-length', String(whole.length)]];
}

/** Reads a body, or as much of it as is sent as a whole. */
async function bodyOf(request: Request | GuestRequest): Promise<Body> {
  const { method, signal } = request;
  const hasNone = method === 'GET' || method === 'HEAD';
  const empty = hasNone ? undefined : new Uint8Array(0);
  if (request.body === null) return { whole: empty, rest: undefined };
  try {
    // Some engines have no streams here.
    if (!('target' in request) && request.body === undefined)
      return { whole: hasNone ? undefined : new Uint8Array(await request.arrayBuffer()), rest: undefined };
    return await collect((request.body as ReadableStream<Bytes>).getReader(), signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw bodyError(cause);
  }
}

const bodyError = (cause: unknown): GuestHttpError =>
  new GuestHttpError('body', 'the body of the request has failed', { cause });

async function collect(reader: ReadableStreamDefaultReader<Bytes>, signal: AbortSignal): Promise<Body> {
  const collected = new CollectedBody(new BodyBudget(Infinity));
  const abort = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener('abort', abort);
  try {
    for (let bytes; (bytes = (await reader.read()).value) !== undefined;) {
      collected.add(bytes);
      if (collected.length > LONGEST_WHOLE) return { whole: collected.bytes, rest: reader };
    }
  } finally {
    signal.removeEventListener('abort', abort);
  }
  signal.throwIfAborted();
  return { whole: collected.bytes, rest: undefined };
}

function joined(parts: Bytes[]): Bytes {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) bytes.set(part, (at += part.length) - part.length);
  return bytes;
}

function bytesFrom(connection: GuestConnection): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>(
    {
      pull: async (controller) => {
        const part = await connection.next();
        if (part.type === 'data') controller.enqueue(part.bytes);
        else controller.close();
      },
      cancel: (reason) => connection.destroy(reason),
    },
    { highWaterMark: 0 },
  );
}

function bytesTo(connection: GuestConnection): WritableStream<Bytes> {
  return new WritableStream({
    write: async (bytes) => {
      if (!(await connection.write(bytes))) throw new GuestHttpError('ended', 'the server takes nothing more');
    },
    close: () => connection.finish(),
    abort: (reason) => connection.destroy(reason),
  });
}

const clients = new WeakMap<Connect, GuestHttp>();

/** GuestHttp.fetch(), with one client for each way to connect. */
export function fetchGuest(connect: Connect, port: number, request: Request): Promise<Response> {
  let client = clients.get(connect);
  if (client === undefined) {
    client = new GuestHttp(connect);
    clients.set(connect, client);
  }
  return client.fetch(port, request);
}
