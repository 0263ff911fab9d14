// SPDX-License-Identifier: MIT
// A connection to a server in the guest: one request and response at a time.

import { GuestHttpError } from './guest-http-error.ts';
import { HttpError, type ResponseHead } from './http1.ts';
import { ResponseParser, type Part } from './http1-parser.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes both ways. An end of `writable` leaves `readable` as it is. */
export interface ByteDuplex {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Bytes>;
}

/** Interim responses to one request. */
const MOST_INTERIM = 32;

const ignore = (): void => {};

export class GuestConnection {
  /** It has served a request: it may have ended since, without a fault. */
  isUsed = false;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Bytes>;
  private readonly parser = new ResponseParser();
  /** One that nobody has got the result of. */
  private reading: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  private failure: { reason: unknown } | undefined;
  /** While it is idle. */
  private resting: { onEnd: () => void; onWake: () => void } | undefined;
  private hasResponse = false;
  private hasEnded = false;

  constructor({ readable, writable }: ByteDuplex) {
    this.reader = readable.getReader();
    this.writer = writable.getWriter();
    // Whoever reads hears of it.
    this.reader.closed.catch(ignore);
    this.writer.closed.catch(ignore);
  }

  /** Nothing of the response to this request has come. */
  get isUnanswered(): boolean {
    return !this.hasResponse;
  }

  /** It can serve another request. */
  get isClean(): boolean {
    return this.failure === undefined && this.parser.isBetween;
  }

  /** A request of this method begins with these bytes. */
  begin(method: string, head: Bytes, mayUpgrade = false): void {
    this.hasResponse = false;
    this.parser.expect(method, mayUpgrade);
    this.writer.write(head).catch(ignore);
  }

  /**
   * Resolves when more can be sent: false if nothing more is taken. There may
   * be a response that says why.
   */
  async write(bytes: Bytes): Promise<boolean> {
    this.writer.write(bytes).catch(ignore);
    return this.writer.ready.then(
      () => true,
      () => false,
    );
  }

  /** Nothing more is sent. */
  async finish(): Promise<void> {
    await this.writer.close();
  }

  /** The head of the response, after those of interim ones. */
  async head(): Promise<ResponseHead> {
    for (let count = 0; count <= MOST_INTERIM; ++count) {
      const part = await this.next();
      if (part.type !== 'head') break;
      if (part.head.status >= 200 || part.head.status === 101) return part.head;
    }
    throw malformed(new HttpError(502, 'there are too many interim responses'));
  }

  /**
   * The next part of the response, reading as much as it needs.
   *
   * @throws GuestHttpError, or the reason of destroy().
   */
  async next(): Promise<Part<ResponseHead>> {
    for (;;) {
      const part = this.ready();
      if (part !== undefined) return part;
      await this.read();
    }
  }

  /** The next part, if all of its bytes have come. */
  ready(): Part<ResponseHead> | undefined {
    if (this.failure !== undefined) throw this.failure.reason;
    try {
      return this.parser.next();
    } catch (error) {
      throw this.hasEnded ? ended(error) : malformed(error);
    }
  }

  /**
   * No request is under way. Calls `onEnd` if there can be no other, or else
   * `onWake` before one.
   */
  rest(onEnd: () => void, onWake: () => void): void {
    const resting = { onEnd, onWake };
    this.resting = resting;
    const reading = (this.reading ??= this.reader.read());
    const end = () => {
      if (this.resting === resting) onEnd();
    };
    // Neither an end nor bytes are what a request could begin with.
    reading.then(end, end);
  }

  /** A request is about to begin. */
  wake(): void {
    this.resting?.onWake();
    this.resting = undefined;
  }

  /** What is under way fails with this reason. */
  destroy(reason: unknown): void {
    if (this.failure !== undefined) return;
    this.failure = { reason };
    this.wake();
    this.reader.cancel(reason).catch(ignore);
    this.writer.abort(reason).catch(ignore);
  }

  private async read(): Promise<void> {
    const reading = (this.reading ??= this.reader.read());
    let result: ReadableStreamReadResult<Uint8Array>;
    try {
      result = await reading;
    } catch (cause) {
      throw this.failure === undefined ? ended(cause) : this.failure.reason;
    } finally {
      this.reading = undefined;
    }
    if (this.failure !== undefined) throw this.failure.reason;
    if (result.value !== undefined) {
      this.hasResponse = true;
      // Streams have no shared memory.
      this.parser.push(result.value as Bytes);
      return;
    }
    this.hasEnded = true;
    this.parser.end();
    // Else it may be the end of a body.
    if (this.parser.isBetween) throw ended();
  }
}

function ended(cause?: unknown): GuestHttpError {
  const message = 'the server has ended the connection before the end of its response';
  return new GuestHttpError('ended', message, cause === undefined ? {} : { cause });
}

function malformed(cause: unknown): GuestHttpError {
  const message = `the server's response is not HTTP/1.1: ${cause instanceof Error ? cause.message : cause}`;
  return new GuestHttpError('malformed', message, { cause });
}
