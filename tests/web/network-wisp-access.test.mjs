// SPDX-License-Identifier: MIT
// Who may use a relay (relay/), for what, how much, and for how long.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { datagramsFor, echo, FakeTimers, guestFor, relayFor, serverFor, TOKEN, urlOf } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { encode } = await source('network/wisp-packets.ts');
const { ownAddresses } = await source('network/node-sockets.ts');
const { Policy } = await source('network/policy.ts');
const { startRelay } = await source('relay/relay.ts');
const { Destinations, NoWay } = await source('relay/destination.ts');

/** A WebSocket of a page of that origin. */
const pageOf = (origin) => ({
  makeWebSocket: (url, protocols) => new WebSocket(url, { protocols, headers: { origin } }),
});
/** Something there and back, which shows that what was sent before has arrived. */
async function roundTrip(flow, length = 1) {
  await flow.has('opened');
  await flow.send(Buffer.alloc(length, 5));
  await flow.until(() => flow.bytes === length);
}

const nowhere = { timers: new FakeTimers() };

test('a wrong token', async (t) => {
  const relay = await relayFor(t);
  const right = urlOf(relay);
  for (const url of [
    right.replace(TOKEN, 'wrong'),
    right.replace(`${TOKEN}/`, ''),
    right.replace(`${TOKEN}/`, `${TOKEN}/x/`),
    right.replace(TOKEN, `${TOKEN}x`),
  ]) {
    const guest = guestFor(t, url, nowhere);
    const flow = guest.open(80);
    await flow.has('failed unreachable');
    assert.match(guest.states.at(-1), /^waiting: the relay does not answer, or refuses this address$/);
  }
  assert.match(relay.metrics(), /refused_total\{reason="token"\} 8\n/);
  await assert.rejects(startRelay({ token: 'a/b', filter: { allows: () => true } }), RangeError);
});

test('origins: pages of this computer, or those of the list', async (t) => {
  const relay = await relayFor(t);
  const listed = await relayFor(t, { origins: ['https://example.org'] });
  const all = await relayFor(t, { origins: ['*'] });
  const port = await serverFor(t, echo);
  const cases = [
    [relay, 'http://localhost:8000', true],
    [relay, 'https://8080.localhost', true],
    [relay, 'http://127.0.0.1:8000', true],
    [relay, 'http://[::1]', true],
    [relay, 'https://example.org', false],
    [relay, 'http://localhost.example.org', false],
    [relay, 'http://notlocalhost', false],
    [relay, 'null', false],
    [listed, 'https://example.org', true],
    [listed, 'https://example.org:444', false],
    [listed, 'http://localhost', false],
    [all, 'https://anybody.example', true],
  ];
  for (const [which, origin, allowed] of cases) {
    const guest = guestFor(t, urlOf(which), { ...nowhere, ...pageOf(origin) });
    const flow = guest.open(port);
    await flow.has(allowed ? 'opened' : 'failed unreachable');
  }
});

test('the filter sees resolved addresses, and the relay connects to those', async (t) => {
  const asked = [];
  const filter = {
    allows(address, port, name) {
      asked.push(`${address} ${name ?? '-'}`);
      return ['127.0.0.1', '127.0.0.3'].includes(address);
    },
  };
  let changes = 0;
  const names = {
    'good.example': ['127.0.0.1'],
    'bad.example': ['127.0.0.2', '::1'],
    'mixed.example': ['127.0.0.2', '127.0.0.1'],
    // Nobody listens at the first one.
    'both.example': ['127.0.0.3', '127.0.0.1'],
    'mapped.example': ['::ffff:127.0.0.2'],
    'gateway.example': ['10.0.2.2'],
    127.2: ['127.0.0.2'],
  };
  const lookup = (name, _options, done) => {
    ++changes;
    const found = names[name];
    if (found === undefined) done(Object.assign(new Error('none'), { code: 'ENOTFOUND' }));
    else
      done(
        null,
        found.map((address) => ({ address, family: 4 })),
      );
  };
  const relay = await relayFor(t, { filter, lookup });
  const port = await serverFor(t, echo);
  const guest = guestFor(t, urlOf(relay));
  const attempt = async (address) => {
    asked.length = 0;
    const flow = guest.open(port, { address });
    await flow.until(() => flow.log.length > 0);
    flow.close();
    return [flow.log[0].replace(/ \d+/, ''), ...asked].join(', ');
  };
  const results = {
    '127.0.0.1': 'opened, 127.0.0.1 -',
    '::ffff:127.0.0.1': 'opened, 127.0.0.1 -',
    '127.0.0.2': 'failed prohibited, 127.0.0.2 -',
    '::ffff:127.0.0.2': 'failed prohibited, 127.0.0.2 -',
    '0:0:0:0:0:FFFF:7f00:2': 'failed prohibited, 127.0.0.2 -',
    '0000::0001': 'failed prohibited, ::1 -',
    127.2: 'failed prohibited, 127.0.0.2 127.2',
    'good.example': 'opened, 127.0.0.1 good.example',
    'bad.example': 'failed prohibited, 127.0.0.2 bad.example, ::1 bad.example',
    'mixed.example': 'opened, 127.0.0.2 mixed.example, 127.0.0.1 mixed.example',
    'both.example': 'opened, 127.0.0.3 both.example, 127.0.0.1 both.example',
    'mapped.example': 'failed prohibited, 127.0.0.2 mapped.example',
    'gateway.example': 'failed prohibited',
    'none.example': 'failed unreachable',
    '[::1]': 'failed unreachable',
    'a..b$': 'failed unreachable',
  };
  for (const [address, result] of Object.entries(results)) assert.equal(await attempt(address), result, address);
  assert.equal(changes, 8);
  // What both sides say goes through, whichever address it was.
  const flow = guest.open(port, { address: 'both.example' });
  await roundTrip(flow, 300_000);
});

