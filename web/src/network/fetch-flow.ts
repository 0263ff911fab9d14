// SPDX-License-Identifier: MIT
// One connection of a guest to port 80: its requests one after the other, each
// sent by fetch().

import type { FlowEvents } from './backend.ts';
import { CollectedBody, type BodyBudget } from './collected-body.ts';
import { incoming, outgoing, type Rules } from './fetch-request.ts';
import { chunkOf, fieldOf, HttpError, lastChunk, responseHead, type Fields, type RequestHead } from './http1.ts';
import { RequestParser, type Part } from './http1-parser.ts';
import { Signal } from './signal.ts';

/** What all connections share. */
export interface Sender {
  fetch: (input: string, init: RequestInit) => Promise<Response>;
  rules: Rules;
  permits: (url: URL) => boolean | Promise<boolean>;
  /** fetch() takes streams as bodies. */
  streams: boolean;
  budget: BodyBudget;
  /** Why there is no response, for the one who reads it in the guest. */
  failureText: (url: URL, error: unknown, isStreamed: boolean) => string;
}

/** What a flow tells of itself, besides `cut`. */
export type FetchFlowEvents = Pick<FlowEvents, 'opened' | 'data' | 'writable' | 'finished'>;

/** Bytes of the guest's that may wait here. */
const WINDOW = 262_144;
/** From here on a body is sent while it comes, if that can be. */
const LONGEST_WHOLE = 8 << 20;
/** Of the first line of a page of errors: all that some programs show. */
const LONGEST_REASON = 300;

/** There is nobody who waits for what is done here. */
class Gone extends Error {}

type Bytes = Uint8Array<ArrayBuffer>;

export class FetchFlow {
  private readonly id: number;
  private readonly host: string;
  private readonly events: FetchFlowEvents;
  private readonly sender: Sender;
  private readonly cut: () => void;
  private parser = new RequestParser();
  private readonly abort = new AbortController();
  /** More bytes have come, or none will. */
  private readonly arrival = new Signal();
  /** The guest may have room again. */
  private readonly drain = new Signal();
  /** What the guest's side thinks of the room here, at most. */
  private told = WINDOW;
  private hasFinished = false;
  /** Nothing of the guest's is looked at any more. */
  private isDeaf = false;
  /** The request has come as a whole. */
  private isWhole = true;
  /** What was wrong with a body that is on its way. */
  private bodyError: HttpError | undefined;

  /**
   * `host`: what the guest has connected to, as URLs write it. `cut` tells that
   * the connection is cut off, and its number free.
   */
  constructor(id: number, host: string, events: FetchFlowEvents, sender: Sender, cut: () => void) {
    this.id = id;
    this.host = host;
    this.events = events;
    this.sender = sender;
    this.cut = cut;
    queueMicrotask(() => void this.serve());
  }

  /** Returns the room for more. */
  send(bytes: Uint8Array): number {
    if (this.isDeaf) return WINDOW;
    this.parser.push(new Uint8Array(bytes));
    this.arrival.set();
    this.told = this.room();
    return this.told;
  }

  finish(): void {
    this.hasFinished = true;
    this.parser.end();
    this.arrival.set();
  }

  consumed(): void {
    this.drain.set();
  }

  /** Nothing is told from now on. */
  close(): void {
    this.abort.abort();
    this.arrival.set();
    this.drain.set();
  }

  private get isClosed(): boolean {
    return this.abort.signal.aborted;
  }

  private room(): number {
    return Math.max(0, WINDOW - this.parser.buffered);
  }

  private async serve(): Promise<void> {
    if (this.isClosed) return;
    this.events.opened(this.id, WINDOW);
    try {
      await this.requests();
      if (this.isClosed) return;
      this.listenNoMore();
      this.events.finished(this.id);
    } catch {
      // The guest must not take what it has for all of a response.
      if (this.isClosed) return;
      this.close();
      this.cut();
    }
  }

  /** Until one is the last, or wrong. */
  private async requests(): Promise<void> {
    for (let goesOn = true; goesOn;) {
      let head: RequestHead | undefined;
      try {
        const part = await this.part();
        if (part?.type !== 'head') return;
        ({ head } = part);
        goesOn = await this.answer(head);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        await this.writePage(error, isHead(head));
        return;
      }
    }
  }

  /** Whether there may be another request. */
  private async answer(head: RequestHead): Promise<boolean> {
    const { url, init } = outgoing(head, this.host, this.sender.rules);
    await this.check(url);
    await this.invite(head);
    this.isWhole = false;
    this.bodyError = undefined;
    const collected = new CollectedBody(this.sender.budget, typeof head.body === 'number' ? head.body : Infinity);
    let response: Response;
    try {
      const stream = await this.collect(collected);
      const body = stream ?? (collected.length === 0 ? null : collected.bytes);
      // What is a half is not read before the body has ended: engines want it.
      const duplex = stream === undefined ? {} : { duplex: 'half' };
      const all = { ...init, ...duplex, body, signal: this.abort.signal };
      response = await this.fetch(url, all, stream !== undefined);
    } finally {
      collected.release();
    }
    try {
      if (response.redirected) await this.check(new URL(response.url));
      return await this.respond(head, response);
    } finally {
      // Of no effect on one that was read.
      if (response.body?.locked === false) void response.body.cancel().catch(() => {});
    }
  }

