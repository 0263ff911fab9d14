// SPDX-License-Identifier: MIT
// The service worker of a preview's origin: hands the requests of the guest's
// site to the page that has the machine. Browsers end it when they like, so it
// keeps nothing.

import { textPage } from './answers.ts';
import { receivePieces, sendPieces } from './pieces.ts';
import { KEEPER_PATH, OWN_PATHS, type Abort, type Answer, type Greeting, type PageRequest } from './protocol.ts';

interface Client {
  readonly url: string;
  postMessage(message: unknown, transfer: MessagePort[]): void;
}

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

interface MessageFromClient extends ExtendableEvent {
  readonly data: { type?: unknown; url?: unknown; protocols?: unknown } | undefined;
  readonly ports: readonly MessagePort[];
}

const scope = globalThis as unknown as {
  skipWaiting(): Promise<void>;
  clients: {
    claim(): Promise<void>;
    matchAll(options: { type: 'window'; includeUncontrolled: true }): Promise<Client[]>;
  };
  addEventListener(type: string, listener: (event: never) => void): void;
};

/** Milliseconds in which a page answers. */
const PATIENCE = 10_000;

/** The way to the page. */
interface Line {
  port: MessagePort;
  /** Aborts when the page is gone. */
  gone: AbortController;
}

let line: Promise<Line> | undefined;

class Gone extends Error {}

/** @throws Gone */
async function openLine(): Promise<Line> {
  const clients = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const keepers = clients.filter(({ url }) => new URL(url).pathname === KEEPER_PATH);
  if (keepers.length === 0) throw new Gone();
  const ports: MessagePort[] = [];
  try {
    const port = await new Promise<MessagePort>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Gone()), PATIENCE);
      let refusals = 0;
      for (const keeper of keepers) {
        const { port1, port2 } = new MessageChannel();
        ports.push(port1);
        port1.onmessage = ({ data }: MessageEvent<Greeting>) => {
          clearTimeout(timer);
          if (data.type === 'welcome') resolve(port1);
          else if (++refusals === keepers.length) reject(new Gone());
        };
        keeper.postMessage({ type: 'connect' }, [port2]);
      }
    });
    ports.splice(ports.indexOf(port), 1);
    port.onmessage = null;
    return { port, gone: new AbortController() };
  } finally {
    for (const port of ports) port.close();
  }
}

function connect(): Promise<Line> {
  if (line === undefined) {
    const opening = openLine();
    line = opening;
    opening.catch(() => {
      if (line === opening) line = undefined;
    });
  }
  return line;
}

/** The page is gone, and what it was asked has no answer. */
function hangUp(): void {
  void line?.then(
    ({ port, gone }) => {
      port.close();
      gone.abort(new Gone('the page with the machine is gone'));
    },
    () => {},
  );
  line = undefined;
}

async function bodyOf(request: Request): Promise<ReadableStream<Uint8Array> | null> {
  if (request.method === 'GET' || request.method === 'HEAD') return null;
  // Some engines have no stream here.
  if (request.body !== undefined) return request.body;
  const bytes = await request.blob();
  return bytes.size === 0 ? null : bytes.stream();
}

async function ask(request: Request, keepAlive: (work: Promise<unknown>) => void): Promise<Response> {
  const { port, gone } = await connect();
  const url = new URL(request.url);
  const body = await bodyOf(request);
  const { port1: own, port2: other } = new MessageChannel();
  const message: PageRequest = {
    type: 'request',
    method: request.method,
    target: url.pathname + url.search,
    fields: [...request.headers],
    hasBody: body !== null,
    isDocument: request.mode === 'navigate',
  };
  const transfer = [other];
  if (body !== null) {
    const channel = new MessageChannel();
    sendPieces(channel.port1, body);
    transfer.push(channel.port2);
  }
  const abort = () => own.postMessage({ type: 'abort' } satisfies Abort);
  request.signal.addEventListener('abort', abort);
  const answered = new AbortController();
  const [answer, pieces] = await new Promise<[Answer, MessagePort | undefined]>((resolve, reject) => {
    own.onmessage = ({ data, ports }: MessageEvent<Answer>) => resolve([data, ports[0]]);
    gone.signal.addEventListener('abort', () => reject(gone.signal.reason as Error), { signal: answered.signal });
    if (gone.signal.aborted) throw gone.signal.reason;
    port.postMessage(message, transfer);
  });
  answered.abort();
  const { status, statusText, fields } = answer;
  const init = { status, statusText, headers: fields };
  if (pieces === undefined) {
    // The page's end would keep it.
    own.close();
    return new Response(null, init);
  }
  let end = (): void => {};
  keepAlive(new Promise<void>((resolve) => (end = resolve)));
  return new Response(receivePieces(pieces, gone.signal, end), init);
}

async function answer(event: FetchEvent): Promise<Response> {
  try {
    return await ask(event.request, (work) => event.waitUntil(work));
  } catch (error) {
    const text =
      error instanceof Gone ? 'The page with the machine is closed. Open this preview from it again.' : String(error);
    return new Response(textPage('No machine', text), {
      status: 503,
      headers: {
        'Content-Type': 'text/html; charset=utf-8',
        'Cache-Control': 'no-store',
        'Cross-Origin-Embedder-Policy': 'require-corp',
        'Cross-Origin-Resource-Policy': 'cross-origin',
      },
    });
  }
}

async function openSocket(url: URL, protocols: unknown, own: MessagePort): Promise<void> {
  try {
    const { port } = await connect();
    const message = { type: 'socket', target: url.pathname + url.search, protocols };
    port.postMessage(message, [own]);
  } catch {
    own.postMessage({ type: 'close', code: 1006, reason: '', wasClean: false });
    own.close();
  }
}

scope.addEventListener('install', () => void scope.skipWaiting());
scope.addEventListener('activate', (event: ExtendableEvent) => event.waitUntil(scope.clients.claim()));
scope.addEventListener('message', (event: MessageFromClient) => {
  const { data, ports } = event;
  if (data?.type === 'gone') hangUp();
  else if (data?.type === 'socket' && ports[0] !== undefined)
    event.waitUntil(openSocket(new URL(String(data.url)), data.protocols, ports[0]));
});
scope.addEventListener('fetch', (event: FetchEvent) => {
  const url = new URL(event.request.url);
  if (url.origin !== location.origin || url.pathname.startsWith(OWN_PATHS)) return;
  event.respondWith(answer(event));
});
