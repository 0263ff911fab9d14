// SPDX-License-Identifier: MIT
// Names by a relay's resolver, or by DNS over HTTPS (network/dns-*.ts, doh.ts, wisp-network.ts).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { datagramsFor, echo, FakeTimers, relayFor, serverFor, urlOf } from './network-wisp-peers.mjs';
import { answerTo, nameIn, TYPES, V6 } from './fake-resolver.mjs';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { addressesIn, addressQuestion } = await source('network/dns-addresses.ts');
const { DnsNames } = await source('network/dns-names.ts');
const { dnsOverHttps } = await source('network/doh.ts');
const { WispLine } = await source('network/wisp-line.ts');
const { openWisp } = await source('network/wisp-network.ts');

test('a question for addresses', () => {
  assert.deepEqual(
    [...addressQuestion('a.bc', 4)],
    [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 1, 0, 1],
  );
  assert.deepEqual([...addressQuestion('a', 6)].slice(-4), [0, 28, 0, 1]);
  for (const name of ['', 'a..b', 'a.', 'a'.repeat(64), 'ä', `${'a.'.repeat(127)}a`, 'a b'])
    assert.throws(() => addressQuestion(name, 4), /is no name$/, name);
});

test('addresses in an answer', () => {
  const question = addressQuestion('example.org', 4);
  const answer = answerTo(question, [
    ['CNAME', 30, [1, 120, 0]],
    ['A', 300, [192, 0, 2, 1]],
    ['AAAA', 300, V6],
    ['A', 300, [192, 0, 2]],
    ['A', 300, [192, 0, 2, 2]],
  ]);
  assert.deepEqual(addressesIn(answer, 4), { addresses: ['192.0.2.1', '192.0.2.2'], seconds: 30 });
  assert.deepEqual(addressesIn(answer, 6), { addresses: ['2001:db8::1'], seconds: 30 });
  assert.deepEqual(addressesIn(answerTo(question, []), 4).addresses, []);
  assert.equal(addressesIn(answerTo(question, [], { code: 3 }), 4), undefined);
  assert.throws(() => addressesIn(answerTo(question, [], { code: 2 }), 4), /code 2/);
  const many = answerTo(
    question,
    Array.from({ length: 40 }, () => ['A', 300, [192, 0, 2, 1]]),
  );
  assert.equal(addressesIn(many, 4).addresses.length, 32);
});

test('an answer that is cut off anywhere, or has any byte changed, is an answer or an error', () => {
  const answer = answerTo(addressQuestion('example.org', 4), [
    ['CNAME', 30, [1, 120, 0]],
    ['A', 300, [192, 0, 2, 1]],
  ]);
  for (let length = 0; length < answer.length; ++length)
    assert.throws(() => addressesIn(answer.subarray(0, length), 4), /cut off/);
  for (let at = 0; at < answer.length; ++at)
    for (const value of [0, 1, 63, 64, 0xbf, 0xc0, 255]) {
      const changed = answer.slice();
      changed[at] = value;
      try {
        assert.ok((addressesIn(changed, 4)?.addresses.length ?? 0) <= 1);
      } catch (error) {
        assert.match(error.message, /cut off|label that is none|code \d+/);
      }
    }
});

/** A resolver that answers the questions of a table, and counts them. */
function resolverOf(table) {
  const asked = [];
  const answer = (question) => {
    asked.push(nameIn(question));
    return table(nameIn(question), question);
  };
  return { asked, answer };
}

const table = (name, question) => {
  const isA = question.at(-3) === TYPES.A;
  if (name === 'silent.example') return undefined;
  if (name === 'none.example') return answerTo(question, [], { code: 3 });
  if (name === 'fails.example') return answerTo(question, [], { code: 2 });
  return answerTo(question, [isA ? ['A', 60, [127, 0, 0, 1]] : ['AAAA', 60, V6]]);
};

