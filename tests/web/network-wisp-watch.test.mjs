// SPDX-License-Identifier: MIT
// Relays that are silent, gone, or slow to notice that we were, and peers that ask and do not read (network/relay-watch.ts,
// network/wisp-line.ts, relay/client.ts).

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect as connectTo, Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { mock, test } from 'node:test';
import {
  echo,
  FakeTimers,
  guestFor,
  heldUp,
  openFilter,
  relayFor,
  scripted,
  serverFor,
  urlOf,
} from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { decode, encode, EXTENSION, REASON } = await source('network/wisp-packets.ts');
const { encodeClientCredit, encodeServerAbilities } = await source('network/wisp-extensions.ts');
const { WispLine } = await source('network/wisp-line.ts');
const { RelayClient } = await source('relay/client.ts');
const { Destinations } = await source('relay/destination.ts');
const { DEFAULT_LIMITS } = await source('relay/limits.ts');
const { Metrics } = await source('relay/metrics.ts');
const { listenFor } = await source('relay/port.ts');

const CONFIRMS = [EXTENSION.confirmation, new Uint8Array(0)];
const OURS = [EXTENSION.auklet, encodeServerAbilities({ listens: true, resolves: false, answers: true })];
const SIGN = { type: 'continue', stream: 0, count: 64 };
const LOOK = 15_000;

/** A guest at a relay of ours, that follows a script, with an open flow. */
async function watched(t) {
  const timers = new FakeTimers();
  const world = new EventTarget();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers, world });
  const peer = await server.peer();
  await peer.greet(CONFIRMS, OURS);
  const flow = guest.open(80);
  const { stream } = await peer.next('connect');
  peer.send({ type: 'continue', stream, count: 4 });
  await flow.has('opened');
  await peer.next('continue');
  return { timers, world, server, guest, peer, flow };
}

const look = (timers) => {
  timers.clock += LOOK;
  assert.equal(timers.fire(LOOK), 1);
};

/** What the peer has sent so far has been looked at. */
async function arrived(guest, peer) {
  const flow = guest.open(81);
  let packet;
  do packet = await peer.next((type) => ['connect', 'continue'].includes(type));
  while (packet.type !== 'connect');
  peer.send({ type: 'close', stream: packet.stream, reason: REASON.refused });
  await flow.has('failed');
}

test('a relay that no longer answers is given up, and tried again', async (t) => {
  const { timers, guest, peer, flow, server } = await watched(t);
  // What has come since the first look was a sign.
  look(timers);
  look(timers);
  assert.deepEqual(await peer.next('continue'), { type: 'continue', stream: 0, count: 0 });
  look(timers);
  await peer.next('continue');
  assert.deepEqual(flow.log, ['opened 262124']);
  look(timers);
  await flow.has('aborted');
  assert.equal(guest.states.at(-1), 'waiting: the relay no longer answers');
  timers.fire(250);
  await (await server.peer()).greet(CONFIRMS, OURS);
  await guest.state('connected');
});

test('a relay that answers stays', async (t) => {
  const { timers, guest, peer, flow } = await watched(t);
  for (let count = 0; count < 10; ++count) {
    look(timers);
    peer.send(SIGN);
    await arrived(guest, peer);
  }
  assert.deepEqual(flow.log, ['opened 262124']);
});

test('after sleep, and when the computer is online again, the relay has 10 s', async (t) => {
  for (const wakes of [
    ({ timers }) => {
      timers.clock += 3_600_000;
      assert.equal(timers.fire(LOOK), 1);
    },
    ({ world }) => world.dispatchEvent(new Event('online')),
  ]) {
    const all = await watched(t);
    const { timers, guest, peer, flow } = all;
    wakes(all);
    await peer.next('continue');
    peer.send(SIGN);
    await arrived(guest, peer);
    assert.equal(timers.fire(10_000), 1);
    assert.deepEqual(flow.log, ['opened 262124']);
    wakes(all);
    assert.equal(timers.fire(10_000), 1);
    await flow.has('aborted');
    assert.equal(guest.states.at(-1), 'waiting: the relay no longer answers');
  }
});

test('online again, with no relay: it is tried at once', async (t) => {
  const { timers, world, guest, peer, server } = await watched(t);
  peer.socket.close();
  await guest.state('waiting');
  for (const wait of [250, 500]) {
    timers.fire(wait);
    (await server.peer()).socket.close();
    await guest.state('connecting');
    await guest.state('waiting');
  }
  world.dispatchEvent(new Event('online'));
  await (await server.peer()).greet(CONFIRMS, OURS);
  await guest.state('connected');
  assert.equal(timers.fire(1000), 0);
});

