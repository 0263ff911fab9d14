// SPDX-License-Identifier: MIT
// Resolvers that fail, are slow, or lie: what a guest hears of names by a relay (network/wisp-questions.ts, dns-*.ts).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { answerTo, FAILURE, NO_SUCH_NAME, resolverFor, TRUNCATED, V6 } from './fake-resolver.mjs';
import { relayFor, serverFor, echo, urlOf } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { openWisp } = await source('network/wisp-network.ts');
const { Policy, parseRules } = await source('network/policy.ts');

const GOOD = ['A', 60, [192, 0, 2, 1]];

async function opened(t, table, relayOptions = {}) {
  const resolver = await resolverFor(t, table);
  const relay = await relayFor(t, { resolver, ...relayOptions });
  const translator = new FakeTranslator();
  const network = openWisp({ type: 'wisp', url: urlOf(relay) }, translator.events);
  translator.backend = network.flows;
  t.after(() => {
    translator.ends.clear();
    network.close();
  });
  const resolve = async (name, ipv6 = false) => (await network.names.resolve(name, ipv6))?.addresses;
  return { resolver, translator, network, resolve };
}

const changed = (message, at, value) => {
  const copy = message.slice();
  copy[at] = value(copy[at]);
  return copy;
};

test('answers that are none: another number, question, or kind, and what cannot be read', async (t) => {
  const right = (question) => answerTo(question, [GOOD]);
  const lies = {
    'id.example': (question) => changed(right(question), 0, (byte) => byte ^ 1),
    'question.example': (question) => changed(right(question), 13, (byte) => byte ^ 2),
    'kind.example': (question) => changed(right(question), 2, (byte) => byte & 0x7f),
    'count.example': (question) => changed(right(question), 5, () => 2),
    'short.example': (question) => right(question).subarray(0, 20),
    'empty.example': () => new Uint8Array(0),
  };
  const { resolve } = await opened(t, (name, question) => [lies[name](question), right(question)]);
  for (const name of Object.keys(lies)) assert.deepEqual(await resolve(name), ['192.0.2.1'], name);
});

test('records: loops of aliases, loops of pointers, thousands, other types, no end', async (t) => {
  const thousands = Array.from({ length: 3000 }, (_, index) => ['A', 60, [192, 0, index >> 8, index & 255]]);
  const answers = {
    // To itself, and to and fro: nobody follows them here.
    'alias.example': (question) => answerTo(question, [['CNAME', 60, [0xc0, 12]]]),
    'aliases.example': (question) =>
      answerTo(
        question,
        Array.from({ length: 100 }, () => ['CNAME', 60, [0xc0, 12]]),
      ),
    'pointer.example': (question) => {
      const answer = answerTo(question, [GOOD]);
      // The name of the record is a pointer to itself.
      answer.set([0xc0, question.length], question.length);
      return answer;
    },
    'many.example': (question) => answerTo(question, thousands),
    'others.example': (question) => answerTo(question, [['TXT', 60, [1, 97]], ['AAAA', 60, V6], GOOD]),
    'cut.example': (question) => answerTo(question, [GOOD]).subarray(0, -1),
    'counted.example': (question) => changed(answerTo(question, [GOOD]), 7, () => 9),
  };
  const { resolve } = await opened(t, (name, question, way) =>
    name === 'many.example' && way === 'udp' ? [answerTo(question, [], TRUNCATED)] : [answers[name](question)],
  );
  assert.deepEqual(await resolve('alias.example'), []);
  assert.deepEqual(await resolve('aliases.example'), []);
  assert.deepEqual(await resolve('pointer.example'), ['192.0.2.1']);
  assert.equal((await resolve('many.example')).length, 32);
  assert.deepEqual(await resolve('others.example'), ['192.0.2.1']);
  assert.deepEqual(await resolve('others.example', true), ['2001:db8::1']);
  for (const name of ['cut.example', 'counted.example']) await assert.rejects(resolve(name), /cut off/);
});

test('what is too long for a datagram comes by TCP, if the resolver has that', async (t) => {
  const { resolve, resolver } = await opened(t, (name, question, way) => {
    if (way === 'udp') return [answerTo(question, [], TRUNCATED)];
    if (name === 'long.example') return [answerTo(question, [GOOD])];
    return name === 'lie.example'
      ? [
          answerTo(
            changed(question, 0, (byte) => byte ^ 1),
            [GOOD],
          ),
        ]
      : [new Uint8Array(0)];
  });
  assert.deepEqual(await resolve('long.example'), ['192.0.2.1']);
  assert.deepEqual(resolver.asked, ['long.example udp', 'long.example tcp']);
  for (const name of ['lie.example', 'empty.example'])
    await assert.rejects(resolve(name), /does not reach the resolver/);
});

test('nobody has it, the resolver fails, nobody answers: three things', async (t) => {
  const { resolve, network } = await opened(t, (name, question) => {
    if (name === 'silent.example') return [];
    return [answerTo(question, [], name === 'none.example' ? NO_SUCH_NAME : FAILURE)];
  });
  assert.equal(await resolve('none.example'), undefined);
  await assert.rejects(resolve('fails.example'), /code 2/);
  const silent = resolve('silent.example');
  network.close();
  await assert.rejects(silent, /closed/);
});

test('a name of the internet that leads home is refused where the relay connects', async (t) => {
  const filter = new Policy(parseRules(['host']));
  const addresses = { 'home.example': '192.168.0.1', 'meta.example': '169.254.169.254', 'local.example': '127.0.0.1' };
  const lookup = (name, _options, done) => done(null, [{ address: addresses[name], family: 4 }]);
  const port = await serverFor(t, echo);
  const { resolve, translator } = await opened(
    t,
    (name, question) => [answerTo(question, [['A', 0, addresses[name].split('.').map(Number)]])],
    { filter, lookup },
  );
  for (const [name, address] of Object.entries(addresses)) {
    // A guest may see it, as any program sees it.
    assert.deepEqual(await resolve(name), [address]);
    const end = translator.open(address, port);
    await end.until(() => end.log.length > 0);
    assert.deepEqual(end.log, ['failed prohibited'], name);
  }
});
