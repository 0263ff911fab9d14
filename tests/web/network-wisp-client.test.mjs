// SPDX-License-Identifier: MIT
// Our client of Wisp (network/wisp-*.ts) with servers that follow a script: those of version 1 and 2, and those that lie.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { FakeTimers, guestFor, heldUp, scripted } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { encode, EXTENSION, REASON } = await source('network/wisp-packets.ts');
const extensions = await source('network/wisp-extensions.ts');

const none = new Uint8Array(0);
const CONFIRMS = [EXTENSION.confirmation, none];
const UDP = [EXTENSION.udp, none];
const OURS = [EXTENSION.auklet, extensions.encodeServerAbilities({ listens: true, resolves: false, answers: true })];

/** A client and a server of version 1, with the first flow connecting. */
async function version1(t, options = {}) {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers, ...options });
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 4 });
  const flow = guest.open(80, { address: '192.0.2.1' });
  const { stream } = await peer.next('connect');
  return { timers, server, guest, peer, flow, stream };
}

/** Bytes of one packet to a server. */
const PIECE = 65_531;

/** The same of version 2. */
async function version2(t, ...offered) {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers });
  const peer = await server.peer();
  const info = await peer.greet(...offered);
  const flow = guest.open(80, { address: '192.0.2.1' });
  const { stream } = await peer.next('connect');
  return { timers, server, guest, peer, flow, stream, info };
}

test('version 1: open after 300 ms of silence, with the first credit', async (t) => {
  const { timers, peer, flow, stream } = await version1(t);
  assert.deepEqual(flow.log, []);
  assert.equal(timers.fire(300), 1);
  assert.deepEqual(flow.log, [`opened ${4 * PIECE}`]);
  await flow.send(Buffer.alloc(70_000, 1));
  assert.equal((await peer.next('data')).bytes.length, PIECE);
  assert.equal((await peer.next('data')).bytes.length, 70_000 - PIECE);
  // Of two packets there are two left: but the guest was told of more, and may have sent it.
  const told = 4 * PIECE - 70_000;
  assert.equal(flow.room, told);
  await flow.send(Buffer.alloc(told));
  await peer.next('data');
  await peer.next('data');
  assert.equal(flow.room, 0);
  // The rest has waited for a packet.
  peer.send({ type: 'continue', stream, count: 2 });
  assert.equal((await peer.next('data')).bytes.length, told - 2 * PIECE);
  await flow.has(`writable ${PIECE}`);
  peer.send({ type: 'continue', stream, count: 2 ** 32 - 1 });
  await flow.has('writable 524288');
});

test('small segments use up the packets: the rest waits, in order, and what ends comes behind it', async (t) => {
  for (const ends of ['finish', 'close', 'reset', 'lost']) {
    const { guest, peer, flow, stream } = await version2(t, CONFIRMS, OURS);
    peer.send({ type: 'continue', stream, count: 2 });
    await flow.has('opened');
    await peer.next('continue');
    const text = Array.from({ length: 50 }, (_, index) => `${index} `);
    for (const each of text) guest.backend.send(flow.id, Buffer.from(each));
    if (ends === 'finish') guest.backend.finish(flow.id);
    else guest.backend.closed(flow.id, ends === 'reset');
    assert.equal(String((await peer.next('data')).bytes), '0 ');
    assert.equal(String((await peer.next('data')).bytes), '1 ');
    if (ends === 'reset') {
      assert.equal((await peer.next('close')).reason, REASON.client);
      continue;
    }
    if (ends === 'lost') {
      peer.socket.close();
      await guest.state('waiting');
      assert.equal(guest.line.held, 0);
      continue;
    }
    // The guest is gone, but its number may be another flow's.
    peer.send({ type: 'data', stream, bytes: Buffer.from('an answer') });
    peer.send({ type: 'continue', stream, count: 1 });
    assert.equal(String((await peer.next('data')).bytes), text.slice(2).join(''));
    if (ends === 'finish') await peer.next('finish');
    else assert.equal((await peer.next('close')).reason, REASON.voluntary);
    await guest.state('connected');
    assert.equal(guest.line.held, 0);
  }
});

