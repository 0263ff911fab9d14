// SPDX-License-Identifier: MIT
// For tests of Wisp: a guest's side of a FlowBackend, servers on loopback, and relays. All of it waits for events.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { source } from './source.mjs';

const { WispClient } = await source('network/wisp-client.ts');
const { WispLine } = await source('network/wisp-line.ts');
const { decode, encode } = await source('network/wisp-packets.ts');
const { startRelay } = await source('relay/relay.ts');
const { WebSocketServer } = createRequire(new URL('../../web/package.json', import.meta.url))('ws');

/** Allows all: tests have servers on loopback. */
export const openFilter = { allows: () => true };

export const TOKEN = 'test-token';

export const relayFor = (t, options = {}) => {
  const relay = startRelay({ token: TOKEN, filter: openFilter, ...options });
  t.after(async () => (await relay).close());
  return relay;
};

export const urlOf = ({ address, path }) => `ws://127.0.0.1:${address.port}${path}`;

/** A flow as a guest has it. It takes what comes, unless `paused`. */
class Flow {
  room = 0;
  bytes = 0;
  received = [];
  isFinished = false;
  paused = false;
  /** What the backend has told: opened, failed, writable, finished, aborted, data. */
  log = [];
  waiting = [];

  constructor(guest, id) {
    this.guest = guest;
    this.id = id;
  }

  tell(event, detail) {
    this.log.push(detail === undefined ? event : `${event} ${detail}`);
    const { waiting } = this;
    this.waiting = [];
    for (const act of waiting) act();
  }

  /** Resolves as soon as it holds. */
  async until(holds) {
    while (!holds(this)) await new Promise((resolve) => this.waiting.push(resolve));
    return this;
  }

  has(event) {
    return this.until(() => this.log.some((each) => each.startsWith(event)));
  }

  /** Sends all, with the room that there is. */
  async send(bytes) {
    for (let at = 0; at < bytes.length;) {
      await this.until(() => this.room > 0 || this.log.includes('aborted'));
      if (this.log.includes('aborted')) return;
      const part = bytes.subarray(at, at + this.room);
      this.room = this.guest.backend.send(this.id, part);
      at += part.length;
    }
  }

  finish() {
    this.guest.backend.finish(this.id);
  }

  close(reset = false) {
    this.guest.flows.delete(this.id);
    this.guest.backend.closed(this.id, reset);
  }

  accept() {
    this.guest.backend.accepted(this.id);
  }

  resume() {
    this.paused = false;
    this.guest.backend.consumed(this.id, 1);
  }

  get text() {
    return Buffer.concat(this.received).toString();
  }
}

/** Many flows over one WispClient. */
export class Guest {
  flows = new Map();
  next = 2 ** 31;
  incoming = [];
  incomingWaiting = [];
  /** As of too many connections. */
  refuses = false;
  states = [];
  stateWaiting = [];
  inCall = false;

  constructor(url, options = {}) {
    const { nameOf, ...lineOptions } = options;
    this.line = new WispLine({
      url,
      resolver: '127.0.0.1',
      onState: (state, text) => {
        this.states.push(text === '' ? state : `${state}: ${text}`);
        for (const act of this.stateWaiting.splice(0)) act();
      },
      ...lineOptions,
    });
    const of = (act) => (id, detail) => {
      const flow = this.flows.get(id);
      return flow === undefined ? 0 : act(flow, detail);
    };
    const told = (event, act) =>
      of((flow, detail) => {
        if (this.inCall) throw new Error(`${event} from within a call`);
        act?.(flow, detail);
        flow.tell(event, detail);
      });
    const client = new WispClient(
      this.line,
      {
        incoming: (id, port, room) => {
          if (this.inCall) throw new Error('incoming from within a call');
          if (this.refuses) return false;
          const flow = new Flow(this, id);
          Object.assign(flow, { port, room });
          this.flows.set(id, flow);
          this.incoming.push(flow);
          for (const act of this.incomingWaiting.splice(0)) act();
          return true;
        },
        opened: told('opened', (flow, room) => (flow.room = room)),
        failed: told('failed'),
        writable: told('writable', (flow, room) => (flow.room = room)),
        finished: told('finished', (flow) => (flow.isFinished = true)),
        aborted: told('aborted'),
        data: of((flow, bytes) => {
          if (this.inCall) throw new Error('data from within a call');
          if (flow.paused) return 0;
          flow.bytes += bytes.length;
          if (flow.discards !== true) flow.received.push(bytes.slice());
          flow.tell('data');
          if (flow.log.length > 1000) flow.log = flow.log.filter((each) => each !== 'data');
          return bytes.length;
        }),
      },
      nameOf,
    );
    /** Notes calls, during which no event may come. */
    this.backend = new Proxy(client, {
      get:
        (target, name) =>
        (...words) => {
          this.inCall = true;
          try {
            return target[name](...words);
          } finally {
            this.inCall = false;
          }
        },
    });
  }