test('every spelling of this computer and of private networks is refused', async () => {
  const guarded = new Destinations(new Policy([], [], ownAddresses()), undefined);
  const own = Object.values(networkInterfaces())
    .flat()
    .map(({ address }) => address);
  for (const host of [
    ...own,
    ...['localhost', 'LocalHost.', 'localhost.localdomain', '127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1'],
    ...[
      '0177.0.0.1',
      '127.0.0.1.',
      '017700000001',
      '１２７.0.0.1',
      '①②⑦.0.0.1',
      '127。0。0。1',
      '0',
      '0.0.0.0',
      '::',
      '::1',
    ],
    ...['0:0::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::ffff:0:127.0.0.1', '64:ff9b::7f00:1'],
    ...['2002:7f00:1::', '2001:0:7f00:1::', '[::1]', '::1%lo', 'fe80::1%eth0', 'fe80::1', 'fd00::2', 'fc00::1'],
    ...['169.254.169.254', '2852039166', '0xa9fea9fe', '10.0.0.1', '10.1', '172.16.0.1', '192.168.0.1', '3232235521'],
    ...['100.64.0.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', 'ff02::1', '10.0.2.2', '10.0.2.3', hostname()],
  ])
    await assert.rejects(guarded.find(host, 80), NoWay, host);
});

test('the gateway is the computer of the relay, and the resolver is that of the relay', async (t) => {
  const allowed = new Set();
  const filter = { allows: (address) => allowed.has(address) };
  const resolver = { address: '127.0.0.1', port: await datagramsFor(t, (bytes) => bytes) };
  const guest = guestFor(t, urlOf(await relayFor(t, { filter, resolver })));
  const port = await serverFor(t, echo);
  await guest.open(port, { address: '10.0.2.2' }).has('failed prohibited');
  allowed.add('10.0.2.2');
  await guest.open(port, { address: '10.0.2.2' }).has('opened');
  await guest.open(54, { address: '10.0.2.3', kind: 'datagrams' }).has('failed prohibited');
  const question = guest.open(53, { address: '10.0.2.3', kind: 'datagrams' });
  guest.backend.send(question.id, Buffer.from('a question'));
  await question.until(() => question.text === 'a question');
  const way = await new Destinations(filter, resolver).find('fd00:0::3', 53);
  assert.deepEqual(way, { addresses: [{ address: '127.0.0.1', family: 4 }], port: resolver.port });
});

test('passwords', async (t) => {
  const relay = await relayFor(t, { passwords: new Map([['anna', 'secret']]) });
  const port = await serverFor(t, echo);
  const refused = async (options, text) => {
    const guest = guestFor(t, urlOf(relay), options);
    const flow = guest.open(port);
    await flow.has('failed prohibited');
    assert.equal(guest.states.at(-1), `refused: the relay does not want us: ${text}`);
    // It stays so.
    await guest.open(port).has('failed prohibited');
  };
  await refused({ credentials: { name: 'anna', password: 'wrong' } }, 'the name or the password is wrong');
  await refused({ credentials: { name: 'bert', password: '' } }, 'the name or the password is wrong');
  await refused({}, 'it wants a name and a password');
  await refused({ makeWebSocket: (url) => new WebSocket(url) }, 'it wants a name and a password');
  const guest = guestFor(t, urlOf(relay), { credentials: { name: 'anna', password: 'secret' } });
  await guest.open(port).has('opened');
});

