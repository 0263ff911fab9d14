// SPDX-License-Identifier: MIT
// Frames of WebSocket (RFC 6455), as a client writes and reads them.

type Bytes = Uint8Array<ArrayBuffer>;

export const TEXT = 1;
export const BINARY = 2;
const CONTINUATION = 0;
const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** Bytes of the payload of a control frame (5.5). */
const LONGEST_CONTROL = 125;
/** Pieces of one message, of which most may be empty. */
const MOST_PIECES = 4096;

/** What the server does wrong, and the code of the close that says so. */
export class WebSocketError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'WebSocketError';
    this.code = code;
  }
}

/** One frame, with a mask of its own (5.3). */
export function encodeFrame(opcode: number, payload: Uint8Array): Bytes {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const at = 2 + extra + 4;
  const frame = new Uint8Array(at + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) view.setUint16(2, length);
  else if (extra === 8) view.setBigUint64(2, BigInt(length));
  const mask = crypto.getRandomValues(frame.subarray(at - 4, at));
  for (let index = 0; index < length; ++index) frame[at + index] = payload[index]! ^ mask[index & 3]!;
  return frame;
}

/** Codes that may be sent (7.4). */
export function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

/** @param code Undefined for a close that says nothing. */
export function encodeClose(code: number | undefined, reason: string): Bytes {
  if (code === undefined) return encodeFrame(CLOSE, new Uint8Array(0));
  const text = new TextEncoder().encode(reason);
  const payload = new Uint8Array(2 + Math.min(text.length, LONGEST_CONTROL - 2));
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text.subarray(0, payload.length - 2), 2);
  return encodeFrame(CLOSE, payload);
}

export type Received =
  | { type: 'message'; data: string | Bytes }
  | { type: 'ping' | 'pong'; payload: Bytes }
  /** `code` is undefined if the server gives none. */
  | { type: 'close'; code: number | undefined; reason: string };

interface Header {
  opcode: number;
  isLast: boolean;
  length: number;
}

/** Reads what a server sends. Nothing is taken after a close. */
export class FrameReader {
  private readonly longest: number;
  /** What has come and is not used; together they begin with a frame. */
  private waiting: Bytes[] = [];
  private size = 0;
  private header: Header | undefined;
  /** The message whose pieces come. */
  private opcode = CONTINUATION;
  private pieces: Bytes[] = [];
  private length = 0;
  private isClosed = false;

  constructor(longest: number) {
    this.longest = longest;
  }

  push(bytes: Bytes): void {
    if (this.isClosed || bytes.length === 0) return;
    this.waiting.push(bytes);
    this.size += bytes.length;
  }

  /**
   * The next of what has come, or undefined.
   *
   * @throws WebSocketError if it is not WebSocket. Nothing comes after that.
   */
  next(): Received | undefined {
    try {
      for (;;) {
        if (this.isClosed) return undefined;
        this.header ??= this.readHeader();
        if (this.header === undefined || this.size < this.header.length) return undefined;
        const { opcode, isLast, length } = this.header;
        this.header = undefined;
        const received = this.frame(opcode, isLast, this.take(length));
        if (received !== undefined) return received;
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private close(): void {
    this.isClosed = true;
    this.waiting = [];
    this.pieces = [];
    this.size = 0;
  }

  private readHeader(): Header | undefined {
    if (this.size < 2) return undefined;
    const start = this.peek(Math.min(this.size, 10));
    const first = start[0]!;
    const short = start[1]! & 0x7f;
    if ((first & 0x70) !== 0) throw new WebSocketError(1002, 'a frame has bits of no extension');
    if ((start[1]! & 0x80) !== 0) throw new WebSocketError(1002, 'the server masks its frames');
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (start.length < 2 + extra) return undefined;
    const view = new DataView(start.buffer, start.byteOffset);
    const length = extra === 0 ? short : extra === 2 ? view.getUint16(2) : Number(view.getBigUint64(2));
    if (length < (extra === 0 ? 0 : extra === 2 ? 126 : 65536))
      throw new WebSocketError(1002, 'a length is longer than it need be');
    this.check(first & 0x0f, (first & 0x80) !== 0, length);
    this.take(2 + extra);
    return { opcode: first & 0x0f, isLast: (first & 0x80) !== 0, length };
  }

  private check(opcode: number, isLast: boolean, length: number): void {
    if (opcode >= CLOSE) {
      if (opcode > PONG) throw new WebSocketError(1002, `there is no opcode ${opcode}`);
      if (!isLast || length > LONGEST_CONTROL) throw new WebSocketError(1002, 'a control frame is long or in pieces');
      return;
    }
    if (opcode > BINARY) throw new WebSocketError(1002, `there is no opcode ${opcode}`);
    if ((opcode === CONTINUATION) !== (this.opcode !== CONTINUATION))
      throw new WebSocketError(1002, 'pieces of two messages are mixed');
    if (this.length + length > this.longest || this.pieces.length === MOST_PIECES)
      throw new WebSocketError(1009, 'a message is too long');
  }

  private frame(opcode: number, isLast: boolean, payload: Bytes): Received | undefined {
    switch (opcode) {
      case PING:
        return { type: 'ping', payload };
      case PONG:
        return { type: 'pong', payload };
      case CLOSE:
        return this.closed(payload);
    }
    if (opcode !== CONTINUATION) this.opcode = opcode;
    this.pieces.push(payload);
    this.length += payload.length;
    if (!isLast) return undefined;
    const whole = joined(this.pieces, this.length);
    const data = this.opcode === TEXT ? decoded(whole) : whole;
    this.opcode = CONTINUATION;
    this.pieces = [];
    this.length = 0;
    return { type: 'message', data };
  }

  private closed(payload: Bytes): Received {
    this.close();
    if (payload.length === 0) return { type: 'close', code: undefined, reason: '' };
    const code = payload.length < 2 ? 0 : payload[0]! * 256 + payload[1]!;
    if (!isCloseCode(code)) throw new WebSocketError(1002, 'a close has no valid code');
    return { type: 'close', code, reason: decoded(payload.subarray(2)) };
  }

  /** The first bytes, which stay. */
  private peek(count: number): Bytes {
    const first = this.waiting[0]!;
    return first.length >= count ? first.subarray(0, count) : joined(this.waiting, count);
  }

  private take(count: number): Bytes {
    this.size -= count;
    // They may be very many: a server can send each byte on its own.
    let used = 0;
    let rest = count;
    while (rest > 0 && this.waiting[used]!.length <= rest) rest -= this.waiting[used++]!.length;
    const parts = this.waiting.splice(0, used);
    if (rest > 0) {
      const first = this.waiting[0]!;
      parts.push(first.subarray(0, rest));
      this.waiting[0] = first.subarray(rest);
    }
    return joined(parts, count);
  }
}

/** The first bytes of all parts together. */
function joined(parts: Bytes[], length: number): Bytes {
  if (parts.length === 1 && parts[0]!.length === length) return parts[0]!;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let index = 0; at < length; ++index) {
    const part = parts[index]!.subarray(0, length - at);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function decoded(bytes: Bytes): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WebSocketError(1007, 'a text is not UTF-8');
  }
}
