// SPDX-License-Identifier: MIT
// A WebSocket of a preview's document: a MessagePort to its script on one side,
// a connection to the guest's server on the other.

import type { GuestHttp } from '../network/guest-http.ts';
import { fieldOf, listOf, TOKEN, type Fields, type ResponseHead } from '../network/http1.ts';
import { LONGEST_MESSAGE, MOST_UNTAKEN, type FromSocket, type ToSocket, type Untrusted } from './protocol.ts';
import {
  BINARY,
  encodeClose,
  encodeFrame,
  FrameReader,
  isCloseCode,
  PONG,
  TEXT,
  WebSocketError,
  type Received,
} from './websocket-frames.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** What a key is answered with (RFC 6455, 4.2.2). */
const ANSWER = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Milliseconds in which a server answers a close (7.1.1). */
const CLOSE_PATIENCE = 5000;
/** The guest may be asked for so many sub-protocols. */
const MOST_PROTOCOLS = 32;

export interface SocketTarget {
  http: GuestHttp;
  port: number;
  target: string;
  protocols: readonly string[];
  /** Host, Origin, Cookie. */
  fields: Fields;
}

export class GuestSocket {
  private readonly port: MessagePort;
  private readonly reader = new FrameReader(LONGEST_MESSAGE);
  private readonly abort = new AbortController();
  private writer: WritableStreamDefaultWriter<Bytes> | undefined;
  private bytes: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Bytes of messages that the document has not heard. */
  private unheard = 0;
  /** Bytes of messages that wait for the guest. */
  private unsent = 0;
  private roomWanted: (() => void) | undefined;
  private sentClose = false;
  private isOver = false;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private readonly onEnd: () => void;

  /** Connects at once. `onEnd` is called when nothing more happens. */
  constructor(port: MessagePort, target: SocketTarget, onEnd: () => void) {
    this.port = port;
    this.onEnd = onEnd;
    port.onmessage = ({ data }: MessageEvent<Untrusted<FromSocket>>) => this.handle(data);
    // The document may go without a word. Not all engines tell.
    port.addEventListener('close', () => this.end());
    this.run(target).catch((error: unknown) => this.fail(error));
  }

  /** The document or the machine is gone. */
  end(): void {
    this.over(1006, '', false);
  }

  private async run({ http, port, target, protocols, fields }: SocketTarget): Promise<void> {
    if (protocols.length > MOST_PROTOCOLS || !protocols.every((name) => TOKEN.test(name)))
      throw new Error('a sub-protocol has no valid name');
    const key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    const { head, readable, writable } = await http.upgrade(
      port,
      target,
      [
        ...fields,
        ['upgrade', 'websocket'],
        ['connection', 'Upgrade'],
        ['sec-websocket-version', '13'],
        ['sec-websocket-key', key],
        ...(protocols.length === 0 ? [] : [['sec-websocket-protocol', protocols.join(', ')] as [string, string]]),
      ],
      this.abort.signal,
    );
    this.writer = writable.getWriter();
    this.writer.closed.catch(() => {});
    const bytes = (this.bytes = readable.getReader());
    if (this.isOver) return this.disconnect();
    const protocol = await checkHandshake(head, key, protocols);
    this.post({ type: 'open', protocol });
    while (!this.isOver) {
      const { done, value } = await bytes.read();
      if (done) return this.over(1006, '', false);
      this.reader.push(value as Bytes);
      await this.hearAll();
    }
  }

  private async hearAll(): Promise<void> {
    for (let received; !this.isOver && (received = this.reader.next()) !== undefined;) {
      this.hear(received);
      while (this.unheard >= MOST_UNTAKEN && !this.isOver)
        await new Promise<void>((resolve) => (this.roomWanted = resolve));
    }
  }

  private hear(received: Received): void {
    switch (received.type) {
      case 'message': {
        const { data } = received;
        this.unheard += data.length;
        // A copy, as its buffer may hold more.
        this.post({ type: 'message', data: typeof data === 'string' ? data : data.slice().buffer });
        return;
      }
      case 'ping':
        // One that floods its client with pings does not read the answers.
        if (!this.sentClose && this.unsent < MOST_UNTAKEN) this.write(encodeFrame(PONG, received.payload), 0);
        return;
      case 'pong':
        return;
      case 'close':
        if (!this.sentClose) this.write(encodeClose(received.code, ''), 0);
        this.over(received.code ?? 1005, received.reason, true);
        return;
    }
  }

