// SPDX-License-Identifier: MIT
// Names without a resolver.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Guest, recorder } from './fake-guest.mjs';

test('each name has an address of its own, until too many others are asked for', async () => {
  const guest = new Guest(recorder());
  const { backend } = guest;
  const address = async (name) => (await backend.resolve(name, false)).addresses[0];
  const first = await address('one.example');
  assert.match(first, /^198\.1[89]\.\d+\.\d+$/);
  assert.equal(await address('ONE.example'), first);
  assert.notEqual(await address('two.example'), first);
  assert.deepEqual(await backend.resolve('one.example', true), { addresses: [], seconds: 30 });
  assert((await backend.resolve('one.example', false)).seconds <= 60);
  for (const name of ['x.auklet', 'auklet', '1.2.3.4', '0x7f.1', 'a b', 'a/b', 'a..b', '', 'a@b', 'a'.repeat(300)])
    assert.equal(await backend.resolve(name, false), undefined, name);
  // A connection keeps its name, and so does a name that is asked for again.
  const held = await guest.open('one.example');
  const two = await address('two.example');
  const three = await address('three.example');
  const seen = new Set();
  for (let number = 0; number < 4200; ++number) {
    seen.add(await address(`host${number}.example`));
    await address('three.example');
  }
  assert.equal(seen.size, 4200);
  assert.equal(await address('one.example'), first);
  assert.equal(await address('three.example'), three);
  assert.equal((await guest.start(two).until(({ state }) => state !== undefined)).state, 'failed refused');
  assert(![first, two, three].includes(await address('two.example')));
  held.close();
  for (let number = 0; number < 4200; ++number) await address(`host${number}.example`);
  assert.equal((await guest.start(first).until(({ state }) => state !== undefined)).state, 'failed refused');
});

test('other questions have an empty answer', async () => {
  const { backend } = new Guest(recorder());
  const question = [3, ...Buffer.from('www'), 2, ...Buffer.from('ab'), 0, 0, 33, 0, 1];
  const header = [0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
  const answer = await backend.ask(new Uint8Array([...header, ...question, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]));
  assert.deepEqual([...answer], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, ...question]);
  for (const message of [
    [],
    header,
    [...header, ...question.slice(0, -1)],
    [...header, 0xc0, 0x0c, 0, 1, 0, 1],
    [...header.slice(0, 5), 2, ...header.slice(6), ...question],
    [0x12, 0x34, 0x81, ...header.slice(3), ...question],
  ])
    await assert.rejects(backend.ask(new Uint8Array(message)), /no question/);
});