async function opened(t, relayOptions, options = {}, extras = {}) {
  const relay = await relayFor(t, relayOptions);
  const translator = new FakeTranslator();
  const network = openWisp({ type: 'wisp', url: urlOf(relay), ...options }, translator.events, extras);
  translator.backend = network.flows;
  t.after(() => {
    translator.ends.clear();
    network.close();
  });
  return { relay, translator, network };
}

test('names by the resolver of the relay', async (t) => {
  const { asked, answer } = resolverOf(table);
  const resolver = { address: '127.0.0.1', port: await datagramsFor(t, answer) };
  const { network } = await opened(t, { resolver });
  const { names } = network;
  assert.deepEqual(await names.resolve('good.example', false), { addresses: ['127.0.0.1'], seconds: 60 });
  assert.deepEqual(await names.resolve('good.example', true), { addresses: ['2001:db8::1'], seconds: 60 });
  assert.equal(await names.resolve('none.example', false), undefined);
  await assert.rejects(names.resolve('fails.example', false), /code 2/);
  const question = addressQuestion('other.example', 4);
  question.set([0x12, 0x34]);
  const answered = await names.ask(question);
  assert.deepEqual([...answered.subarray(0, 2)], [0x12, 0x34]);
  await assert.rejects(names.ask(new Uint8Array(5)), /no question/);
  assert.deepEqual(asked, ['good.example', 'good.example', 'none.example', 'fails.example', 'other.example']);
});

test('CONNECT has the name of an address, and the relay looks it up itself', async (t) => {
  const { answer } = resolverOf(table);
  const resolver = { address: '127.0.0.1', port: await datagramsFor(t, answer) };
  const looked = [];
  const lookup = (name, _options, done) => {
    looked.push(name);
    done(null, [{ address: '127.0.0.1', family: 4 }]);
  };
  const { network, translator } = await opened(t, { resolver, lookup });
  await network.names.resolve('good.example', false);
  const end = translator.open('127.0.0.1', await serverFor(t, echo));
  await end.until(() => end.log.includes('opened'));
  assert.deepEqual(looked, ['good.example']);
});

test('a question that is lost is asked again, and an answer of somebody else is none', async (t) => {
  const timers = new FakeTimers();
  let count = 0;
  const arrived = [];
  let told;
  const { answer } = resolverOf((name, question) => {
    told?.();
    arrived.push(name);
    if (++count === 1) return undefined;
    const right = table(name, question);
    if (count > 2) return right;
    const wrong = right.slice();
    wrong[0] ^= 1;
    return wrong;
  });
  const resolver = { address: '127.0.0.1', port: await datagramsFor(t, answer) };
  const { network } = await opened(t, { resolver }, {}, { timers });
  const next = () => new Promise((resolve) => (told = resolve));
  let wait = next();
  const resolved = network.names.resolve('good.example', false);
  await wait;
  wait = next();
  timers.fire(2000);
  await wait;
  timers.fire(2000);
  assert.deepEqual((await resolved).addresses, ['127.0.0.1']);
  assert.equal(arrived.length, 3);
});

test('the network is closed while a question is open', async (t) => {
  const { answer } = resolverOf(table);
  const resolver = { address: '127.0.0.1', port: await datagramsFor(t, answer) };
  const { network } = await opened(t, { resolver });
  await network.names.resolve('good.example', false);
  const resolved = network.names.resolve('silent.example', false);
  const rejected = assert.rejects(resolved, /has been closed/);
  network.close();
  await rejected;
});

test('more questions than anybody has', async () => {
  const names = new DnsNames(() => new Promise(() => {}));
  for (let count = 0; count < 64; ++count) void names.resolve('a', false);
  await assert.rejects(names.resolve('a', false), /too many questions/);
});

