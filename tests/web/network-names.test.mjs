// SPDX-License-Identifier: MIT
// Names as Node.js knows them (network/node-names.ts), with resolvers on the loopback device, and the guest's connection to
// its resolver (network/resolver-stream.ts).

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { NodeNames } = await source('network/node-names.ts');
const { NodeFlows } = await source('network/node-sockets.ts');
const { Policy, parseRules } = await source('network/policy.ts');

const MX = 15;
const TRUNCATED = 2;

function question(name, { id = 0x1234, type = MX, flags = 0x0100, count = 1, options = Buffer.alloc(0) } = {}) {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(count, 4);
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, type, 0, 1), options]);
}

/** An answer: the question, with a text behind. */
function answer(asked, text = 'answer', { flags = 0x8180, id = asked.readUInt16BE(0) } = {}) {
  const message = Buffer.concat([asked, Buffer.from(text)]);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(flags, 2);
  return message;
}

/** A resolver: `udp(message, reply)`, and `tcp(message, socket)`, at the same port. */
async function resolver(t, udp, tcp = (_, socket) => socket.destroy()) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) tcp(received.subarray(2), socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const socket = createSocket('udp4', (message, { port: from, address }) =>
    udp(message, (reply) => socket.send(reply, from, address)),
  );
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => {
    socket.close();
    server.close();
  });
  return `127.0.0.1:${port}`;
}

function names(t, { servers = [], deny = [], ...options } = {}) {
  const result = new NodeNames({
    policy: new Policy([], parseRules(deny)),
    servers: () => servers,
    lookup: () => Promise.reject(new Error('not asked for')),
    ...options,
  });
  t.after(() => result.close());
  return result;
}

const notFound = () => Promise.reject(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }));

test('addresses of both versions, by one lookup', async (t) => {
  let count = 0;
  const some = names(t, {
    lookup: async (name) => {
      count += 1;
      assert.equal(name, 'both.example');
      return ['192.0.2.1', '2001:0db8::1', '::ffff:192.0.2.2', 'fe80::1%eth0', 'nonsense', '192.0.2.3'];
    },
  });
  const both = await Promise.all([some.resolve('both.example', false), some.resolve('both.example', true)]);
  assert.deepEqual(
    both.map(({ addresses }) => addresses),
    [['192.0.2.1', '192.0.2.2', '192.0.2.3'], ['2001:db8::1']],
  );
  assert(both[0].seconds > 0);
  assert.equal(count, 1);
  assert.deepEqual(some.namesOf('2001:db8::1'), ['both.example']);
  assert.deepEqual(some.namesOf('192.0.2.9'), []);
});

test('a name without addresses of a version is not an unknown name', async (t) => {
  const some = names(t, { lookup: async () => ['192.0.2.1'] });
  assert.deepEqual((await some.resolve('old.example', true)).addresses, []);
  const none = names(t, { lookup: notFound });
  assert.equal(await none.resolve('unknown.example', false), undefined);
  await assert.rejects(names(t).resolve('broken.example', false), /not asked for/);
});

test('the system itself knows this computer', async (t) => {
  const { addresses } = await names(t, { lookup: undefined }).resolve('localhost', false);
  assert.deepEqual(addresses, ['127.0.0.1']);
});

test('a denied name has no addresses', async (t) => {
  const some = names(t, { deny: ['*.ads.example', 'half.example:80'], lookup: async () => ['192.0.2.1'] });
  assert.equal(await some.resolve('x.ADS.example', false), undefined);
  assert.equal((await some.resolve('half.example', false)).addresses.length, 1);
  const message = await some.ask(question('x.ads.example'));
  assert.equal(message.length, question('x.ads.example').length);
  assert.equal(message[3] & 15, 3, 'no such name');
});

test('a name is forgotten when there are too many others, and the last names of an address are kept', async (t) => {
  const some = names(t, { lookup: async (name) => [name.startsWith('same') ? '192.0.2.1' : `10.${name}`] });
  for (let index = 0; index < 12; ++index) await some.resolve(`same${index}.example`, false);
  assert.deepEqual(
    some.namesOf('192.0.2.1'),
    [4, 5, 6, 7, 8, 9, 10, 11].map((index) => `same${index}.example`),
  );
  for (let index = 0; index < 4096; ++index) await some.resolve(`1.${index >> 8}.${index & 255}`, false);
  assert.deepEqual(some.namesOf('192.0.2.1'), []);
  assert.deepEqual(some.namesOf('10.1.15.255'), ['1.15.255']);
});

