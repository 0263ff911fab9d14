// SPDX-License-Identifier: MIT
// Packets in any order, from a server that lies to our client (network/wisp-*.ts) and from a client that lies to our relay
// (relay/). The translator of the tests checks each event; nothing may be left at the end.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { FakeTimers, openFilter } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { encode, EXTENSION } = await source('network/wisp-packets.ts');
const { encodeClientCredit, encodeServerAbilities } = await source('network/wisp-extensions.ts');
const { WispClient } = await source('network/wisp-client.ts');
const { WispLine } = await source('network/wisp-line.ts');
const { RelayClient } = await source('relay/client.ts');
const { Destinations } = await source('relay/destination.ts');
const { DEFAULT_LIMITS } = await source('relay/limits.ts');
const { Metrics } = await source('relay/metrics.ts');

/** Sessions, of which each has its seed. */
const FIRST = Number(process.env.AUKLET_SEED ?? 1);
const ROUNDS = Number(process.env.AUKLET_FUZZ_ROUNDS ?? 300);

/** Numbers of a fixed start, so that a failure comes again. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const INFO = (...extensions) => ({ type: 'info', major: 2, minor: 0, extensions: new Map(extensions) });

/** A packet of any kind for one of few streams. */
function anyPacket(random, host, port) {
  const server = 2 ** 31 * random(2);
  const stream = server + 1 + random(6);
  const bytes = Buffer.alloc([0, 1, 1000, 30_000, 100_000][random(5)]);
  switch (random(40)) {
    case 0:
      return { type: 'connect', stream, kind: random(4) === 0 ? 'datagrams' : 'stream', port, host };
    case 1:
      return INFO();
    case 2:
      return { type: 'accept', stream, listener: 1 + random(6), port: 1, host: '::1' };
    case 3:
      return { type: 'close', stream: 0, reason: 2 };
  }
  switch (random(8)) {
    case 0:
      return { type: 'close', stream, reason: [1, 2, 2, 3, 0x44, 0x81][random(6)] };
    case 1:
    case 2:
      return { type: 'continue', stream, count: [0, 1, 64, 65_536, 2 ** 32 - 1][random(5)] };
    case 3:
      return { type: 'finish', stream };
    case 4:
      return { type: 'listen', stream, port: random(3) };
    default:
      return { type: 'data', stream, bytes };
  }
}

class FakeWebSocket {
  bufferedAmount = 0;
  isClosed = false;

  send(bytes) {
    assert(!this.isClosed);
    assert(bytes.length <= 65_536);
  }

  close() {
    this.isClosed = true;
  }

  give(bytes) {
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });
  }
}

/** One step of a guest. */
function act(random, translator, client) {
  const ends = [...translator.ends.values()];
  const end = ends[random(ends.length)];
  const what = random(10);
  if (ends.length === 0 || (what === 0 && ends.length < 8))
    return void translator.open('192.0.2.1', 80, random(4) === 0 ? 'datagrams' : 'stream', {
      window: random(3) * 10_000,
    });
  if (end === undefined) return undefined;
  if (what === 1) return end.closed(random(2) === 0);
  if (what === 2) return end.finish();
  if (what === 3) return end.call(() => client.accepted(end.id));
  if (what < 6) return end.read(random(50_000));
  const length = end.kind === 'datagrams' ? random(1500) : Math.min(end.room, random(100_000));
  if (length > 0) end.room = end.call(() => client.send(end.id, Buffer.alloc(length)));
  return undefined;
}