test('an address that the engine does not take leaves nothing', () => {
  const world = { addEventListener: mock.fn(), removeEventListener: mock.fn() };
  const timers = new FakeTimers();
  const makeWebSocket = () => {
    throw new Error('this page came by https');
  };
  const make = () => new WispLine({ url: 'ws://example.org/', resolver: '1.1.1.1', timers, world, makeWebSocket });
  assert.throws(make, /by https/);
  assert.equal(world.addEventListener.mock.callCount() - world.removeEventListener.mock.callCount(), 0);
  assert.equal(timers.list.size, 0);
});

test('a relay without the extension is asked nothing', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers, world: new EventTarget() });
  await (await server.peer()).greet(CONFIRMS);
  await guest.state('connected');
  assert.deepEqual([...timers.list], []);
});

test('our relay answers, who asks', async (t) => {
  const socket = new WebSocket(urlOf(await relayFor(t)), 'wisp-v2');
  socket.binaryType = 'arraybuffer';
  const next = async () => decode(new Uint8Array((await once(socket, 'message'))[0].data));
  assert.equal((await next()).type, 'info');
  const extensions = new Map([[EXTENSION.auklet, encodeClientCredit(1000)]]);
  socket.send(encode({ type: 'info', major: 2, minor: 0, extensions }));
  assert.deepEqual(await next(), SIGN);
  socket.send(encode({ type: 'continue', stream: 0, count: 0 }));
  assert.deepEqual(await next(), SIGN);
  socket.close();
});

test('a port of a relay that does not give it back at once is asked for until it does', async (t) => {
  const { timers, guest, peer, server } = await watched(t);
  const published = guest.backend.publish(20_000, 80);
  const { stream } = await peer.next('listen');
  peer.send({ type: 'listen', stream, port: 20_000 });
  assert.equal(await published, 20_000);
  peer.socket.close();
  await guest.state('waiting');
  timers.fire(250);
  const again = await server.peer();
  await again.greet(CONFIRMS, OURS);
  for (let count = 0; count < 3; ++count) {
    assert.deepEqual(await again.next('listen'), { type: 'listen', stream, port: 20_000 });
    again.send({ type: 'close', stream, reason: REASON.refused });
    await arrived(guest, again);
    assert.equal(timers.fire(5000), 1);
  }
  await again.next('listen');
  again.send({ type: 'listen', stream, port: 20_000 });
  again.send({ type: 'accept', stream: 2 ** 31, listener: stream, port: 1, host: '::1' });
  assert.equal((await guest.nextIncoming()).port, 80);
  // One for a port that we have not is closed.
  again.send({ type: 'accept', stream: 2 ** 31 + 1, listener: 999, port: 1, host: '::1' });
  assert.deepEqual(await again.next('close'), { type: 'close', stream: 2 ** 31 + 1, reason: REASON.client });
});

/** As Node.js tells of errors of accept(). */
const emitAcceptError = (server) => server.emit('error', Object.assign(new Error('accept'), { code: 'ENOBUFS' }));

test('a relay outlives connections that could not be accepted', async (t) => {
  const listens = t.mock.method(Server.prototype, 'listen');
  const relay = await relayFor(t);
  for (let count = 0; count < 2; ++count) emitAcceptError(listens.mock.calls[0].this);
  await guestFor(t, urlOf(relay)).state('connected');
});

test('a port of a relay outlives a connection that could not be accepted', async (t) => {
  const { mock } = t;
  const listens = mock.method(Server.prototype, 'listen');
  const metrics = new Metrics();
  const failed = mock.fn();
  const accepted = Promise.withResolvers();
  const listening = Promise.withResolvers();
  const own = listenFor({ host: '127.0.0.1', least: 20_000, most: 40_000 }, 0, metrics, {
    listens: listening.resolve,
    failed,
    accepted: accepted.resolve,
  });
  const port = await listening.promise;
  emitAcceptError(listens.mock.calls[0].this);
  const socket = connectTo(port, '127.0.0.1').on('error', () => {});
  (await accepted.promise).destroy();
  await once(socket, 'close');
  assert.equal(failed.mock.callCount(), 0);
  own.close();
  assert.equal(metrics.get('listeners'), 0);
});

test('a relay that asks and does not read is given up', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const { held, makeWebSocket } = heldUp();
  const guest = guestFor(t, server.url, { timers, makeWebSocket });
  const peer = await server.peer();
  await peer.greet(CONFIRMS, OURS);
  await guest.state('connected');
  held.amount = 65 * 1024 * 1024;
  peer.send({ type: 'accept', stream: 2 ** 31, listener: 1, port: 1, host: '::1' });
  await guest.state('waiting');
  assert.equal(guest.states.at(-1), 'waiting: the relay does not read what is sent to it');
});

