// SPDX-License-Identifier: MIT
// Ports of this computer that lead to the guest (network/published-ports.ts).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { NodeFlows } = await source('network/node-sockets.ts');
const { openNetwork } = await source('network/open-network.ts');
const { Policy } = await source('network/policy.ts');
const { parsePublishedPort, PublishedPorts } = await source('network/published-ports.ts');

const MIB = 1 << 20;

async function start(t, ...ports) {
  const translator = new FakeTranslator();
  const backend = new NodeFlows(translator.events, { policy: new Policy() });
  translator.backend = backend;
  const published = new PublishedPorts();
  t.after(() => {
    published.close();
    translator.ends.clear();
    backend.close();
  });
  const wanted = ports.length > 0 ? ports : [{ address: '127.0.0.1', port: 0, guestPort: 80 }];
  return { translator, published, ports: await published.listen(wanted, (...given) => backend.accept(...given)) };
}

function dial(t, port, host = '127.0.0.1') {
  const socket = connect({ port, host, allowHalfOpen: true });
  t.after(() => socket.destroy());
  return socket;
}

const accept = (end) => end.call(() => end.translator.backend.accepted(end.id));

/** What comes until the far side ends its direction. The socket stays as it is. */
async function all(socket) {
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

test('PORT:GUESTPORT, with an address or without', () => {
  for (const [text, address, port, guestPort] of [
    ['8080:80', '127.0.0.1', 8080, 80],
    ['0.0.0.0:1:65535', '0.0.0.0', 1, 65_535],
    ['[::1]:8080:80', '::1', 8080, 80],
    ['[0:0::0]:8080:80', '::', 8080, 80],
    ['192.168.1.5:22:22', '192.168.1.5', 22, 22],
  ])
    assert.deepEqual(parsePublishedPort(text), { address, port, guestPort });
  for (const [text, message] of [
    ['', /^"" is not \[ADDRESS:\]PORT:GUESTPORT, such as 8080:80$/],
    ['80', /is not \[ADDRESS:\]PORT:GUESTPORT/],
    ['::1:80:80', /is not \[ADDRESS:\]PORT:GUESTPORT/],
    ['[::1]80:80', /is not \[ADDRESS:\]PORT:GUESTPORT/],
    ['1:2:3:4', /is not \[ADDRESS:\]PORT:GUESTPORT/],
    ['localhost:80:80', /needs an address of this computer in front/],
    [':80:80', /needs an address/],
    ['127.1:80:80', /needs an address/],
    ['[127.0.0.1]:80:80', /needs an address/],
    ['[fe80::1%eth0]:80:80', /needs an address/],
    ['0:80', /needs a number from 1 to 65535 as the port of this computer/],
    ['80:0', /as the port of the guest/],
    ['80:65536', /as the port of the guest/],
    ['080:80', /as the port of this computer/],
    ['80:http', /as the port of the guest/],
    ['-1:80', /as the port of this computer/],
    ['80:80/tcp', /as the port of the guest/],
  ])
    assert.throws(() => parsePublishedPort(text), { message }, text);
});

test('a connection: bytes both ways, half close by its maker', async (t) => {
  const { translator, ports } = await start(t);
  const socket = dial(t, ports[0]);
  const sent = Buffer.alloc(5 * MIB, 'published ');
  socket.end(sent);
  const end = await translator.nextIncoming();
  assert.equal(end.port, 80);
  assert.equal(end.room, 65_536);
  for (let index = 0; index < 5; ++index) await turn();
  assert.equal(end.taken, 0, 'nothing comes before a program has accepted');
  accept(end);
  await end.event('finished');
  assert(Buffer.concat(end.received).equals(sent));
  const received = all(socket);
  await end.send(sent);
  end.finish();
  assert((await received).equals(sent));
  end.closed(false);
});

test('half close by the guest', async (t) => {
  const { translator, ports } = await start(t);
  const socket = dial(t, ports[0]);
  const end = await translator.nextIncoming();
  accept(end);
  await end.send(Buffer.from('hello'));
  end.finish();
  assert.equal((await all(socket)).toString(), 'hello');
  socket.end('answer');
  await end.event('finished');
  assert.equal(end.text, 'answer');
  end.closed(false);
});

test('nobody listens in the guest, or there are too many connections', async (t) => {
  const { translator, ports } = await start(t);
  const { budget } = translator.backend.owner;
  const before = { ...budget };
  const refused = dial(t, ports[0]);
  (await translator.nextIncoming()).closed(true);
  assert.equal((await once(refused, 'error'))[0].code, 'ECONNRESET');
  translator.accepts = false;
  const dropped = dial(t, ports[0]);
  assert.equal((await once(dropped, 'error'))[0].code, 'ECONNRESET');
  assert.deepEqual({ ...budget }, before);
});

test('its maker resets it', async (t) => {
  const { translator, ports } = await start(t);
  const socket = dial(t, ports[0]);
  const end = await translator.nextIncoming();
  accept(end);
  socket.write('some');
  await end.until(() => end.text === 'some');
  socket.resetAndDestroy();
  await end.event('aborted');
  assert.deepEqual(end.log, ['aborted']);
});

test('a guest that does not read: the source waits, and nothing is lost', async (t) => {
  const { translator, ports } = await start(t);
  const socket = dial(t, ports[0]);
  const sent = Buffer.alloc(64 * MIB);
  for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE(at, at);
  socket.end(sent);
  const end = await translator.nextIncoming();
  end.window = 100_000;
  accept(end);
  await end.until(() => end.taken === 100_000 && end.refused > 0);
  assert(socket.writableLength > 32 * MIB);
  for (let round = 0; round < 200; ++round) {
    const expected = end.taken + 10_001;
    end.read(10_001);
    await end.until(() => end.taken === expected);
  }
  assert(socket.writableLength > 32 * MIB, 'the source still waits');
  end.read(Infinity);
  await end.event('finished');
  assert(Buffer.concat(end.received).equals(sent));
  end.closed(true);
});

test('100 connections whose guest does not read keep little', async (t) => {
  const { translator, ports } = await start(t);
  const bytes = Buffer.alloc(MIB);
  const before = process.memoryUsage().arrayBuffers;
  const sockets = Array.from({ length: 100 }, () => dial(t, ports[0]).end(bytes));
  const ends = [];
  while (ends.length < sockets.length) {
    const end = await translator.nextIncoming();
    Object.assign(end, { window: 0, keeps: false });
    accept(end);
    ends.push(end);
  }
  await Promise.all(ends.map((end) => end.until(() => end.refused > 0)));
  const kept = process.memoryUsage().arrayBuffers - before;
  assert(kept <= 100 * 80 * 1024 + MIB, `${kept} bytes are kept`);
  for (const end of ends) end.read(Infinity);
  await Promise.all(ends.map((end) => end.event('finished')));
  for (const end of ends) {
    assert.equal(end.taken, MIB);
    end.closed(true);
  }
});

test('numbers are not given twice', async (t) => {
  const { translator, ports } = await start(t);
  const seen = new Set();
  translator.backend.lastId = 2 ** 30 - 3;
  for (let index = 0; index < 6; ++index) {
    dial(t, ports[0]);
    const end = await translator.nextIncoming();
    assert(!seen.has(end.id) && end.id < 2 ** 30);
    seen.add(end.id);
  }
});

test('a port that is taken: an error, and nothing listens', async (t) => {
  const { ports } = await start(t);
  const published = new PublishedPorts();
  const wanted = (port, address = '127.0.0.1') => ({ address, port, guestPort: 80 });
  await assert.rejects(
    published.listen([wanted(0), wanted(ports[0])], () => {}),
    {
      message: `cannot listen at 127.0.0.1:${ports[0]}: another program has it`,
    },
  );
  assert.deepEqual(published.servers, []);
  await assert.rejects(
    published.listen([wanted(1234, '192.0.2.1')], () => {}),
    {
      message: 'cannot listen at 192.0.2.1:1234: this computer does not have the address',
    },
  );
});

test('the network of Node.js as a whole', async (t) => {
  const translator = new FakeTranslator();
  const open = (options) => openNetwork({ type: 'nat', ...options }, translator.events, () => {});
  assert.throws(() => open({ allow: ['10.1.2.3/8'] }), /has bits after the first 8/);
  assert.throws(() => open({ deny: ['*'] }), /is no name/);
  assert.throws(() => open({ publish: ['80'] }), /is not \[ADDRESS:\]PORT:GUESTPORT/);
  // A port that is free now.
  const { published, ports } = await start(t);
  published.close();
  const network = open({ allow: ['host'], publish: [`${ports[0]}:7`] });
  translator.backend = network.flows;
  await network.ready;
  assert.equal(typeof network.reachesIpv6, 'boolean');
  // The guest calls itself, by this computer.
  const end = translator.open('10.0.2.2', ports[0]);
  const other = await translator.nextIncoming();
  assert.equal(other.port, 7);
  accept(other);
  await end.event('opened');
  await end.send(Buffer.from('round'));
  await other.until(() => other.text === 'round');
  assert.deepEqual((await network.names.resolve('localhost', false)).addresses, ['127.0.0.1']);
  translator.ends.clear();
  network.close();
  const late = dial(t, ports[0]);
  assert.equal((await once(late, 'error'))[0].code, 'ECONNREFUSED');
});