test('a server that lies to a client', async () => {
  for (let seed = FIRST; seed < FIRST + ROUNDS; ++seed) {
    const random = numbers(seed);
    const timers = new FakeTimers();
    const translator = new FakeTranslator();
    let socket;
    const makeWebSocket = () => (socket = new FakeWebSocket());
    const line = new WispLine({ url: 'ws://a/', resolver: '192.0.2.53', timers, makeWebSocket });
    const client = new WispClient(line, translator.events);
    translator.backend = client;
    for (let step = 0; step < 400; ++step) {
      const current = socket;
      if (line.state === 'connecting') {
        current.onopen?.();
        if (seed % 3 > 0)
          current.give(
            encode(
              INFO(
                [EXTENSION.udp, Buffer.alloc(0)],
                [EXTENSION.confirmation, Buffer.alloc(0)],
                ...(seed % 3 === 1
                  ? [[EXTENSION.auklet, encodeServerAbilities({ listens: true, resolves: false, answers: true })]]
                  : []),
              ),
            ),
          );
        current.give(encode({ type: 'continue', stream: 0, count: 8 }));
        if (seed % 3 === 1) line.listen(0, (attach) => void attach).catch(() => {});
      }
      current.give(encode(anyPacket(random, 'a', 1)));
      act(random, translator, client);
      current.bufferedAmount = random(2) * 5_000_000;
      // Events that were put off.
      if (random(2) === 0) await turn();
      if (random(20) === 0) timers.fire([300, 60_000, 10][random(3)]);
      assert.ok(line.held <= 128 * 1024 * 1024);
      if (line.state === 'waiting')
        for (const { milliseconds } of timers.list) if (timers.fire(milliseconds) > 0) break;
    }
    for (const end of [...translator.ends.values()]) end.closed(true);
    assert.equal(line.held, 0);
    assert.equal(line.streams.size, 0);
    client.close();
    await turn();
    assert.deepEqual([...timers.list], []);
  }
});

/** The relay's end of a WebSocket that goes nowhere. */
class FakePeer extends EventEmitter {
  sent = 0;

  send(bytes, _options, done) {
    this.sent += bytes.length;
    setImmediate(() => done());
  }

  ping() {}
  close() {}
  terminate() {}
}

test('a client that lies to the relay', async (t) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address();
  for (let seed = FIRST; seed < FIRST + Math.ceil(ROUNDS / 5); ++seed) {
    const random = numbers(seed);
    const metrics = new Metrics();
    const timers = new FakeTimers();
    const limits = { ...DEFAULT_LIMITS, streams: 4, listeners: 2, waitingBytes: 2_000_000 };
    const shared = {
      limits,
      metrics,
      timers,
      destinations: new Destinations(openFilter, undefined),
      datagrams: true,
      ports: { host: '127.0.0.1', least: 20_000, most: 20_010 },
      passwords: undefined,
    };
    for (let session = 0; session < 5; ++session) {
      const peer = new FakePeer();
      const end = { isGone: false };
      const client = new RelayClient(peer, shared, () => (end.isGone = true));
      client.start(seed % 2 === 0 ? 1 : 2);
      if (seed % 2 === 1)
        peer.emit('message', Buffer.from(encode(INFO([EXTENSION.auklet, encodeClientCredit(10_000)]))), true);
      for (let step = 0; step < 100 && !end.isGone; ++step) {
        const opening = { type: 'connect', stream: 1 + random(6), kind: 'stream', port, host: '127.0.0.1' };
        const packet = step < 4 ? { ...opening, stream: step + 1 } : anyPacket(random, '127.0.0.1', port);
        peer.emit('message', Buffer.from(encode(packet)), true);
        if (random(4) === 0) await turn();
        if (random(30) === 0) client.round();
        assert.ok(client.waiting <= limits.waitingBytes);
      }
      if (!end.isGone) client.drop();
      assert.ok(end.isGone);
    }
    // What is under way at the system ends in its own time.
    while (metrics.get('waiting_bytes', 'direction="up"') + metrics.get('waiting_bytes', 'direction="down"') > 0)
      await turn();
    for (const gauge of ['streams', 'listeners', 'waiting_bytes']) assert.equal(metrics.get(gauge), 0, gauge);
    for (const { milliseconds } of timers.list) timers.fire(milliseconds);
  }
});