  private handle(message: Untrusted<FromSocket>): void {
    if (message?.type === 'send') this.send(message.data);
    else if (message?.type === 'taken' && typeof message.count === 'number' && message.count >= 0) {
      this.unheard = Math.max(0, this.unheard - message.count);
      this.roomWanted?.();
    } else if (message?.type === 'close')
      this.close(typeof message.code === 'number' ? message.code : undefined, String(message.reason));
  }

  private send(data: unknown): void {
    const isText = typeof data === 'string';
    if (!isText && !(data instanceof ArrayBuffer)) return;
    if (this.writer === undefined || this.sentClose) return;
    const payload = isText ? new TextEncoder().encode(data) : new Uint8Array(data);
    if (payload.length > LONGEST_MESSAGE || this.unsent + payload.length > MOST_UNTAKEN)
      return this.fail(new WebSocketError(1009, 'more is sent than the server takes'));
    this.write(encodeFrame(isText ? TEXT : BINARY, payload), isText ? data.length : payload.length);
  }

  private close(code: number | undefined, reason: string): void {
    if (this.isOver || this.sentClose) return;
    if (this.writer === undefined) return this.over(1006, '', false);
    this.write(encodeClose(code !== undefined && isCloseCode(code) ? code : undefined, reason), 0);
    this.sentClose = true;
    // The server answers, and what it has sent before is heard.
    this.patience = setTimeout(() => this.over(1006, '', false), CLOSE_PATIENCE);
  }

  /** `count` is what the document counts for it. */
  private write(frame: Bytes, count: number): void {
    const { length } = frame;
    this.unsent += length;
    this.writer?.write(frame).then(
      () => {
        this.unsent -= length;
        if (count > 0) this.post({ type: 'taken', count });
      },
      () => {},
    );
  }

  private fail(error: unknown): void {
    if (this.isOver) return;
    const code = error instanceof WebSocketError ? error.code : undefined;
    if (code !== undefined && !this.sentClose) this.write(encodeClose(code, ''), 0);
    this.over(code ?? 1006, '', false);
  }

  private over(code: number, reason: string, wasClean: boolean): void {
    if (this.isOver) return;
    this.post({ type: 'close', code, reason, wasClean });
    this.isOver = true;
    clearTimeout(this.patience);
    this.port.close();
    this.roomWanted?.();
    if (this.writer === undefined) this.abort.abort(new Error('the WebSocket is closed'));
    else this.disconnect();
    this.onEnd();
  }

  /** What was written still goes out, if the server takes it. */
  private disconnect(): void {
    const cut = () => {
      clearTimeout(timer);
      void this.bytes?.cancel().catch(() => {});
    };
    const timer = setTimeout(cut, CLOSE_PATIENCE);
    this.writer?.close().then(cut, cut);
  }

  private post(message: ToSocket): void {
    const transfer = message.type === 'message' && typeof message.data !== 'string' ? [message.data] : [];
    if (!this.isOver) this.port.postMessage(message, transfer);
  }
}

/** Returns the sub-protocol (4.1, at the end). */
async function checkHandshake(head: ResponseHead, key: string, protocols: readonly string[]): Promise<string> {
  const { fields } = head;
  const isUpgrade = listOf(fields, 'upgrade').includes('websocket') && listOf(fields, 'connection').includes('upgrade');
  if (!isUpgrade) throw new Error('the server does not change to WebSocket');
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(key + ANSWER));
  if (fieldOf(fields, 'sec-websocket-accept') !== btoa(String.fromCharCode(...new Uint8Array(digest))))
    throw new Error('the server has not understood the key');
  if (fieldOf(fields, 'sec-websocket-extensions') !== undefined)
    throw new Error('the server wants an extension that nobody has asked for');
  const protocol = fieldOf(fields, 'sec-websocket-protocol');
  if (protocol !== undefined && !protocols.includes(protocol))
    throw new Error('the server wants a protocol that nobody has asked for');
  return protocol ?? '';
}