  private async check(url: URL): Promise<void> {
    const isPermitted = await this.sender.permits(url);
    if (this.isClosed) throw new Gone();
    if (!isPermitted) throw new HttpError(403, `This machine may not reach ${url.host}.`);
  }

  /** Tells a guest to send its body, if it waits for that. */
  private async invite({ fields, body, minor }: RequestHead): Promise<void> {
    const expected = fieldOf(fields, 'expect');
    if (expected === undefined || minor === 0) return;
    if (expected.toLowerCase() !== '100-continue') throw new HttpError(417, 'What is expected is not known here.');
    if (body !== 0) await this.write(responseHead(100, 'Continue', []));
  }

  private async fetch(url: URL, init: RequestInit, isStreamed: boolean): Promise<Response> {
    try {
      return await this.sender.fetch(url.href, init);
    } catch (error) {
      if (this.isClosed) throw new Gone();
      if (error instanceof HttpError) throw error;
      throw this.bodyError ?? new HttpError(502, this.sender.failureText(url, error, isStreamed));
    }
  }

  /** Takes a body, or as much as may be, and gives a stream if it is more. */
  private async collect(collected: CollectedBody): Promise<ReadableStream<Bytes> | undefined> {
    for (let bytes; (bytes = await this.bodyPart()) !== undefined;) {
      if (!collected.add(bytes)) throw new HttpError(413, 'The body is too long to be sent by a browser.');
      if (this.sender.streams && collected.length >= LONGEST_WHOLE) return this.stream(collected.bytes);
    }
    return undefined;
  }

  private stream(first: Bytes): ReadableStream<Bytes> {
    return new ReadableStream({
      start: (controller) => controller.enqueue(first),
      pull: async (controller) => {
        try {
          const bytes = await this.bodyPart();
          if (bytes === undefined) controller.close();
          else controller.enqueue(bytes);
        } catch (error) {
          if (error instanceof HttpError) this.bodyError = error;
          controller.error(error);
        }
      },
    });
  }

  /** Undefined at the end of the body. */
  private async bodyPart(): Promise<Bytes | undefined> {
    const part = await this.part();
    if (part?.type === 'data') return part.bytes;
    this.isWhole = true;
    return undefined;
  }

  /**
   * The next part of what the guest sends. Undefined if it sends nothing more.
   */
  private async part(): Promise<Part<RequestHead> | undefined> {
    for (;;) {
      if (this.isClosed || this.isDeaf) throw new Gone();
      const part = this.parser.next();
      const room = this.room();
      if (this.told < WINDOW / 2 && room >= WINDOW / 2) {
        this.told = room;
        this.events.writable(this.id, room);
      }
      if (part !== undefined || this.hasFinished) return part;
      await this.arrival.wait();
    }
  }

  private async respond(head: RequestHead, response: Response): Promise<boolean> {
    const { fields, length } = incoming(response);
    const { status, statusText, body } = response;
    const isEmpty = status === 204 || status === 304;
    const known = body === null && !isHead(head) ? 0 : length;
    const isChunked = known === undefined && head.minor === 1;
    const goesOn = head.keepAlive && head.minor === 1 && this.isWhole;
    if (!isEmpty && known !== undefined) fields.push(['content-length', String(known)]);
    else if (!isEmpty && isChunked) fields.push(['transfer-encoding', 'chunked']);
    if (!goesOn) fields.push(['connection', 'close']);
    await this.write(responseHead(status, statusText, fields));
    if (isHead(head) || isEmpty || body === null) return goesOn;
    await this.writeBody(body, known, isChunked);
    return goesOn;
  }

  /** One part is read when the guest has taken the one before. */
  private async writeBody(body: ReadableStream<Bytes>, known: number | undefined, isChunked: boolean): Promise<void> {
    const reader = body.getReader();
    try {
      let length = 0;
      for (let bytes; (bytes = (await reader.read()).value) !== undefined;) {
        length += bytes.length;
        if (length > (known ?? Infinity)) throw new Error('the body is longer than its head says');
        await this.write(...(isChunked ? chunkOf(bytes) : [bytes]));
      }
      if (length < (known ?? 0)) throw new Error('the body is shorter than its head says');
      if (isChunked) await this.write(lastChunk());
    } catch (error) {
      void reader.cancel().catch(() => {});
      throw error;
    }
  }

  private async writePage({ status, message }: HttpError, isOfHead: boolean): Promise<void> {
    const text = `${message.trimEnd()}\n`;
    const reason = text.slice(0, Math.min(text.indexOf('\n'), LONGEST_REASON));
    const bytes = new TextEncoder().encode(text);
    const fields: Fields = [
      ['content-type', 'text/plain; charset=utf-8'],
      ['content-length', String(bytes.length)],
      ['connection', 'close'],
    ];
    await this.write(responseHead(status, reason, fields), ...(isOfHead ? [] : [bytes]));
  }

  private async write(...parts: Bytes[]): Promise<void> {
    for (let bytes of parts)
      while (bytes.length > 0) {
        if (this.isClosed) throw new Gone();
        const taken = this.events.data(this.id, bytes);
        bytes = bytes.subarray(taken);
        if (bytes.length > 0) await this.drain.wait();
      }
  }

  private listenNoMore(): void {
    this.isDeaf = true;
    // A body may be on its way: it ends with an error.
    this.arrival.set();
    this.parser = new RequestParser();
    if (this.told < WINDOW) this.events.writable(this.id, WINDOW);
  }
}

const isHead = (head: RequestHead | undefined): boolean => head?.method.toUpperCase() === 'HEAD';