/** A server of DNS over HTTPS, without its S. */
async function httpsFor(t, answer) {
  const server = createServer(async (request, response) => {
    const body = [];
    for await (const part of request) body.push(part);
    answer(Buffer.concat(body), response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}/dns-query`;
}

test('names by DNS over HTTPS, where the relay has no UDP', async (t) => {
  const { asked, answer } = resolverOf(table);
  const requests = [];
  const url = await httpsFor(t, (question, response, request) => {
    requests.push(`${request.method} ${request.headers['content-type']} ${request.headers.accept}`);
    response.end(answer(question));
  });
  const { network } = await opened(t, { datagrams: false }, { dnsOverHttps: url });
  assert.deepEqual((await network.names.resolve('good.example', false)).addresses, ['127.0.0.1']);
  assert.deepEqual(asked, ['good.example']);
  assert.deepEqual(requests, ['POST application/dns-message application/dns-message']);
});

test('DNS over HTTPS, where streams have no loops', async (t) => {
  const { asyncIterator } = Symbol;
  const { prototype } = ReadableStream;
  const loop = Object.getOwnPropertyDescriptor(prototype, asyncIterator);
  t.after(() => Object.defineProperty(prototype, asyncIterator, loop));
  const { answer } = resolverOf(table);
  delete prototype[asyncIterator];
  const fetchIt = async (_, { body }) => new Response(answer(Buffer.from(body)));
  const names = new DnsNames(dnsOverHttps('https://example.org/', fetchIt));
  assert.deepEqual((await names.resolve('good.example', false)).addresses, ['127.0.0.1']);
});

test('DNS over HTTPS: servers that do not answer what they should', async (t) => {
  const question = addressQuestion('good.example', 4);
  for (const [answer, message] of [
    [(_, response) => response.writeHead(500).end('x'), /status 500/],
    [(_, response) => response.writeHead(302, { Location: '/' }).end(), /fetch failed|redirect/],
    [(_, response) => response.end('nonsense'), /something else/],
    [(asked, response) => response.end(answerTo(addressQuestion('b', 4), [])), /something else/],
    [(_, response) => response.end(Buffer.alloc(70_000)), /too much/],
  ]) {
    const names = new DnsNames(dnsOverHttps(await httpsFor(t, answer)));
    await assert.rejects(names.ask(question), message);
  }
  for (const url of ['http://example.org/', 'ftp://a/', 'nonsense']) assert.throws(() => dnsOverHttps(url), TypeError);
});

test('ports of the relay, and options that are wrong', async (t) => {
  const port = await serverFor(t, echo);
  const ports = { host: '127.0.0.1', least: 20_000, most: 40_000 };
  const { network } = await opened(t, { ports }, { publish: ['0:80'] });
  await network.ready;
  const { network: other } = await opened(t, {}, { publish: ['0:80'] });
  await assert.rejects(other.ready, /this relay does not listen for others/);
  const timers = new FakeTimers();
  for (const [options, message] of [
    [{ url: 'http://a/' }, /begins with ws:/],
    [{ publish: ['80'] }, /is not PORT:GUESTPORT/],
    [{ publish: ['80:0'] }, /as the port of the guest/],
    [{ publish: ['70000:80'] }, /as the port of the relay/],
    [{ dnsOverHttps: 'http://a/' }, /begins with https:/],
    [{ name: 'a'.repeat(256) }, /at most 255 bytes/],
  ])
    assert.throws(
      () => openWisp({ type: 'wisp', url: `ws://127.0.0.1:${port}/`, ...options }, {}, { timers }),
      message,
    );
});

test('addresses of relays that are none', () => {
  const timers = new FakeTimers();
  for (const url of ['', 'example.org', 'http://a/', 'ws://a/b', 'ws://a/#x', 'ws://user:pass@a/'])
    assert.throws(() => new WispLine({ url, resolver: '1.1.1.1', timers }), TypeError, url);
  const credentials = { name: 'a'.repeat(300), password: '' };
  assert.throws(() => new WispLine({ url: 'ws://a/', resolver: '1.1.1.1', timers, credentials }), RangeError);
});
