// SPDX-License-Identifier: MIT
// Datagrams of guests as sockets of Node.js (network/node-datagrams.ts), against sockets on the loopback device.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { NodeFlows } = await source('network/node-sockets.ts');
const { Policy, parseRules } = await source('network/policy.ts');

const GATEWAY = '10.0.2.2';

function start(options = {}) {
  const translator = new FakeTranslator();
  const policy = new Policy(parseRules(options.allow ?? ['host']), []);
  translator.backend = new NodeFlows(translator.events, { policy, ...options });
  return translator;
}

async function bind(t, type = 'udp4', address = '127.0.0.1') {
  const socket = createSocket(type);
  socket.bind(0, address);
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket;
}

async function echo(t, ...where) {
  const socket = await bind(t, ...where);
  socket.on('message', (message, { port, address }) => socket.send(message, port, address));
  return socket;
}

const send = (end, text) => end.call(() => end.translator.backend.send(end.id, Buffer.from(text)));

test('the first datagrams come before the socket is there, and others after', async (t) => {
  const server = await echo(t);
  const end = start().open(GATEWAY, server.address().port, 'datagrams');
  send(end, 'one');
  send(end, 'two');
  await end.event('opened');
  send(end, 'three');
  send(end, '');
  send(end, 'five');
  await end.until(() => end.text.includes('five'));
  assert.equal(end.text, 'onetwothreefive');
  const longest = Buffer.alloc(65_507, 7);
  assert(end.call(() => end.translator.backend.send(end.id, longest)) >= 0);
  await end.until(() => end.received.at(-1).length === longest.length);
  end.closed(false);
  assert.deepEqual(end.log, ['opened', 'closed']);
});

test('by IPv6', async (t) => {
  const server = await echo(t, 'udp6', '::1').catch(() => t.skip('there is no IPv6 here'));
  if (server === undefined) return;
  const end = start().open('fd00::2', server.address().port, 'datagrams');
  send(end, 'six');
  await end.until(() => end.text === 'six');
  end.closed(false);
});

test('by name', async (t) => {
  const server = await echo(t);
  const translator = start({ lookup: async () => ['127.0.0.1', GATEWAY] });
  const end = translator.open('name.example', server.address().port, 'datagrams');
  send(end, 'kept');
  await end.until(() => end.text === 'kept');
  end.closed(false);
});

test('a port without anybody: now, and after it was there', async () => {
  const gone = createSocket('udp4');
  gone.bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  const translator = start();
  const end = translator.open(GATEWAY, port, 'datagrams');
  send(end, 'hello');
  const [, { port: guest }] = await once(gone, 'message');
  gone.send('answer', guest, '127.0.0.1');
  await end.until(() => end.text === 'answer');
  gone.close();
  await once(gone, 'close');
  send(end, 'still there?');
  await end.event('failed refused');
  const late = translator.open(GATEWAY, port, 'datagrams');
  send(late, 'anybody?');
  await late.event('failed refused');
  assert.deepEqual(late.log, ['opened', 'failed refused']);
  const { budget } = translator.backend.owner;
  assert.deepEqual([budget.datagramFlows, budget.datagrams], [0, 0]);
});

test('datagrams of others do not come in', async (t) => {
  const server = await bind(t);
  const end = start().open(GATEWAY, server.address().port, 'datagrams');
  send(end, 'hello');
  const [, { port }] = await once(server, 'message');
  const other = await bind(t);
  await new Promise((resolve) => other.send('forged', port, '127.0.0.1', resolve));
  server.send('answer', port, '127.0.0.1');
  await end.until(() => end.received.length > 0);
  assert.equal(end.text, 'answer');
  end.closed(false);
});

test('what the policy forbids', async () => {
  for (const [address, options] of [
    [GATEWAY, { allow: [] }],
    ['127.0.0.1', {}],
    ['255.255.255.255', {}],
    ['224.0.0.251', {}],
    ['ff02::fb', {}],
    ['10.0.2.3', {}],
  ]) {
    const end = start(options).open(address, 53, 'datagrams');
    send(end, 'out');
    await end.event('failed prohibited');
  }
});

test('512 flows, and what is lost before a socket is there is given back', async (t) => {
  const server = await echo(t);
  const translator = start();
  const { budget } = translator.backend.owner;
  const { port } = server.address();
  const ends = Array.from({ length: 512 }, () => translator.open(GATEWAY, port, 'datagrams'));
  const tooMany = translator.open(GATEWAY, port, 'datagrams');
  for (const end of ends) {
    // More than is kept: some are lost, and the number has no room.
    for (let index = 0; index < 40; ++index) end.call(() => translator.backend.send(end.id, Buffer.alloc(60_000)));
  }
  assert(budget.datagrams <= 4 << 20, `${budget.datagrams} bytes`);
  for (const end of ends) end.closed(false);
  assert.deepEqual([budget.datagramFlows, budget.datagrams], [0, 0]);
  await tooMany.event('failed unreachable');
  const next = translator.open(GATEWAY, port, 'datagrams');
  send(next, 'fine');
  await next.until(() => next.text === 'fine');
  next.closed(false);
});

test('a datagram that is too long for the way is lost, and no more', async (t) => {
  const server = await echo(t);
  const end = start().open(GATEWAY, server.address().port, 'datagrams');
  await end.event('opened');
  end.call(() => end.translator.backend.send(end.id, Buffer.alloc(65_527)));
  send(end, 'short');
  await end.until(() => end.text === 'short');
  end.closed(false);
});
