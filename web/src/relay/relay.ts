// SPDX-License-Identifier: MIT
// A relay for guests' networks: a server of Wisp 1 and 2, with Auklet's
// extension. Pages reach it by a WebSocket, and it reaches the internet.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { systemTimers, type Timers } from '../network/timers.ts';
import { SUBPROTOCOL } from '../network/wisp-packets.ts';
import { isSameSecret, RelayClient } from './client.ts';
import { Destinations, type AddressFilter, type Lookup, type Resolver } from './destination.ts';
import { DEFAULT_LIMITS, GREETING, LARGEST_MESSAGE, MOST_STRANGERS, ROUND, type RelayLimits } from './limits.ts';
import { Metrics } from './metrics.ts';
import type { PortOptions } from './port.ts';

export interface RelayOptions {
  /**
   * The first part of the path of a client's address. Empty: none is wanted.
   */
  token: string;
  /** Sees each address before the relay connects to it. */
  filter: AddressFilter;
  /** Where to listen. Default: 127.0.0.1. */
  host?: string;
  /** 0, the default, is any that is free. */
  port?: number;
  /** Uses this server instead, whose other requests are the owner's. */
  server?: Server;
  /**
   * The pages that may use it: "https://example.org", or "*" for all. Default:
   * pages of this computer. Programs, which have no origin, need the token
   * only.
   */
  origins?: readonly string[];
  /** Refuses requests that `origins` does not, if it returns false. */
  accepts?: (request: IncomingMessage) => boolean;
  /** Whether datagrams of UDP are relayed. Default: yes. */
  datagrams?: boolean;
  /** Ports that clients may listen on. Default: none. */
  ports?: PortOptions;
  /** Who answers a guest's questions for names. Default: nobody. */
  resolver?: Resolver | undefined;
  /** Passwords by names, in addition to the token. */
  passwords?: ReadonlyMap<string, string>;
  limits?: Partial<RelayLimits>;
  /** For tests. */
  lookup?: Lookup;
  timers?: Timers;
}

export interface Relay {
  address: { host: string; port: number };
  /** The path of the address for clients, with the token. */
  path: string;
  /** What it counts, in Prometheus' text format. */
  metrics(): string;
  /** Ends all of its clients. Resolves when nothing is left. */
  close(): Promise<void>;
}

const LOCAL = /^https?:\/\/(localhost|([a-z0-9-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

function isAllowedOrigin(origin: string | undefined, allowed: readonly string[] | undefined): boolean {
  if (origin === undefined) return true;
  if (allowed === undefined) return LOCAL.test(origin);
  return allowed.includes('*') || allowed.includes(origin);
}

export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { token, origins } = options;
  if (!/^[A-Za-z0-9_-]*$/.test(token)) throw new RangeError('a token has letters, digits, "-" and "_" only');
  const path = token === '' ? '/' : `/${token}/`;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const timers = options.timers ?? systemTimers;
  const metrics = new Metrics();
  const clients = new Set<RelayClient>();
  /** Those of clients, also while they end. */
  const connections = new Set<Duplex>();
  const shared = {
    limits,
    metrics,
    timers,
    destinations: new Destinations(options.filter, options.resolver, options.lookup),
    datagrams: options.datagrams ?? true,
    ports: options.ports,
    passwords: options.passwords,
  };
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: LARGEST_MESSAGE,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : [...protocols][0]!),
  });

  /** Undefined: welcome. Otherwise a status and why. */
  const refusal = (request: IncomingMessage): [number, string] | undefined => {
    const given = (request.url ?? '').replace(/\?.*/s, '');
    if (!isSameSecret(given, path)) return [404, 'token'];
    const isWelcome = isAllowedOrigin(request.headers.origin, origins) && options.accepts?.(request) !== false;
    if (!isWelcome) return [403, 'origin'];
    if (clients.size >= limits.clients) return [503, 'clients'];
    return undefined;
  };

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    const refused = refusal(request);
    if (refused !== undefined) {
      const [status, reason] = refused;
      metrics.add('refused_total', 1, `reason="${reason}"`);
      // Who does not end its own direction would stay, without any bound.
      const gone = () => socket.destroy();
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, gone);
      return;
    }
    const version = request.headers['sec-websocket-protocol'] === undefined ? 1 : 2;
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      metrics.add('clients_total');
      metrics.add('clients');
      const client = new RelayClient(webSocket, shared, () => {
        metrics.add('clients', -1);
        clients.delete(client);
      });
      clients.add(client);
      client.start(version);
    });
  };

  let roundTimer: unknown;
  const round = (): void => {
    for (const client of [...clients]) client.round();
    roundTimer = timers.set(round, ROUND);
  };
  round();

  const quick = { headersTimeout: GREETING, requestTimeout: GREETING, connectionsCheckingInterval: GREETING / 2 };
  const server = options.server ?? createServer(quick, (request, response) => answer(request, response, path, metrics));
  if (options.server === undefined) server.maxConnections = limits.clients + MOST_STRANGERS;
  server.on('upgrade', upgrade);
  if (options.server === undefined)
    await new Promise<void>((resolve, reject) => {
      // Later ones are of connections that could not be accepted.
      server.on('error', reject);
      server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
    });
  const { address: host, port } = server.address() as AddressInfo;
  return {
    address: { host, port },
    path,
    metrics: () => metrics.text(),
    async close() {
      timers.clear(roundTimer);
      server.off('upgrade', upgrade);
      for (const client of [...clients]) client.drop();
      for (const connection of connections) connection.destroy();
      if (options.server !== undefined) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** What is no WebSocket: whether it lives, and with the token, its figures. */
function answer(request: IncomingMessage, response: ServerResponse, path: string, metrics: Metrics): void {
  const refuse = (status: number, text: string) =>
    response.writeHead(status, { 'Content-Type': 'text/plain', 'X-Content-Type-Options': 'nosniff' }).end(`${text}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') refuse(405, 'GET and HEAD only');
  else if (request.url === '/health') refuse(200, 'ok');
  else if (isSameSecret(request.url ?? '', `${path}metrics`))
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(metrics.text());
  else refuse(404, 'a relay of Auklet; connect to it by a WebSocket');
}