test('64 questions at a time, and lookups that never end count', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let ended;
  const never = new Promise((resolve) => (ended = resolve));
  const some = names(t, { lookup: () => never });
  const open = Array.from({ length: 64 }, (_, index) => some.resolve(`n${index}.example`, false));
  await assert.rejects(some.resolve('one.more.example', false), /too many questions/);
  await assert.rejects(some.ask(question('one.more.example')), /too many questions/);
  const same = some.resolve('n0.example', true);
  await turn();
  t.mock.timers.tick(10_000);
  const results = await Promise.allSettled([...open, same]);
  assert(results.every(({ reason }) => /no answer/.test(reason?.message)));
  await assert.rejects(some.resolve('one.more.example', false), /too many questions/);
  ended(['192.0.2.1']);
  await turn();
  assert.deepEqual((await some.resolve('one.more.example', false)).addresses, ['192.0.2.1']);
});

test('other questions go to the resolver, with another number', async (t) => {
  const asked = [];
  const server = await resolver(t, (message, reply) => {
    asked.push(message.readUInt16BE(0));
    reply(answer(message));
  });
  const some = names(t, { servers: [server] });
  for (let index = 0; index < 4; ++index) {
    const got = Buffer.from(await some.ask(question('Mixed.example')));
    assert.deepEqual(got, answer(question('Mixed.example')));
  }
  assert(new Set(asked).size > 1, 'nobody can guess the number');
});

test('a resolver that answers in other letters, and liars before it', async (t) => {
  const server = await resolver(t, (message, reply) => {
    reply(answer(message, 'lie', { id: message.readUInt16BE(0) ^ 1 }));
    reply(answer(question('other.example', { id: message.readUInt16BE(0) }), 'lie'));
    reply(answer(question('name.example', { id: message.readUInt16BE(0), type: 16 }), 'lie'));
    reply(message);
    reply(Buffer.alloc(0));
    reply(answer(message, 'lie').subarray(0, message.length - 1));
    reply(answer(question('NAME.Example', { id: message.readUInt16BE(0) }), 'truth'));
  });
  const got = Buffer.from(await names(t, { servers: [server] }).ask(question('name.example')));
  assert.match(got.toString('latin1'), /truth$/);
  assert.equal(got.readUInt16BE(0), 0x1234);
});

test('what is too long for a datagram comes by TCP', async (t) => {
  const long = 'x'.repeat(60_000);
  const server = await resolver(
    t,
    (message, reply) => reply(answer(message, '', { flags: 0x8180 | (TRUNCATED << 8) })),
    (message, socket) => {
      const reply = answer(message, long);
      const framed = Buffer.concat([Buffer.of(reply.length >> 8, reply.length & 255), reply]);
      // In pieces, the first of which is half of the length.
      socket.write(framed.subarray(0, 1));
      setImmediate(() => socket.write(framed.subarray(1)));
    },
  );
  const got = await names(t, { servers: [server] }).ask(question('long.example'));
  assert.deepEqual(Buffer.from(got), answer(question('long.example'), long));
});

test('a resolver whose TCP closes, lies, or sends too little', async (t) => {
  const truncated = (message, reply) => reply(answer(message, '', { flags: 0x8180 | (TRUNCATED << 8) }));
  for (const [tcp, message] of [
    [(_, socket) => socket.end(), /has closed the connection/],
    [(_, socket) => socket.end(Buffer.of(0, 0)), /answers something else/],
    [(asked, socket) => socket.end(Buffer.concat([Buffer.of(0, asked.length), asked])), /answers something else/],
    [(asked, socket) => socket.end(Buffer.concat([Buffer.of(255, 255), asked])), /has closed the connection/],
    [(_, socket) => socket.resetAndDestroy(), /ECONNRESET|has closed/],
  ]) {
    const server = await resolver(t, truncated, tcp);
    await assert.rejects(names(t, { servers: [server] }).ask(question('a.example')), { message });
  }
});

