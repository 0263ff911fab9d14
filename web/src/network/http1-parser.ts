// SPDX-License-Identifier: MIT
// Messages of HTTP/1.1 (RFC 9112) from bytes, in whatever pieces these come.

import {
  bodyLength,
  HttpError,
  persists,
  TEXT,
  TOKEN,
  type Fields,
  type Head,
  type RequestHead,
  type ResponseHead,
} from './http1.ts';

/** What a parser finds, in this order. An interim response has a head only. */
export type Part<H extends Head> =
  | { type: 'head'; head: H }
  /** Never empty. A view of what was pushed. */
  | { type: 'data'; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'end'; trailers: Fields };

/** Bytes of a head or of the trailers. */
const LONGEST_HEAD = 65_536;
const MOST_FIELDS = 100;
/** Bytes of the line before a chunk, with its extensions. */
const LONGEST_CHUNK_LINE = 256;

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const CHUNK_LINE = /^([\dA-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

const LINE_FEED = 10;

/** Bytes of what is copied rather than kept on its own, and of where to. */
const SMALL = 512;
const SHELF = 8192;

/** In pieces, since arguments of a call are limited. */
function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096)
    text += String.fromCharCode.apply(undefined, bytes.subarray(at, at + 4096) as unknown as number[]);
  return text;
}

type State = 'idle' | 'start' | 'fields' | 'length' | 'until-close' | 'size' | 'chunk' | 'after-chunk' | 'trailers';

/**
 * The one who gives bytes bounds how many wait here: what next() returns is no
 * longer here, and it takes no more than one part at a time.
 */
abstract class Parser<H extends Head> {
  protected state: State = 'start';
  protected fields: Fields = [];
  private readonly chunks: Uint8Array<ArrayBuffer>[] = [];
  /** Where the first of the chunks goes on. */
  private at = 0;
  private waiting = 0;
  /** Where small pieces are put together, and how much of it is in use. */
  private shelf = new Uint8Array(0);
  private shelved = 0;
  /** A line whose end has not come. */
  private partial = '';
  /** Bytes that the head, the trailers or the line may still have. */
  private room = LONGEST_HEAD;
  private remaining = 0;
  private hasEnded = false;
  private failure: unknown;

  /** Bytes that were pushed and are in no part. */
  get buffered(): number {
    return this.waiting;
  }

  /** Between messages: not even a part of a line has come. */
  get isBetween(): boolean {
    const { state } = this;
    return (state === 'idle' || state === 'start') && this.partial === '' && this.waiting === 0;
  }