test('version 1: open with the first CONTINUE, or with the first bytes', async (t) => {
  const { timers, guest, peer, flow, stream } = await version1(t);
  peer.send({ type: 'continue', stream, count: 2 });
  await flow.has(`opened ${2 * PIECE}`);
  const second = guest.open(80);
  const { stream: number } = await peer.next('connect');
  assert.notEqual(number, stream);
  peer.send({ type: 'data', stream: number, bytes: Buffer.from('SSH-2.0') });
  await second.until(() => second.text === 'SSH-2.0');
  assert.match(second.log[0], /^opened/);
  assert.equal(timers.fire(300), 0);
});

test('a CLOSE before a stream is open: its reason is the error', async (t) => {
  const { guest, peer, flow, stream } = await version1(t);
  peer.send({ type: 'close', stream, reason: REASON.network });
  await flow.has('failed refused');
  for (const [reason, error] of [
    [REASON.unknown, 'refused'],
    [REASON.voluntary, 'refused'],
    [REASON.invalid, 'unreachable'],
    [REASON.unreachable, 'unreachable'],
    [REASON.timedOut, 'timed-out'],
    [REASON.refused, 'refused'],
    [REASON.blocked, 'prohibited'],
    [REASON.throttled, 'unreachable'],
    [0x99, 'refused'],
  ]) {
    const next = guest.open(80);
    const { stream: number } = await peer.next('connect');
    peer.send({ type: 'close', stream: number, reason });
    await next.has(`failed ${error}`);
  }
});

test('the end of the guest to a server that knows no half: no CLOSE until its own, or a time-out', async (t) => {
  const { timers, guest, peer, flow, stream } = await version1(t);
  peer.send({ type: 'continue', stream, count: 4 });
  await flow.has('opened');
  flow.finish();
  peer.send({ type: 'data', stream, bytes: Buffer.from('the answer') });
  await flow.until(() => flow.text === 'the answer');
  peer.send({ type: 'close', stream, reason: REASON.voluntary });
  await flow.has('finished');
  flow.close();
  const second = guest.open(80);
  // The first word since: nothing was sent for the end.
  const { stream: number } = await peer.next('connect');
  peer.send({ type: 'continue', stream: number, count: 4 });
  await second.has('opened');
  second.finish();
  assert.equal(timers.fire(60_000), 1);
  await second.has('aborted');
  assert.deepEqual(await peer.next('close'), { type: 'close', stream: number, reason: REASON.voluntary });
});

test('a server that closes while the guest still has to read: all of it comes, then the end', async (t) => {
  const { peer, flow, stream } = await version1(t);
  flow.paused = true;
  peer.send({ type: 'data', stream, bytes: Buffer.from('first ') });
  peer.send({ type: 'data', stream, bytes: Buffer.from('second') });
  peer.send({ type: 'close', stream, reason: REASON.voluntary });
  await flow.has('opened');
  await turn();
  flow.resume();
  await flow.has('finished');
  assert.equal(flow.text, 'first second');
  // Who writes now hears that nobody is there.
  flow.guest.backend.send(flow.id, Buffer.from('x'));
  await flow.has('aborted');
});

test('other CLOSEs of an open stream cut it off', async (t) => {
  const { peer, flow, stream } = await version1(t);
  peer.send({ type: 'continue', stream, count: 1 }, { type: 'close', stream, reason: REASON.network });
  await flow.has('aborted');
});

test('without the extension: more than a guest can take ends the stream with 0x81', async (t) => {
  const { guest, peer, flow, stream } = await version1(t);
  flow.paused = true;
  const bytes = Buffer.alloc(1024 * 1024);
  for (let count = 0; count < 17; ++count) peer.send({ type: 'data', stream, bytes });
  await flow.has('aborted');
  assert.deepEqual(await peer.next('close'), { type: 'close', stream, reason: REASON.client });
  assert.equal(guest.line.held, 0);
});