test('limits: clients, streams, bytes', async (t) => {
  const relay = await relayFor(t, { limits: { clients: 2, streams: 3, clientBytes: 100_000 } });
  const port = await serverFor(t, echo);
  const first = guestFor(t, urlOf(relay), nowhere);
  const flows = Array.from({ length: 3 }, () => first.open(port));
  for (const flow of flows) await flow.has('opened');
  await first.open(port).has('failed unreachable');
  flows[0].close();
  await first.open(port).has('opened');
  const second = guestFor(t, urlOf(relay), nowhere);
  const flow = second.open(port);
  await flow.has('opened');
  const third = guestFor(t, urlOf(relay), nowhere);
  await third.open(port).has('failed unreachable');
  assert.match(relay.metrics(), /refused_total\{reason="clients"\} 2\n/);
  // The one has used up what it may, and the other has not.
  await flow.send(Buffer.alloc(200_000));
  await flow.has('aborted');
  await second.open(port).has('failed unreachable');
  await flows[1].send(Buffer.alloc(100));
  await flows[1].until(() => flows[1].bytes === 100);
});

test('limits: connections that still send after their stream has ended', async (t) => {
  const relay = await relayFor(t, { limits: { streams: 2 } });
  const ends = [];
  const waiting = [];
  const port = await serverFor(t, (socket) => {
    const end = (how) => {
      ends.push(how);
      waiting.shift()?.();
    };
    // One that never ends its own direction.
    socket.on('data', () => {});
    socket.on('end', () => end('end'));
    socket.on('error', ({ code }) => end(code));
  });
  const guest = guestFor(t, urlOf(relay));
  for (let count = 0; count < 4; ++count) {
    const flow = guest.open(port);
    await flow.has('opened');
    const next = new Promise((resolve) => waiting.push(resolve));
    flow.close();
    await next;
  }
  assert.deepEqual(ends, ['end', 'end', 'ECONNRESET', 'ECONNRESET']);
});

test('idle streams and clients that are gone', async (t) => {
  const timers = new FakeTimers();
  const relay = await relayFor(t, { timers, limits: { idleSeconds: 60, datagramSeconds: 30 } });
  const guest = guestFor(t, urlOf(relay));
  const stream = guest.open(await serverFor(t, echo));
  const datagrams = guest.open(await datagramsFor(t, (bytes) => bytes), { kind: 'datagrams' });
  await stream.has('opened');
  guest.backend.send(datagrams.id, Buffer.from('x'));
  await datagrams.until(() => datagrams.bytes === 1);
  const round = async () => {
    assert.equal(timers.fire(15_000), 1);
  };
  await round();
  await round();
  await round();
  await datagrams.has('aborted');
  await stream.send(Buffer.from('y'));
  await stream.until(() => stream.bytes === 1);
  for (let count = 0; count < 5; ++count) await round();
  await stream.has('aborted');
});

test('a client that goes on after all limits is cut off', async (t) => {
  const relay = await relayFor(t);
  const port = await serverFor(t, (socket) => socket.pause());
  const socket = new WebSocket(urlOf(relay));
  socket.binaryType = 'arraybuffer';
  await once(socket, 'message');
  const closes = [];
  const got = new Promise((resolve) =>
    socket.addEventListener('message', ({ data }) => {
      const bytes = new Uint8Array(data);
      if (bytes[0] === 4) closes.push(bytes[5]);
      if (bytes[0] === 4) resolve();
    }),
  );
  socket.send(encode({ type: 'connect', stream: 1, kind: 'stream', port, host: '127.0.0.1' }));
  // It has credit for 64.
  const bytes = Buffer.alloc(1024 * 1024);
  for (let count = 0; count < 100; ++count) socket.send(encode({ type: 'data', stream: 1, bytes }));
  await got;
  assert.deepEqual(closes, [0x49]);
  // What is no Wisp ends it all.
  const closed = once(socket, 'close');
  socket.send('hello');
  await closed;
});

test('each lie of a client ends the client, and nobody else', async (t) => {
  const relay = await relayFor(t);
  const port = await serverFor(t, echo);
  const guest = guestFor(t, urlOf(relay));
  const flow = guest.open(port);
  await flow.has('opened');
  const host = '127.0.0.1';
  const opening = encode({ type: 'connect', stream: 1, kind: 'stream', port, host });
  const lies = [
    [Uint8Array.of(1)],
    [Uint8Array.of(9, 1, 0, 0, 0)],
    [opening, opening],
    [encode({ type: 'connect', stream: 2 ** 31, kind: 'stream', port, host })],
    [encode({ type: 'info', major: 2, minor: 0, extensions: new Map() })],
    [encode({ type: 'accept', stream: 2 ** 31, listener: 1, port, host })],
    // Of the extension, which version 1 has not.
    [encode({ type: 'listen', stream: 1, port: 0 })],
    [opening, encode({ type: 'finish', stream: 1 })],
  ];
  for (const lie of lies) {
    const socket = new WebSocket(urlOf(relay));
    const closed = once(socket, 'close');
    await once(socket, 'message');
    for (const bytes of lie) socket.send(bytes);
    await closed;
  }
  // A message of more than a MiB is not even read.
  const socket = new WebSocket(urlOf(relay));
  const closed = once(socket, 'close');
  await once(socket, 'message');
  socket.send(new Uint8Array(2 * 1024 * 1024));
  await closed;
  await flow.send(Buffer.from('still here'));
  await flow.until(() => flow.text === 'still here');
});