  /** The bytes are the parser's from now on. */
  push(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length === 0) return;
    this.waiting += bytes.length;
    if (bytes.length >= SMALL) this.chunks.push(bytes);
    else this.pushSmall(bytes);
  }

  /** Nothing more comes. */
  end(): void {
    this.hasEnded = true;
  }

  /**
   * The next part, or undefined if more bytes are needed for it.
   *
   * @throws HttpError, from then on always.
   */
  next(): Part<H> | undefined {
    if (this.failure !== undefined) throw this.failure;
    try {
      return this.parse();
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  /** The first line of a message. */
  protected abstract startLine(line: string): void;
  /** All fields have come. */
  protected abstract head(): H;
  /** What comes after such a head. */
  protected abstract follows(head: H): 'body' | State;
  /** What comes after a message. */
  protected abstract readonly between: State;
  /** A line may end with LF alone. */
  protected abstract readonly lenient: boolean;

  /** Together with others: each on its own would take much more memory. */
  private pushSmall(bytes: Uint8Array<ArrayBuffer>): void {
    const { shelf, shelved } = this;
    if (shelved + bytes.length > shelf.length) {
      this.chunks.push(bytes);
      this.shelf = new Uint8Array(SHELF);
      this.shelved = 0;
      return;
    }
    shelf.set(bytes, shelved);
    this.shelved += bytes.length;
    const last = this.chunks.at(-1);
    const goesOn = last !== undefined && last.buffer === shelf.buffer;
    if (goesOn) this.chunks[this.chunks.length - 1] = shelf.subarray(last.byteOffset, this.shelved);
    else this.chunks.push(shelf.subarray(shelved, this.shelved));
  }

  private parse(): Part<H> | undefined {
    for (;;)
      switch (this.state) {
        case 'idle':
          return undefined;
        case 'start': {
          const line = this.takeLine(this.lenient);
          if (line === undefined) return this.incomplete(this.partial !== '');
          this.startLine(line);
          break;
        }
        case 'fields':
        case 'trailers': {
          const isHead = this.state === 'fields';
          const line = this.takeLine(this.lenient && isHead);
          if (line === undefined) return this.incomplete(true);
          if (line !== '') this.takeField(line);
          else return isHead ? this.takeHead() : this.finish();
          break;
        }
        case 'size': {
          const line = this.takeLine(false);
          if (line === undefined) return this.incomplete(true);
          const size = CHUNK_LINE.exec(line)?.[1];
          if (size === undefined) throw new HttpError(400, 'a chunk has no size');
          this.remaining = Number.parseInt(size, 16);
          this.enter(this.remaining === 0 ? 'trailers' : 'chunk');
          break;
        }
        case 'after-chunk': {
          const line = this.takeLine(false);
          if (line === undefined) return this.incomplete(true);
          this.enter('size');
          break;
        }
        case 'length':
        case 'chunk': {
          if (this.remaining > 0) {
            const bytes = this.takeBytes(this.remaining);
            if (bytes === undefined) return this.incomplete(true);
            this.remaining -= bytes.length;
            if (this.remaining === 0 && this.state === 'chunk') this.enter('after-chunk');
            return { type: 'data', bytes };
          }
          return this.finish();
        }
        case 'until-close': {
          const bytes = this.takeBytes(Infinity);
          if (bytes !== undefined) return { type: 'data', bytes };
          return this.hasEnded ? this.finish() : undefined;
        }
      }
  }

  /** Goes on to what has a bound of its own. */
  protected enter(state: State): void {
    this.state = state;
    this.fields = [];
    this.room = state === 'size' ? LONGEST_CHUNK_LINE : state === 'after-chunk' ? 2 : LONGEST_HEAD;
  }

  private takeHead(): Part<H> {
    const head = this.head();
    const follows = this.follows(head);
    const { body } = head;
    if (follows !== 'body') this.enter(follows);
    else if (body === 'chunked') this.enter('size');
    else if (body === 'until-close') this.enter('until-close');
    else {
      this.remaining = body;
      this.enter('length');
    }
    return { type: 'head', head };
  }

  private finish(): Part<H> {
    const trailers = this.fields;
    this.enter(this.between);
    return { type: 'end', trailers };
  }

  /** There is no more now. That is wrong within a message if it is the end. */
  private incomplete(isWithin: boolean): undefined {
    if (this.hasEnded && isWithin) throw new HttpError(400, 'the connection ends in the middle of a message');
  }

  private takeField(line: string): void {
    if (/^[\t ]/.test(line)) throw new HttpError(400, 'a field goes on in a second line');
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    if (!TOKEN.test(name)) throw new HttpError(400, 'a field has no name');
    const value = line.slice(colon + 1).replace(/^[\t ]+/, '');
    if (!TEXT.test(value)) throw new HttpError(400, 'a field has a control character');
    if (this.fields.length === MOST_FIELDS) throw new HttpError(431, `there are more than ${MOST_FIELDS} fields`);
    this.fields.push([name.toLowerCase(), withoutTail(value)]);
  }

  /** The next line without its end. */
  private takeLine(lenient: boolean): string | undefined {
    for (let chunk; (chunk = this.chunks[0]) !== undefined;) {
      const end = chunk.indexOf(LINE_FEED, this.at);
      const length = (end === -1 ? chunk.length : end + 1) - this.at;
      this.room -= length;
      if (this.room < 0) throw new HttpError(431, 'the fields or a line are too long');
      this.partial += textOf(this.take(chunk, length));
      if (end === -1) continue;
      const line = this.partial;
      this.partial = '';
      if (line.endsWith('\r\n')) return line.slice(0, -2);
      if (!lenient) throw new HttpError(400, 'a line does not end with CR LF');
      return line.slice(0, -1);
    }
    return undefined;
  }

  private takeBytes(most: number): Uint8Array<ArrayBuffer> | undefined {
    const chunk = this.chunks[0];
    return chunk === undefined ? undefined : this.take(chunk, Math.min(most, chunk.length - this.at));
  }

  /** Takes from the first of the chunks. */
  private take(chunk: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
    const bytes = chunk.subarray(this.at, this.at + length);
    this.waiting -= length;
    this.at += length;
    if (this.at === chunk.length) {
      this.chunks.shift();
      this.at = 0;
    }
    return bytes;
  }
}

/** Without a regular expression: those that look for an end are quadratic. */
function withoutTail(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === ' ' || value[end - 1] === '\t')) --end;
  return value.slice(0, end);
}