test('a client that asks and does not read is cut off', async () => {
  class Deaf extends EventEmitter {
    sent = 0;
    isOver = false;
    send() {
      assert(!this.isOver);
      this.sent += 1;
    }
    terminate() {
      this.isOver = true;
    }
  }
  const asks = {
    'for what is not allowed': (count) => ({ type: 'connect', stream: count, kind: 'datagrams', port: 1, host: 'a' }),
    'whether it is there': () => ({ type: 'continue', stream: 0, count: 0 }),
    'for a port': (count) => ({ type: 'listen', stream: count, port: 0 }),
  };
  for (const [what, packet] of Object.entries(asks)) {
    const socket = new Deaf();
    const shared = {
      limits: DEFAULT_LIMITS,
      metrics: new Metrics(),
      timers: new FakeTimers(),
      destinations: new Destinations(openFilter, undefined),
      datagrams: false,
    };
    const client = new RelayClient(socket, shared, () => {});
    client.start(2);
    const give = (each) => socket.emit('message', Buffer.from(encode(each)), true);
    give({ type: 'info', major: 2, minor: 0, extensions: new Map([[EXTENSION.auklet, encodeClientCredit(1000)]]) });
    let count = 1;
    for (; !socket.isOver && count < 200_000; ++count) {
      give(packet(count));
      if (count % 1000 === 0) await turn();
    }
    assert.ok(count < 100_000, `${what}: ${count}`);
  }
});

test('names that a client asks for and forgets are looked up 256 at a time', async (t) => {
  const pending = [];
  const lookup = (_name, _options, done) => pending.push(() => done(null, [{ address: '127.0.0.1', family: 4 }]));
  const relay = await relayFor(t, { lookup });
  const socket = new WebSocket(urlOf(relay));
  socket.binaryType = 'arraybuffer';
  await once(socket, 'message');
  const closes = [];
  const waiting = [];
  socket.addEventListener('message', ({ data }) => {
    const packet = decode(new Uint8Array(data));
    if (packet.type !== 'close') return;
    closes.push([packet.stream, packet.reason]);
    waiting.shift()?.();
  });
  const closed = () => new Promise((resolve) => waiting.push(resolve));
  const connect = (stream, host) => socket.send(encode({ type: 'connect', stream, kind: 'stream', port: 9, host }));
  for (let stream = 1; stream <= 256; ++stream) {
    connect(stream, 'slow.example');
    socket.send(encode({ type: 'close', stream, reason: REASON.voluntary }));
  }
  connect(1000, 'one-too-many.example');
  await closed();
  assert.deepEqual(closes, [[1000, REASON.throttled]]);
  assert.equal(pending.length, 256);
  pending.pop()();
  connect(1001, 'next.example');
  socket.send(encode({ type: 'connect', stream: 1002, kind: 'datagrams', port: 9, host: 'next.example' }));
  await closed();
  assert.equal(closes.at(-1)[1], REASON.throttled);
  assert.equal(pending.length, 256);
  socket.close();
});

test('strangers who say nothing have a bound', async (t) => {
  const relay = await relayFor(t, { limits: { clients: 2 } });
  const { port } = relay.address;
  const guest = guestFor(t, urlOf(relay));
  await guest.state('connected');
  const strangers = [];
  t.after(() => strangers.forEach((stranger) => stranger.destroy()));
  // All but the one that is a client.
  for (let count = 0; count < 257; ++count) {
    strangers.push(connectTo(port, '127.0.0.1').on('error', () => {}));
    await once(strangers.at(-1), 'connect');
  }
  const oneMore = connectTo(port, '127.0.0.1').on('error', () => {});
  await once(oneMore, 'close');
  // Who was a client before is one still.
  const flow = guest.open(await serverFor(t, echo));
  await flow.has('opened');
  await flow.send(Buffer.from('still here'));
  await flow.until(() => flow.text === 'still here');
});

test('strangers who are refused do not stay', async (t) => {
  const relay = await relayFor(t);
  const socket = connectTo({ port: relay.address.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  const upgrade = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: x'];
  socket.write(['GET /wrong/ HTTP/1.1', 'Host: a', ...upgrade, '', ''].join('\r\n'));
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1.1 404/);
  await once(socket, 'end');
  // Its own direction is still open. Whoever sends there hears that nobody is there.
  const gone = once(socket, 'error');
  const timer = setInterval(() => socket.write('x'), 5);
  t.after(() => clearInterval(timer));
  await gone.catch(() => {});
  await relay.close();
});

test('datagrams that wait for a relay are no more than one of the longest', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers, world: new EventTarget() });
  const flow = guest.open(53, { kind: 'datagrams' });
  for (let count = 0; count < 20; ++count) guest.backend.send(flow.id, Buffer.alloc(30_000, count));
  const other = guest.open(53, { kind: 'datagrams' });
  for (let count = 0; count < 20; ++count) guest.backend.send(other.id, Buffer.alloc(10, count));
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 4 });
  const packets = [];
  while (packets.filter(({ type }) => type === 'data').length < 18) packets.push(await peer.next(() => true));
  const sizes = packets.filter(({ type }) => type === 'data').map(({ bytes }) => bytes.length);
  assert.deepEqual(sizes, [30_000, 30_000, ...Array(16).fill(10)]);
});