test('what all streams hold has a bound, too', async (t) => {
  const { guest, peer, flow, stream } = await version1(t);
  const flows = [flow];
  const streams = [stream];
  for (let count = 0; count < 8; ++count) {
    flows.push(guest.open(80));
    streams.push((await peer.next('connect')).stream);
  }
  const bytes = Buffer.alloc(15 * 1024 * 1024);
  for (const each of flows) each.paused = true;
  for (const number of streams) peer.send({ type: 'data', stream: number, bytes });
  await flows[8].has('aborted');
  assert.ok(flows.slice(0, 8).every((each) => !each.log.includes('aborted')));
  assert.equal(guest.line.held, 8 * bytes.length);
});

test('version 2 without the extension: opened when it is confirmed, and not before', async (t) => {
  const { timers, guest, peer, flow, stream, info } = await version2(t, CONFIRMS);
  assert.deepEqual([...info.extensions.keys()], [EXTENSION.confirmation]);
  assert.equal(timers.fire(300), 0);
  assert.deepEqual(flow.log, []);
  peer.send({ type: 'continue', stream, count: 8 });
  await flow.has(`opened ${8 * PIECE}`);
  const second = guest.open(80);
  const { stream: number } = await peer.next('connect');
  assert.equal(timers.fire(60_000), 1);
  await second.has('failed timed-out');
  assert.deepEqual(await peer.next('close'), { type: 'close', stream: number, reason: REASON.voluntary });
  // It has not offered datagrams.
  await guest.open(53, { kind: 'datagrams' }).has('failed prohibited');
});

test('version 2 without confirmation: as version 1', async (t) => {
  const { timers, flow } = await version2(t, UDP);
  assert.equal(timers.fire(300), 1);
  assert.deepEqual(flow.log, [`opened ${4 * PIECE}`]);
});

test('the extension: credit in bytes, from the first byte on', async (t) => {
  const { peer, flow, stream, info } = await version2(t, CONFIRMS, UDP, OURS);
  const first = extensions.decodeClientCredit(info.extensions.get(EXTENSION.auklet));
  assert.equal(first, 65536);
  flow.paused = true;
  peer.send({ type: 'continue', stream, count: 4 });
  await flow.has('opened');
  const { count } = await peer.next('continue');
  assert.equal(first + count, 1024 * 1024);
  // All of the credit, in single bytes and in pieces.
  for (let sent = 0; sent < 1000; ++sent) peer.send({ type: 'data', stream, bytes: Buffer.from([sent]) });
  const rest = Buffer.alloc(1024 * 1024 - 1000);
  peer.send({ type: 'data', stream, bytes: rest });
  peer.send({ type: 'finish', stream });
  const marker = flow.guest.open(80);
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 4 });
  await marker.has('opened');
  assert.equal((await peer.next('continue')).stream, marker.guest.line.nextStream);
  assert.equal(flow.guest.line.held, 1024 * 1024);
  assert.ok(!flow.log.includes('finished'));
  flow.resume();
  await flow.has('finished');
  assert.equal(flow.bytes, 1024 * 1024);
  assert.deepEqual(
    [...Buffer.concat(flow.received).subarray(0, 1000)],
    [...Array(1000).keys()].map((at) => at & 255),
  );
  flow.finish();
  await peer.next('finish');
  flow.close();
  // Both directions have ended, and no CLOSE was sent.
  flow.guest.open(80);
  await peer.next('connect');
});

test('the extension: bytes without credit end the stream', async (t) => {
  const { peer, flow, stream } = await version2(t, CONFIRMS, OURS);
  flow.paused = true;
  peer.send({ type: 'continue', stream, count: 4 });
  await peer.next('continue');
  peer.send({ type: 'data', stream, bytes: Buffer.alloc(1024 * 1024) });
  peer.send({ type: 'data', stream, bytes: Buffer.alloc(1) });
  await flow.has('aborted');
  assert.equal((await peer.next('close')).reason, REASON.client);
  assert.equal(flow.guest.line.held, 0);
});