test('a port of the relay for a server in the guest', async (t) => {
  const relay = await relayFor(t, {
    ports: { host: '127.0.0.1', least: 20_000, most: 40_000 },
    limits: { listeners: 2 },
  });
  const guest = guestFor(t, urlOf(relay));
  const port = await guest.backend.publish(0, 80);
  assert.ok(port >= 20_000 && port <= 40_000);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const sent = Buffer.alloc(3_000_000, 7);
  socket.end(sent);
  const flow = await guest.nextIncoming();
  assert.equal(flow.port, 80);
  // Nothing comes before a program has accepted it, not even the end.
  await roundTrip(guest.open(await serverFor(t, echo)));
  assert.deepEqual(flow.log, []);
  flow.accept();
  await flow.has('finished');
  assert.equal(Buffer.compare(Buffer.concat(flow.received), sent), 0);
  await flow.send(Buffer.from('the answer'));
  flow.finish();
  assert.equal((await once(socket, 'data')).toString(), 'the answer');
  await once(socket, 'close');
  flow.close();
  // A second one of the same port, one that is not allowed, one too many.
  const publish = (wanted) => guest.backend.publish(wanted, 80);
  await assert.rejects(publish(port), /does not listen \(reason 68\)/);
  await assert.rejects(publish(80), /does not listen \(reason 72\)/);
  const other = await guest.line.listen(0, () => {});
  await assert.rejects(publish(0), /does not listen \(reason 73\)/);
  await assert.rejects(publish(1.5), RangeError);
  // Closed: it is free for another, and then nobody is there.
  other.close();
  const again = await guest.line.listen(other.port, () => {});
  again.close();
  await assert.rejects(publish(80), /does not listen/);
  await assert.rejects(once(connect(other.port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
  const none = guestFor(t, urlOf(await relayFor(t)));
  await assert.rejects(none.backend.publish(0, 80), /this relay does not listen for others/);
});

test('a connection to a port that is reset, from either side, or that nobody takes', async (t) => {
  const first = await relayFor(t, { ports: { host: '127.0.0.1', least: 20_000, most: 40_000 } });
  const timers = new FakeTimers();
  const guest = guestFor(t, urlOf(first), { timers });
  const port = await guest.backend.publish(0, 80);
  const dial = () => connect(port, '127.0.0.1').on('error', () => {});
  const isReset = async (socket) => assert.equal((await once(socket, 'error'))[0].code, 'ECONNRESET');
  const from = dial();
  const taken = await guest.nextIncoming();
  taken.accept();
  from.resetAndDestroy();
  await taken.has('aborted');
  const impatient = dial();
  const waiting = await guest.nextIncoming();
  impatient.resetAndDestroy();
  await waiting.has('aborted');
  const to = dial();
  (await guest.nextIncoming()).close(true);
  await isReset(to);
  guest.refuses = true;
  await isReset(dial());
  guest.refuses = false;
  // The relay goes, and comes back: so does the port.
  const last = dial();
  const lost = await guest.nextIncoming();
  await first.close();
  await lost.has('aborted');
  last.destroy();
  await relayFor(t, { port: first.address.port, ports: { host: '127.0.0.1', least: port, most: port } });
  await guest.state('waiting');
  timers.fire(250);
  await guest.state('connected');
  await roundTrip(guest.open(await serverFor(t, echo)));
  dial();
  assert.equal((await guest.nextIncoming()).port, 80);
});

test('beside a page, on its server', async (t) => {
  const server = createServer((_request, response) => response.end('the page'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const relay = await startRelay({ token: TOKEN, filter: { allows: () => true }, server });
  const guest = guestFor(t, urlOf(relay), pageOf(`http://127.0.0.1:${relay.address.port}`));
  await guest.open(await serverFor(t, echo)).has('opened');
  const page = await fetch(`http://127.0.0.1:${relay.address.port}/`);
  assert.equal(await page.text(), 'the page');
  await relay.close();
  await guest.state('waiting');
  assert.equal(await (await fetch(`http://127.0.0.1:${relay.address.port}/`)).text(), 'the page');
});
