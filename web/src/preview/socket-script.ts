// SPDX-License-Identifier: MIT
// Runs in the guest's documents before their own scripts: a WebSocket to the
// document's own origin goes to the page, which no service worker could do.

import { MOST_UNTAKEN, type FromSocket, type ToSocket } from './protocol.ts';

type Data = string | ArrayBufferLike | Blob | ArrayBufferView;

const Native = WebSocket;
const EVENTS = ['open', 'message', 'error', 'close'] as const;
const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;

/** The address for the page, or undefined if it is the browser's to connect. */
function ownAddress(address: string | URL): URL | undefined {
  let url: URL;
  try {
    url = new URL(address, document.baseURI);
  } catch {
    return undefined;
  }
  const known = { 'ws:': 'http:', 'wss:': 'https:', 'http:': 'http:', 'https:': 'https:' } as Record<string, string>;
  return url.host === location.host && url.hash === '' && known[url.protocol] === location.protocol ? url : undefined;
}

const serviceWorker = (): ServiceWorker | undefined => navigator.serviceWorker?.controller ?? undefined;

class GuestWebSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;

  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  readonly url: string = '';
  readonly extensions = '';
  binaryType: BinaryType = 'blob';
  protocol = '';
  readyState = 0;
  bufferedAmount = 0;

  /** Those that are not closed. */
  static readonly #all = new Set<GuestWebSocket>();

  static {
    // In some engines, the page hears of a document's end from nobody else.
    addEventListener('pagehide', () => {
      for (const socket of this.#all) {
        socket.#post({ type: 'close', code: 1001, reason: '' });
        socket.#port?.close();
      }
    });
    // It is shown again, and its scripts hear now.
    addEventListener('pageshow', ({ persisted }) => {
      if (persisted) for (const socket of this.#all) socket.#over(1006, '', false);
    });
  }

  #port: MessagePort | undefined;
  /** Blobs are read first, and what follows them waits. */
  #last: Promise<void> = Promise.resolve();
  #waits = 0;

  constructor(address: string | URL, protocols: string | string[] = []) {
    super();
    const url = ownAddress(address)!;
    const names = [protocols].flat().map(String);
    if (new Set(names).size < names.length || !names.every((name) => TOKEN.test(name)))
      throw new DOMException('The sub-protocols are not valid.', 'SyntaxError');
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    this.url = url.href;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }: MessageEvent<ToSocket>) => this.#handle(data);
    url.protocol = location.protocol;
    serviceWorker()!.postMessage({ type: 'socket', url: url.href, protocols: names }, [port2]);
    GuestWebSocket.#all.add(this);
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Native || (value instanceof EventTarget && Object.hasOwn(value, 'bufferedAmount'));
  }

  send(data: Data): void {
    if (this.readyState === 0) throw new DOMException('The connection is not open yet.', 'InvalidStateError');
    const content =
      typeof data === 'string' || data instanceof Blob
        ? data
        : ArrayBuffer.isView(data)
          ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer
          : data instanceof ArrayBuffer
            ? data.slice(0)
            : new Uint8Array(data).slice().buffer;
    const size =
      content instanceof Blob ? content.size : typeof content === 'string' ? content.length : content.byteLength;
    this.bufferedAmount += size;
    if (this.readyState !== 1) return;
    if (this.bufferedAmount > MOST_UNTAKEN) return this.#over(1006, '', false);
    if (content instanceof Blob || this.#waits > 0) {
      ++this.#waits;
      this.#last = this.#last.then(async () => {
        this.#send(content instanceof Blob ? await content.arrayBuffer() : content);
        --this.#waits;
      });
    } else this.#send(content);
  }

  close(code?: number, reason = ''): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException('The code must be 1000, or 3000 to 4999.', 'InvalidAccessError');
    if (new TextEncoder().encode(reason).length > 123)
      throw new DOMException('The reason is longer than 123 bytes.', 'SyntaxError');
    if (this.readyState > 1) return;
    this.readyState = 2;
    void this.#last.then(() => this.#post({ type: 'close', code, reason }));
  }

  #send(data: string | ArrayBuffer): void {
    this.#post({ type: 'send', data }, typeof data === 'string' ? [] : [data]);
  }

  #post(message: FromSocket, transfer: ArrayBuffer[] = []): void {
    this.#port?.postMessage(message, transfer);
  }

  #handle(message: ToSocket): void {
    switch (message.type) {
      case 'open':
        if (this.readyState !== 0) return;
        this.protocol = message.protocol;
        this.readyState = 1;
        this.dispatchEvent(new Event('open'));
        return;
      case 'message': {
        const { data } = message;
        if (this.readyState === 1) {
          const shown = typeof data !== 'string' && this.binaryType === 'blob' ? new Blob([data]) : data;
          this.dispatchEvent(new MessageEvent('message', { data: shown, origin: new URL(this.url).origin }));
        }
        this.#post({ type: 'taken', count: typeof data === 'string' ? data.length : data.byteLength });
        return;
      }
      case 'taken':
        this.bufferedAmount = Math.max(0, this.bufferedAmount - message.count);
        return;
      case 'close':
        this.#over(message.code, message.reason, message.wasClean);
        return;
    }
  }

  #over(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    GuestWebSocket.#all.delete(this);
    this.#post({ type: 'close', code: undefined, reason: '' });
    this.#port?.close();
    if (!wasClean) this.dispatchEvent(new Event('error'));
    this.dispatchEvent(new CloseEvent('close', { code, reason, wasClean }));
  }
}

// onopen, onmessage, ...: the last one that was set, in the place of the first.
for (const name of EVENTS) {
  const handlers = new WeakMap<GuestWebSocket, { current: unknown }>();
  Object.defineProperty(GuestWebSocket.prototype, `on${name}`, {
    configurable: true,
    enumerable: true,
    get(this: GuestWebSocket) {
      return handlers.get(this)?.current ?? null;
    },
    set(this: GuestWebSocket, value: unknown) {
      let handler = handlers.get(this);
      if (handler === undefined) {
        const entry: { current: unknown } = { current: null };
        handlers.set(this, (handler = entry));
        this.addEventListener(name, (event) => {
          if (typeof entry.current === 'function') entry.current.call(this, event);
        });
      }
      handler.current = typeof value === 'function' ? value : null;
    },
  });
}
Object.defineProperty(GuestWebSocket, 'name', { value: 'WebSocket' });

/** Other origins are the browser's to connect to. */
const replacement: object = new Proxy(GuestWebSocket, {
  construct: (made, values: [address: string | URL, protocols?: string | string[]], target) =>
    ownAddress(values[0]) === undefined || serviceWorker() === undefined
      ? new Native(...values)
      : (Reflect.construct(made, values, target) as GuestWebSocket),
});
globalThis.WebSocket = replacement as typeof WebSocket;