test('bytes after the end of a direction end the stream', async (t) => {
  const { peer, flow, stream } = await version2(t, CONFIRMS, OURS);
  peer.send({ type: 'continue', stream, count: 4 }, { type: 'finish', stream });
  peer.send({ type: 'data', stream, bytes: Buffer.from('more') });
  await flow.has('aborted');
});

test('a closed flow sends CLOSE: 2, or 0x81 for a reset', async (t) => {
  const { guest, peer, flow, stream } = await version2(t, CONFIRMS, OURS);
  flow.close();
  assert.deepEqual(await peer.next('close'), { type: 'close', stream, reason: REASON.voluntary });
  const second = guest.open(80);
  const { stream: number } = await peer.next('connect');
  second.close(true);
  assert.deepEqual(await peer.next('close'), { type: 'close', stream: number, reason: REASON.client });
  // What comes for them later is nobody's.
  peer.send({ type: 'data', stream, bytes: Buffer.from('late') }, { type: 'continue', stream, count: 1 });
  const third = guest.open(80);
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 1 });
  await third.has('opened');
});

test('lies of a server end the connection', async (t) => {
  const lies = {
    'a packet of type 9': Uint8Array.of(9, 0, 0, 0, 0),
    'a packet of 1 bytes': Uint8Array.of(2),
    'connect from a server': encode({ type: 'connect', stream: 1, kind: 'stream', port: 1, host: 'a' }),
    'info from a server': encode({ type: 'info', major: 2, minor: 0, extensions: new Map() }),
    'finish without the extension': encode({ type: 'finish', stream: 1 }),
    'accept without the extension': encode({ type: 'accept', stream: 2 ** 31, listener: 1, port: 1, host: 'a' }),
    'a message of text': 'text',
  };
  for (const [text, lie] of Object.entries(lies)) {
    const { guest, peer, flow, stream } = await version1(t);
    peer.send({ type: 'continue', stream, count: 1 });
    await flow.has('opened');
    if (typeof lie === 'string') peer.socket.send(lie);
    else peer.send(lie);
    await flow.has('aborted');
    assert.equal(guest.states.at(-1), `waiting: the relay has sent what is not Wisp: ${text}`);
    assert.deepEqual(await peer.next('close'), { type: 'close', stream: 0, reason: REASON.client });
    await peer.closed;
    guest.close();
  }
});

test('lies in the handshake, and a server that says nothing', async (t) => {
  const info = (major, ...offered) => ({ type: 'info', major, minor: 0, extensions: new Map(offered) });
  const lies = {
    'waiting: the relay has sent what is not Wisp: data in the handshake': [{ type: 'data', stream: 1, bytes: none }],
    'waiting: the relay has sent what is not Wisp: info in the handshake': [info(2), info(2)],
    'waiting: the relay has sent what is not Wisp: INFO of version 1': [info(1)],
    'waiting: the relay has sent what is not Wisp: extension 0xf0 of 1 bytes': [info(2, [0xf0, Uint8Array.of(1)])],
    'refused: the relay does not want us: it wants a name and a password': [info(2, [2, Uint8Array.of(1)])],
    'refused: the relay does not want us: reason 72': [{ type: 'close', stream: 0, reason: REASON.blocked }],
    'waiting: the relay does not answer': [],
  };
  for (const [text, packets] of Object.entries(lies)) {
    const timers = new FakeTimers();
    const server = await scripted(t);
    const opened = Promise.withResolvers();
    const makeWebSocket = (url, protocols) => {
      const socket = new WebSocket(url, protocols);
      socket.addEventListener('open', () => opened.resolve());
      return socket;
    };
    const guest = guestFor(t, server.url, { timers, makeWebSocket });
    const flow = guest.open(80);
    const peer = await server.peer();
    await opened.promise;
    peer.send(...packets);
    if (packets.length === 0) assert.equal(timers.fire(15_000), 1);
    await flow.has('failed');
    assert.equal(guest.states.at(-1), text);
    await peer.closed;
    guest.close();
  }
});

