// SPDX-License-Identifier: MIT
// Workers that the page makes for the host worker.
//
// In Firefox (ESR 153, measured) `new Worker` in a worker deadlocks after a few
// to some dozen calls, whatever the script. The page's own thread starts
// hundreds. So in Firefox the host worker gets a Worker that asks the page. All
// messages between the host worker and its workers pass the page's thread then.
// They are few.

import { makeChannel } from '../machine/platform.ts';

interface Request {
  url: string;
  /** The page answers with a port of its own, by which its messages come. */
  port: MessagePort;
}

/** What the host has for a worker. */
type ToRelay = { kind: 'message'; data: unknown } | { kind: 'terminate' };

/** What a worker has for the host. */
type FromRelay =
  { kind: 'message'; data: unknown } | { kind: 'error'; message: string; filename: string; line: number };

const RELAY = 'auklet.worker-relay';

export function needsRelay(): boolean {
  return typeof navigator !== 'undefined' && navigator.userAgent.includes('Firefox/');
}

/** For the page: makes the workers that this host worker asks for. */
export function relayWorkers(send: (message: unknown, transfer: MessagePort[]) => void): void {
  const { port1: requests, port2 } = new MessageChannel();
  requests.onmessage = (event: MessageEvent<Request>) => {
    const { url, port } = event.data;
    const worker = new Worker(url, { type: 'module' });
    const { own: answers, other } = makeChannel();
    port.postMessage(other, [other]);
    worker.onmessage = (message) => answers.postMessage({ kind: 'message', data: message.data } satisfies FromRelay);
    worker.onerror = (error) => {
      error.preventDefault();
      answers.postMessage({
        kind: 'error',
        message: error.message,
        filename: error.filename,
        line: error.lineno,
      } satisfies FromRelay);
    };
    port.onmessage = (message: MessageEvent<ToRelay>) => {
      if (message.data.kind === 'message') worker.postMessage(message.data.data);
      else {
        worker.terminate();
        port.close();
        answers.close();
      }
    };
  };
  send({ type: RELAY }, [port2]);
}

/** What platform.ts uses of a Worker. */
class RelayedWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { preventDefault(): void; message: string; filename: string; lineno: number }) => void) | null =
    null;
  onmessageerror: (() => void) | null = null;
  private readonly port: MessagePort;

  constructor(url: string | URL) {
    const { own, other } = makeChannel();
    this.port = own;
    own.onmessage = ({ data: answers }: MessageEvent<MessagePort>) => {
      answers.onmessage = ({ data }: MessageEvent<FromRelay>) => this.hear(data);
      answers.onmessageerror = () => this.onmessageerror?.();
    };
    void requestPort.then((requests) =>
      requests.postMessage({ url: String(url), port: other } satisfies Request, [other]),
    );
  }

  private hear(relayed: FromRelay): void {
    if (relayed.kind === 'message') this.onmessage?.(relayed);
    else
      this.onerror?.({
        preventDefault: () => {},
        message: relayed.message,
        filename: relayed.filename,
        lineno: relayed.line,
      });
  }

  postMessage(data: unknown): void {
    this.port.postMessage({ kind: 'message', data } satisfies ToRelay);
  }

  terminate(): void {
    this.port.postMessage({ kind: 'terminate' } satisfies ToRelay);
  }
}

let requestPort: Promise<MessagePort>;

/** For the host worker, before its own code runs: replaces Worker. */
export function replaceWorkers(): void {
  const scope = globalThis as unknown as {
    addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
    Worker: unknown;
  };
  requestPort = new Promise((resolve) =>
    scope.addEventListener('message', (event) => {
      if (event.data?.type !== RELAY) return;
      // The host worker's own handler comes later, and does not know this
      // message.
      event.stopImmediatePropagation();
      resolve(event.ports[0]!);
    }),
  );
  scope.Worker = RelayedWorker;
}
