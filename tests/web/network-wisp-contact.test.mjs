// SPDX-License-Identifier: MIT
// How our client of Wisp finds out what a relay speaks (network/wisp-contact.ts).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { FakeTimers, guestFor, scripted, serverFor } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { EXTENSION } = await source('network/wisp-packets.ts');
const { encodeServerAbilities } = await source('network/wisp-extensions.ts');

const CONFIRMS = [EXTENSION.confirmation, new Uint8Array(0)];
const OURS = [EXTENSION.auklet, encodeServerAbilities({ listens: true, resolves: false, answers: true })];

test('a server of version 1 that does not choose our subprotocol', async (t) => {
  const server = await scripted(t, () => false);
  const guest = guestFor(t, server.url);
  const flow = guest.open(80);
  // Browsers and Node.js refuse the first answer, and the third.
  await server.peer();
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 4 });
  peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 4 });
  await flow.has('opened');
  assert.deepEqual(server.offers, ['wisp-v2', '-', 'wisp-v2']);
});

test('a relay that comes up between two attempts is not taken for one of version 1', async (t) => {
  for (const speaks of [2, 1]) {
    // Node.js and browsers refuse a server that does not choose: as if nobody were there at first.
    let isUp = false;
    const server = await scripted(t, (protocols) => isUp && speaks === 2 && [...protocols][0]);
    const guest = guestFor(t, server.url);
    const flow = guest.open(80);
    await server.peer();
    const bare = await server.peer();
    isUp = true;
    bare.send({ type: 'continue', stream: 0, count: 4 });
    const third = await server.peer();
    if (speaks === 2) {
      await third.greet(CONFIRMS, OURS);
      await bare.closed;
    }
    const peer = speaks === 2 ? third : bare;
    peer.send({ type: 'continue', stream: (await peer.next('connect')).stream, count: 4 });
    await flow.has('opened');
    assert.equal(guest.line.traits.version, speaks);
    assert.deepEqual(server.offers, ['wisp-v2', '-', 'wisp-v2']);
    assert.deepEqual(guest.states, ['connecting', 'connected']);
    guest.close();
    await peer.closed;
  }
});

test('version 1 without a subprotocol: the next link is made so at once, and looked at again', async (t) => {
  const timers = new FakeTimers();
  let speaks2 = false;
  const server = await scripted(t, (protocols) => speaks2 && [...protocols][0]);
  const guest = guestFor(t, server.url, { timers });
  await server.peer();
  const first = await server.peer();
  first.send({ type: 'continue', stream: 0, count: 4 });
  await server.peer();
  await guest.state('connected');
  first.socket.close();
  await guest.state('waiting');
  // Another server has taken its place.
  speaks2 = true;
  timers.fire(250);
  (await server.peer()).send({ type: 'continue', stream: 0, count: 4 });
  await (await server.peer()).greet();
  await guest.state('connected');
  assert.equal(guest.line.traits.version, 2);
  assert.deepEqual(server.offers.slice(3), ['-', 'wisp-v2']);
});

test('a relay whose link of version 1 ends while it is asked for version 2', async (t) => {
  const server = await scripted(t, () => false);
  const timers = new FakeTimers();
  // The third attempt is held up until the test says so.
  const sockets = [];
  const makeWebSocket = (url, protocols) => {
    const held = { binaryType: '', bufferedAmount: 0, send() {}, close() {} };
    sockets.push(sockets.length < 2 ? new WebSocket(url, protocols) : held);
    return sockets.at(-1);
  };
  const guest = guestFor(t, server.url, { timers, makeWebSocket });
  const flow = guest.open(80);
  await server.peer();
  const bare = await server.peer();
  const isClosed = once(sockets[1], 'close');
  bare.send({ type: 'continue', stream: 0, count: 4 });
  bare.socket.close();
  await isClosed;
  assert.deepEqual(flow.log, []);
  sockets[2].onclose();
  await flow.has('failed unreachable');
  assert.equal(guest.states.at(-1), 'waiting: the relay does not answer, or refuses this address');
});

test('a server that takes connections and says nothing is asked once, and given up', async (t) => {
  const port = await serverFor(t, () => {});
  const timers = new FakeTimers();
  const guest = guestFor(t, `ws://127.0.0.1:${port}/`, { timers });
  const flow = guest.open(80);
  assert.equal(timers.fire(15_000), 1);
  await flow.has('failed unreachable');
  assert.deepEqual(guest.states, ['connecting', 'waiting: the relay does not answer']);
});

test('a server that has spoken version 2 is asked for nothing else', async (t) => {
  const timers = new FakeTimers();
  let isUp = true;
  const server = await scripted(t, (protocols) => isUp && [...protocols][0]);
  const guest = guestFor(t, server.url, { timers });
  const first = await server.peer();
  await first.greet();
  await guest.state('connected');
  isUp = false;
  first.socket.close();
  await guest.state('waiting');
  timers.fire(250);
  await server.peer();
  await guest.state('waiting');
  isUp = true;
  timers.fire(500);
  await (await server.peer()).greet();
  await guest.state('connected');
  assert.deepEqual(server.offers, ['wisp-v2', 'wisp-v2', 'wisp-v2']);
});