test('one that refuses, one that fails, one that is silent, and then one that answers', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const free = createSocket('udp4').bind(0, '127.0.0.1');
  await once(free, 'listening');
  const refusing = `127.0.0.1:${free.address().port}`;
  free.close();
  const failing = await resolver(t, (message, reply) => reply(answer(message, '', { flags: 0x8182 })));
  const silent = await resolver(t, () => t.mock.timers.tick(3000));
  const good = await resolver(t, (message, reply) => reply(answer(message)));
  const servers = [refusing, 'fe80::1%eth0', '[fe80::1%eth0]:53', failing, silent, good];
  const some = names(t, { servers });
  assert.deepEqual(Buffer.from(await some.ask(question('a.example'))), answer(question('a.example')));
  // If all fail, the guest gets the failure.
  const failed = await names(t, { servers: [failing, refusing] }).ask(question('a.example'));
  assert.equal(failed[3] & 15, 2);
  await assert.rejects(names(t, { servers: [refusing] }).ask(question('a.example')), { code: 'ECONNREFUSED' });
  await assert.rejects(names(t, { servers: [silent] }).ask(question('a.example')), /no answer/);
  await assert.rejects(names(t).ask(question('a.example')), /has no resolver/);
});

test('the end of the machine ends its questions', async (t) => {
  let arrived;
  const asked = new Promise((resolve) => (arrived = resolve));
  const some = names(t, { servers: [await resolver(t, arrived)], lookup: () => new Promise(() => {}) });
  const open = Promise.allSettled([some.ask(question('a.example')), some.resolve('b.example', false)]);
  await asked;
  some.close();
  assert((await open).every(({ status }) => status === 'rejected'));
});

test('what is no question', async (t) => {
  const some = names(t, { servers: ['127.0.0.1:1'] });
  const good = question('a.example');
  for (const message of [
    Buffer.alloc(0),
    good.subarray(0, 11),
    good.subarray(0, 12),
    good.subarray(0, good.length - 1),
    good.subarray(0, 15),
    question('a.example', { flags: 0x8000 }),
    question('a.example', { flags: 0x2800 }),
    question('a.example', { count: 0 }),
    question('a.example', { count: 2 }),
    Buffer.concat([good.subarray(0, 12), Buffer.of(0xc0, 12, 0, 15, 0, 1)]),
    question('a.example', { options: Buffer.alloc(5000) }),
  ])
    await assert.rejects(some.ask(message), /is no question of DNS/);
});

// ---- by TCP -------------------------------------------------------------------

const framed = (message) => Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]);

function connection(ask, options) {
  const translator = new FakeTranslator();
  translator.backend = new NodeFlows(translator.events, { policy: new Policy(), ask });
  return translator.open('10.0.2.3', 53, 'stream', options);
}

test('questions by TCP: in pieces, several at a time, answered in full', async () => {
  const end = connection(async (message) => answer(Buffer.from(message), 'z'.repeat(50_000)));
  const { budget } = end.translator.backend.owner;
  await end.event('opened');
  const questions = Array.from({ length: 10 }, (_, index) => question(`q${index}.example`, { id: index }));
  await end.send(Buffer.concat(questions.map(framed)), 7);
  end.finish();
  await end.event('finished');
  const answers = questions.map((message) => framed(answer(message, 'z'.repeat(50_000))));
  assert(Buffer.concat(end.received).equals(Buffer.concat(answers)));
  end.closed(false);
  assert.equal(budget.streams, 0);
});

test('a guest that asks by TCP and reads nothing', async () => {
  let asked = 0;
  const end = connection(
    async (message) => {
      asked += 1;
      return answer(Buffer.from(message), 'z'.repeat(50_000));
    },
    { window: 0 },
  );
  await end.event('opened');
  void end.send(Buffer.concat(Array.from({ length: 4000 }, () => framed(question('a.example')))));
  await end.until(() => end.refused > 0 && end.room === 0);
  for (let index = 0; index < 10; ++index) await turn();
  assert.equal(asked, 4);
  end.read(60_000);
  await end.until(() => asked === 5);
  end.closed(true);
});

test('a resolver without an answer: the connection is cut off', async () => {
  const end = connection(() => Promise.reject(new Error('no')));
  const { budget } = end.translator.backend.owner;
  const before = budget.free;
  await end.event('opened');
  await end.send(framed(question('a.example')));
  await end.event('aborted');
  assert(budget.free > before);
  assert.equal(budget.streams, 0);
});
