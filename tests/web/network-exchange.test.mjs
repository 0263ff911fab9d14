// SPDX-License-Identifier: MIT
// Exchanging the backend of a network (network/exchangeable-network.ts), with real sockets, relays and names.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { relayFor, urlOf } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { ExchangeableNetwork } = await source('network/exchangeable-network.ts');
const GATEWAY = '10.0.2.2';
const NAT = { type: 'nat', allow: ['host'] };

/** A server that sends what it gets. */
async function serve(t) {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

/** A network with a guest. `states` has what is reported; until() waits for one. */
function start(t, options) {
  const guest = new FakeTranslator();
  const states = [];
  let wake = () => {};
  const network = new ExchangeableNetwork(options, guest.events, (state, text) => {
    states.push(text === '' ? state : `${state}: ${text}`);
    wake();
  });
  guest.backend = network;
  t.after(() => network.close());
  const until = async (state) => {
    while (!states.some((each) => each.startsWith(state))) await new Promise((resolve) => (wake = resolve));
  };
  return { guest, network, states, until };
}

/** A flow that echoes. */
async function echoes(guest, port) {
  const end = guest.open(GATEWAY, port);
  await end.event('opened');
  await end.send(Buffer.from('hello'));
  await end.until(() => end.text === 'hello');
  return end;
}

test('flows end with their backend, and new ones are of the next', async (t) => {
  const port = await serve(t);
  const { guest, network, states, until } = start(t, NAT);
  const first = await echoes(guest, port);
  const datagrams = guest.open(GATEWAY, port, 'datagrams');
  await datagrams.event('opened');
  const opening = guest.open(GATEWAY, port);
  const asked = network.names.resolve('auklet.invalid', false).catch((error) => error);

  network.exchange({ type: 'local' });
  assert.deepEqual(first.log.slice(-1), ['aborted']);
  assert.deepEqual(datagrams.log.slice(-1), ['failed unreachable']);
  assert.deepEqual(opening.log, ['failed unreachable']);
  await asked;
  const nowhere = guest.open(GATEWAY, port);
  await nowhere.event('failed unreachable');
  await assert.rejects(network.names.resolve('auklet.invalid', false), /there is no network/);
  assert.deepEqual(states, ['connected', 'off']);

  const relay = await relayFor(t);
  network.exchange({ type: 'wisp', url: urlOf(relay) });
  await until('connecting');
  const second = await echoes(guest, port);
  assert.deepEqual(states, ['connected', 'off', 'connecting', 'connected']);
  // A flow that is over is not told so again.
  second.closed(false);
  network.exchange(NAT);
  await echoes(guest, port);
  assert.deepEqual(states.slice(4), ['connected']);
});

test('options that are wrong, and a port that is in use', async (t) => {
  const port = await serve(t);
  const { guest, network, states, until } = start(t, NAT);
  await echoes(guest, port);
  network.exchange({ type: 'wisp', url: 'https://example.org/' });
  assert.equal(states.at(-1), 'refused: the address of a relay begins with ws:// or wss://, not https:');
  await guest.open(GATEWAY, port).event('failed unreachable');
  states.length = 0;
  network.exchange({ ...NAT, publish: [`${port}:80`] });
  await until('refused');
  assert.match(states.at(-1), new RegExp(`^refused: cannot listen at .*${port}`));
  await guest.open(GATEWAY, port).event('failed unreachable');
});

test('a relay that is away, and one that comes', async (t) => {
  const relay = await relayFor(t);
  const port = await serve(t);
  const { guest, network, until, states } = start(t, { type: 'wisp', url: urlOf(relay) });
  const end = await echoes(guest, port);
  await relay.close();
  await end.event('aborted');
  await until('away: the connection to the relay has ended');
  const other = await relayFor(t);
  network.exchange({ type: 'wisp', url: urlOf(other) });
  states.length = 0;
  await until('connected');
  await echoes(guest, port);
});