test('back-off: twice as long each time, and short again after success', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers });
  const waits = () => [...timers.list].map(({ milliseconds }) => milliseconds);
  for (const wait of [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]) {
    const peer = await server.peer();
    peer.socket.close();
    await guest.state('waiting');
    assert.deepEqual(waits(), [wait]);
    timers.fire(wait);
  }
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 4 });
  await guest.state('connected');
  peer.socket.close();
  await guest.state('waiting');
  assert.deepEqual(waits(), [250]);
});

test('a WebSocket that does not send: flows wait, and go on when it has sent', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const { held, makeWebSocket } = heldUp();
  const guest = guestFor(t, server.url, { timers, makeWebSocket });
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 100 });
  const flow = guest.open(80);
  const other = guest.open(80);
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 100 });
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 100 });
  await other.has('opened');
  held.amount = 5_000_000;
  // Of the room that was told, what is used does not come back.
  assert.equal(guest.backend.send(flow.id, Buffer.alloc(10)), 524278);
  assert.equal(guest.backend.send(other.id, Buffer.alloc(20)), 524268);
  timers.fire(4);
  held.amount = 3_000_000;
  timers.fire(4);
  assert.ok(!flow.log.some((each) => each.startsWith('writable')));
  held.amount = 2_000_000;
  timers.fire(4);
  assert.ok(flow.log.includes('writable 524288') && other.log.includes('writable 524288'));
  assert.equal(timers.fire(4), 0);
});

test('room that comes before a program has accepted a connection is told when it has', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const { held, makeWebSocket } = heldUp();
  const guest = guestFor(t, server.url, { timers, makeWebSocket });
  const peer = await server.peer();
  await peer.greet(CONFIRMS, UDP, OURS);
  const published = guest.backend.publish(8080, 80);
  const { stream: listener } = await peer.next('listen');
  peer.send({ type: 'listen', stream: listener, port: 8080 });
  await published;
  // Another flow has filled the line.
  const other = guest.open(80);
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 100 });
  await other.has('opened');
  held.amount = 5_000_000;
  guest.backend.send(other.id, Buffer.alloc(10));
  peer.send({ type: 'accept', stream: 2 ** 31, listener, host: '192.0.2.9', port: 4000 });
  const flow = await guest.nextIncoming();
  assert.equal(flow.room, 0);
  held.amount = 0;
  timers.fire(4);
  flow.accept();
  await flow.has('writable');
  assert.ok(flow.room > 0);
});

test('names: CONNECT has the name that the guest has asked for', async (t) => {
  const server = await scripted(t);
  const nameOf = (address) => ({ '192.0.2.7': 'example.org' })[address];
  const guest = guestFor(t, server.url, { nameOf, resolver: '9.9.9.9' });
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 4 });
  for (const [address, port, host] of [
    ['192.0.2.7', 443, 'example.org'],
    ['192.0.2.8', 443, '192.0.2.8'],
    ['10.0.2.3', 53, '9.9.9.9'],
    ['fd00::3', 53, '9.9.9.9'],
    ['10.0.2.3', 80, '10.0.2.3'],
  ]) {
    guest.open(port, { address });
    assert.equal((await peer.next('connect')).host, host);
  }
});

test('the line ends: flows hear of it, and read what has come whole', async (t) => {
  const { timers, guest, peer, flow, stream } = await version1(t);
  const [reader, waiter] = [guest.open(80), guest.open(80)];
  const { stream: number } = await peer.next('connect');
  await peer.next('connect');
  reader.paused = true;
  peer.send({ type: 'continue', stream, count: 1 });
  peer.send({ type: 'data', stream: number, bytes: Buffer.from('whole') });
  peer.send({ type: 'close', stream: number, reason: REASON.voluntary });
  peer.socket.close();
  await flow.has('aborted');
  await waiter.has('failed unreachable');
  reader.resume();
  await reader.has('finished');
  assert.equal(reader.text, 'whole');
  assert.equal(guest.line.held, 0);
  reader.close();
  assert.equal(timers.fire(250), 1);
});