/** What a client sends. */
export class RequestParser extends Parser<RequestHead> {
  protected readonly between = 'start';
  protected readonly lenient = false;
  private line: Pick<RequestHead, 'method' | 'target' | 'minor'> | undefined;
  private hadBlank = false;

  protected startLine(line: string): void {
    // Old clients send one after a body.
    if (line === '' && !this.hadBlank) {
      this.hadBlank = true;
      return;
    }
    const [, method, target, major, minor] = REQUEST_LINE.exec(line) ?? [];
    if (method === undefined || target === undefined) throw new HttpError(400, 'this is no request of HTTP/1.1');
    if (major !== '1' || (minor !== '0' && minor !== '1'))
      throw new HttpError(505, `HTTP/${major}.${minor} is not known here`);
    this.line = { method, target, minor: minor === '1' ? 1 : 0 };
    this.hadBlank = false;
    this.state = 'fields';
  }

  protected head(): RequestHead {
    const { fields } = this;
    const line = this.line!;
    const hosts = fields.filter(([name]) => name === 'host').length;
    if (hosts > 1 || (hosts === 0 && line.minor === 1)) throw new HttpError(400, 'there is not one Host');
    const body = bodyLength(fields, line.minor) ?? 0;
    return { ...line, fields, body, keepAlive: persists(fields, line.minor) };
  }

  protected follows(): 'body' {
    return 'body';
  }
}

/** What a server sends: nothing is taken until a request is told of. */
export class ResponseParser extends Parser<ResponseHead> {
  protected readonly between = 'idle';
  /** Many scripts of CGI end their lines so, and their servers hand it on. */
  protected readonly lenient = true;
  protected override state: State = 'idle';
  private line: Pick<ResponseHead, 'status' | 'reason' | 'minor'> | undefined;
  private method = '';
  private mayUpgrade = false;

  /**
   * A request of this method was sent. `mayUpgrade`: it asks for another
   * protocol; what follows a 101 is "data" until the connection ends.
   */
  expect(method: string, mayUpgrade = false): void {
    if (this.state !== 'idle') throw new Error('the response before has not ended');
    this.method = method;
    this.mayUpgrade = mayUpgrade;
    this.state = 'start';
  }

  protected startLine(line: string): void {
    const [, minor, status, reason] = STATUS_LINE.exec(line) ?? [];
    if (status === undefined) throw new HttpError(502, 'this is no response of HTTP/1.1');
    this.line = { status: Number(status), reason: reason ?? '', minor: minor === '1' ? 1 : 0 };
    this.state = 'fields';
  }

  protected head(): ResponseHead {
    const { fields } = this;
    const line = this.line!;
    const { status, minor } = line;
    const framed = bodyLength(fields, minor);
    const head = { ...line, fields, keepAlive: persists(fields, minor) };
    if (status === 101) {
      if (!this.mayUpgrade) throw new HttpError(502, 'the server changes the protocol unasked');
      return { ...head, body: 'until-close', keepAlive: false };
    }
    if (this.method === 'HEAD' || status < 200 || status === 204 || status === 304) return { ...head, body: 0 };
    const body = framed ?? 'until-close';
    return { ...head, body, keepAlive: head.keepAlive && body !== 'until-close' };
  }

  protected follows({ status }: ResponseHead): 'body' | 'start' {
    return status < 200 && status !== 101 ? 'start' : 'body';
  }
}
