// SPDX-License-Identifier: MIT
// The room that flows of Wisp tell guests of, when the WebSocket does not send.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { FakeTimers, guestFor, scripted } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { REASON } = await source('network/wisp-packets.ts');

test('many flows use their room while nothing goes out: they wait, and the relay is not given up', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  let isStuck = false;
  const stuck = [];
  const makeWebSocket = (url, protocols) => {
    const socket = new WebSocket(url, protocols);
    const amount = () => stuck.reduce((sum, { length }) => sum + length, 0);
    Object.defineProperty(socket, 'bufferedAmount', { get: amount });
    const send = socket.send.bind(socket);
    socket.send = (bytes) => (isStuck ? stuck.push(bytes) : send(bytes));
    return socket;
  };
  const guest = guestFor(t, server.url, { timers, makeWebSocket });
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 64 });
  await guest.state('connected');
  const flows = [];
  // The first ones are told of more room than the last ones.
  while (flows.length < 250) {
    flows.push(guest.open(80));
    await peer.next('connect');
    timers.fire(300);
  }
  isStuck = true;
  let sent = 0;
  for (const flow of flows) {
    sent += flow.room;
    flow.room = guest.backend.send(flow.id, Buffer.alloc(flow.room));
  }
  await turn();
  assert.deepEqual(guest.states, ['connecting', 'connected']);
  // All of it comes in the end, and there is room again.
  for (let rounds = 0; flows.some(({ room }) => room === 0); ++rounds) {
    assert.ok(rounds < 100);
    stuck.splice(0).forEach(({ length }) => (sent -= length - 5));
    timers.fire(4);
  }
  stuck.splice(0).forEach(({ length }) => (sent -= length - 5));
  assert.equal(sent, 0);
  assert.equal(guest.line.held, 0);
});

test('a guest that has gone waits five minutes for a server that takes nothing', async (t) => {
  const timers = new FakeTimers();
  const server = await scripted(t);
  const guest = guestFor(t, server.url, { timers });
  const peer = await server.peer();
  peer.send({ type: 'continue', stream: 0, count: 1 });
  await guest.state('connected');
  const flow = guest.open(80);
  await peer.next('connect');
  timers.fire(300);
  for (let count = 0; count < 3; ++count) guest.backend.send(flow.id, Buffer.alloc(10));
  await peer.next('data');
  flow.finish();
  flow.close();
  assert.equal(timers.fire(300_000), 1);
  assert.equal((await peer.next('close')).reason, REASON.client);
  assert.equal(guest.line.held, 0);
  assert.equal(guest.line.streams.size, 0);
});
