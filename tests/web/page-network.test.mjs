// SPDX-License-Identifier: MIT
// Where the page's network leads: what visitors and links say, and when a visitor is asked first.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { source } from './source.mjs';

class Storage {
  values = new Map();
  getItem(name) {
    return this.values.get(name) ?? null;
  }
  setItem(name, value) {
    this.values.set(name, value);
  }
}

beforeEach(() => {
  // Node.js has these as getters.
  for (const name of ['localStorage', 'sessionStorage'])
    Object.defineProperty(globalThis, name, { value: new Storage(), configurable: true });
});

const choices = await source('page/network-choice.ts');
const { consent, keepChoice, keptChoice, needsConsent, parseChoice, shownRelay, textOfChoice } = choices;
const { readAddress } = await source('page/address.ts');

const RELAY = 'relay:wss://example.org/secret/';

test('choices as text', () => {
  for (const text of ['none', 'fetch', 'relay', RELAY, 'relay:ws://[::1]:8001/t/'])
    assert.equal(textOfChoice(parseChoice(text)), text);
  for (const text of ['', 'nat', 'Relay', 'relay:', 'relay:example.org', 'relay:https://example.org/', 'wss://a/'])
    assert.throws(() => parseChoice(text), TypeError, text);
  for (const url of [
    'wss://example.org/secret',
    'wss://name:word@example.org/',
    'wss://example.org/#a',
    'javascript:1',
  ])
    assert.throws(() => parseChoice(`relay:${url}`), /the address of a relay/, url);
  // A token is nobody's to read over a shoulder.
  assert.equal(shownRelay('wss://example.org:8443/secret/'), 'example.org:8443');
});

test('the address of the page', () => {
  assert.deepEqual(readAddress('?network=fetch').network, { kind: 'fetch' });
  assert.deepEqual(readAddress('?network=relay').network, { kind: 'own' });
  assert.equal(readAddress('?cpus=1').network, undefined);
  const url = 'wss://example.org/a/?b=c';
  assert.deepEqual(readAddress(`?network=relay:${encodeURIComponent(url)}`).network, { kind: 'relay', url });
  assert.deepEqual(
    readAddress('?network=relay:wss://example.org/a/').network,
    parseChoice('relay:wss://example.org/a/'),
  );
  assert.throws(() => readAddress('?network=on'), {
    code: 'invalid-option',
    message: 'network on is wrong: it is none, fetch, relay, or relay:wss://HOST/TOKEN/.',
  });
});

test('what is kept', () => {
  assert.deepEqual(keptChoice(), { kind: 'none' });
  keepChoice(parseChoice(RELAY));
  assert.deepEqual(keptChoice(), { kind: 'relay', url: 'wss://example.org/secret/' });
  // Another version of the page may have written anything.
  localStorage.setItem('auklet.network', 'nat');
  assert.deepEqual(keptChoice(), { kind: 'none' });
  Object.defineProperty(globalThis, 'localStorage', {
    get() {
      throw new Error('refused');
    },
    configurable: true,
  });
  keepChoice({ kind: 'fetch' });
  assert.deepEqual(keptChoice(), { kind: 'none' });
});

test('links that need consent', () => {
  const link = (network, kernelArguments) => ({
    choice: network === undefined ? undefined : parseChoice(network),
    kernelArguments,
  });
  // Nothing is reached.
  for (const harmless of [link(undefined), link('none'), link(undefined, 'init=/bin/sh'), link('none', 'quiet')])
    assert.equal(needsConsent(harmless), false);
  for (const network of ['fetch', 'relay', RELAY]) assert.equal(needsConsent(link(network)), true, network);

  keepChoice(parseChoice(RELAY));
  assert.equal(needsConsent(link(undefined)), false);
  assert.equal(needsConsent(link(RELAY)), false);
  assert.equal(needsConsent(link('relay:wss://evil.example/secret/')), true);
  assert.equal(needsConsent(link('relay:wss://example.org/other/')), true);
  // It runs a program with the visitor's files, and the network is the visitor's own.
  assert.equal(needsConsent(link(undefined, 'init=/bin/sh')), true);
  assert.equal(needsConsent(link(RELAY, 'quiet')), true);

  consent(link(RELAY, 'quiet'));
  assert.equal(needsConsent(link(RELAY, 'quiet')), false);
  assert.equal(needsConsent(link(RELAY, 'init=/bin/sh')), true);
  assert.equal(needsConsent(link('fetch', 'quiet')), true);
  consent(link(undefined));
  assert.equal(needsConsent(link(RELAY, 'quiet')), true);
});
