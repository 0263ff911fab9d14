// SPDX-License-Identifier: MIT
// Workers that the page makes for the host worker.
//
// In Firefox (ESR 153, measured) `new Worker` in a worker deadlocks after a few
// to some dozen calls, whatever the script. The page's own thread starts
// hundreds. So in Firefox the host worker gets a Worker that asks the page. All
// messages between the host worker and its workers pass the page's thread then.
// They are few.

interface Request {
  url: string;
  port: MessagePort;
}

/**
 * What passes the port of one worker, in both directions. The page answers with
 * what the worker posts.
 */
type Relayed =
  | { kind: 'message'; data: unknown }
  | { kind: 'error'; message: string; filename: string; line: number }
  | { kind: 'terminate' };

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
    worker.onmessage = (message) => port.postMessage({ kind: 'message', data: message.data } satisfies Relayed);
    worker.onerror = (error) => {
      error.preventDefault();
      port.postMessage({
        kind: 'error',
        message: error.message,
        filename: error.filename,
        line: error.lineno,
      } satisfies Relayed);
    };
    port.onmessage = (message: MessageEvent<Relayed>) => {
      if (message.data.kind === 'message') worker.postMessage(message.data.data);
      else {
        worker.terminate();
        port.close();
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
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    port1.onmessage = (event: MessageEvent<Relayed>) => {
      const relayed = event.data;
      if (relayed.kind === 'message') this.onmessage?.(relayed);
      else if (relayed.kind === 'error')
        this.onerror?.({
          preventDefault: () => {},
          message: relayed.message,
          filename: relayed.filename,
          lineno: relayed.line,
        });
    };
    port1.onmessageerror = () => this.onmessageerror?.();
    void requestPort.then((requests) =>
      requests.postMessage({ url: String(url), port: port2 } satisfies Request, [port2]),
    );
  }

  postMessage(data: unknown): void {
    this.port.postMessage({ kind: 'message', data } satisfies Relayed);
  }

  terminate(): void {
    this.port.postMessage({ kind: 'terminate' } satisfies Relayed);
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