  /** Resolves when the line's last state begins with this. */
  async state(start) {
    const holds = () => this.states.at(-1)?.startsWith(start);
    while (!holds()) await new Promise((resolve) => this.stateWaiting.push(resolve));
  }

  open(port, { kind = 'stream', address = '127.0.0.1' } = {}) {
    const flow = new Flow(this, this.next++);
    this.flows.set(flow.id, flow);
    this.backend.open(flow.id, kind, address, port);
    return flow;
  }

  async nextIncoming() {
    while (this.incoming.length === 0) await new Promise((resolve) => this.incomingWaiting.push(resolve));
    return this.incoming.shift();
  }

  close() {
    this.backend.close();
  }
}

export function guestFor(t, url, options) {
  const guest = new Guest(url, options);
  t.after(() => guest.close());
  return guest;
}

/** A connection of the client's, as the server sees it: takes packets one by one, and sends what the script says. */
class Peer {
  packets = [];
  waiting = [];

  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('message', (bytes) => {
      this.packets.push(decode(bytes));
      this.waiting.shift()?.();
    });
  }

  send(...packets) {
    for (const packet of packets) this.socket.send(packet instanceof Uint8Array ? packet : encode(packet));
  }

  /** The next packet, of this type or one that is right. */
  async next(type) {
    if (this.packets.length === 0) await new Promise((resolve) => this.waiting.push(resolve));
    const packet = this.packets.shift();
    if (typeof type === 'function') assert(type(packet.type), packet.type);
    else assert.equal(packet.type, type);
    return packet;
  }

  /** The handshake of a server of version 2. */
  async greet(...offered) {
    this.send({ type: 'info', major: 2, minor: 0, extensions: new Map(offered) });
    const info = await this.next('info');
    this.send({ type: 'continue', stream: 0, count: 4 });
    return info;
  }
}

/** A server whose clients are taken with peer(). `choose`: as handleProtocols of ws. */
export async function scripted(t, choose = (protocols) => [...protocols][0]) {
  const server = createHttpServer().listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: choose });
  const peers = [];
  const waiting = [];
  const offers = [];
  server.on('upgrade', (request, socket, head) => {
    offers.push(request.headers['sec-websocket-protocol'] ?? '-');
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = new Peer(webSocket);
      const taker = waiting.shift();
      if (taker === undefined) peers.push(peer);
      else taker(peer);
    });
  });
  await once(server, 'listening');
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}/`,
    offers,
    peer: () => peers.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  };
}

/** A server of TCP on loopback: its port. */
export async function serverFor(t, accept) {
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    accept(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

export const echo = (socket) => socket.pipe(socket);

/** A server of UDP on loopback that answers: its port. */
export async function datagramsFor(t, answer) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { port, address }) => {
    const answered = answer(bytes);
    if (answered !== undefined) socket.send(answered, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket.address().port;
}

/** Timers that go off when the test says so. */
export class FakeTimers {
  list = new Set();
  /** What now() says. */
  clock = 0;

  now() {
    return this.clock;
  }

  set(act, milliseconds) {
    const timer = { act, milliseconds };
    this.list.add(timer);
    return timer;
  }

  clear(timer) {
    this.list.delete(timer);
  }

  /** Those of so many milliseconds go off. */
  fire(milliseconds) {
    const due = [...this.list].filter((timer) => timer.milliseconds === milliseconds);
    for (const timer of due) {
      this.list.delete(timer);
      timer.act();
    }
    return due.length;
  }
}

/** WebSockets whose bytes that wait for the network are as many as `held.amount` says. */
export function heldUp() {
  const held = { amount: 0 };
  const makeWebSocket = (url, protocols) => {
    const socket = new WebSocket(url, protocols);
    Object.defineProperty(socket, 'bufferedAmount', { get: () => held.amount });
    return socket;
  };
  return { held, makeWebSocket };
}
