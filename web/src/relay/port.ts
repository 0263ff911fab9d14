// SPDX-License-Identifier: MIT
// A port of the relay's that a client listens on, for a server in its guest.

import { createServer, type Socket } from 'node:net';
import { REASON } from '../network/wisp-packets.ts';
import type { Metrics } from './metrics.ts';

export interface PortOptions {
  /** The address to listen on. */
  host: string;
  /** The least and the largest port that clients may have. */
  least: number;
  most: number;
}

export interface PortEvents {
  listens(port: number): void;
  /** It does not listen. `reason` is one of CLOSE's. */
  failed(reason: number): void;
  /** The socket is paused. */
  accepted(socket: Socket, peer: { host: string; port: number }): void;
}

export interface RelayPort {
  close(): void;
}

/** Listens. The events come later, and none comes after close(). */
export function listenFor(options: PortOptions, port: number, metrics: Metrics, events: PortEvents): RelayPort {
  let isOver = false;
  let isOpen = false;
  let candidate = port === 0 ? options.least : port;
  const last = port === 0 ? options.most : port;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  const fail = (reason: number) => {
    if (isOver) return;
    isOver = true;
    events.failed(reason);
  };
  const next = () => {
    if (candidate > last) fail(REASON.refused);
    else server.listen(candidate++, options.host);
  };
  server.on('listening', () => {
    // close() has no effect on a server that is about to listen.
    if (isOver) {
      server.close();
      return;
    }
    isOpen = true;
    metrics.add('listeners');
    events.listens((server.address() as { port: number }).port);
  });
  server.on('error', (error: NodeJS.ErrnoException) => {
    // A connection that could not be accepted: it still listens.
    if (isOpen) return;
    if (!isOver && error.code === 'EADDRINUSE') next();
    else fail(REASON.refused);
  });
  server.on('connection', (socket) => {
    const { remoteAddress: host, remotePort } = socket;
    // It may be gone already.
    if (isOver || host === undefined || remotePort === undefined) socket.destroy();
    else events.accepted(socket, { host: host.replace(/%.*/, ''), port: remotePort });
  });
  const isAllowed = port === 0 || (port >= options.least && port <= options.most);
  if (isAllowed) next();
  else queueMicrotask(() => fail(REASON.blocked));
  return {
    close() {
      isOver = true;
      server.close();
      if (isOpen) metrics.add('listeners', -1);
      isOpen = false;
    },
  };
}
