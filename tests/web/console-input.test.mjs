// SPDX-License-Identifier: MIT
// Standard input of `auklet console` for a machine that reads slowly, or not at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { ConsoleInput } = await source('node/console-input.ts');

const KIB = 1024;
const MIB = 1 << 20;
const CTRL_BRACKET = Uint8Array.of(0x1d);

/** A machine that has read what it was given when the test calls read(). */
function prepare(isTTY) {
  const taken = [];
  const events = [];
  let drained = Promise.withResolvers();
  const stdin = {
    isTTY,
    isPaused: false,
    pause: () => (stdin.isPaused = true),
    resume: () => (stdin.isPaused = false),
  };
  const machine = { write: (bytes) => void taken.push(bytes), drained: () => drained.promise };
  const input = new ConsoleInput(machine, stdin, {
    leave: () => events.push('leave'),
    lost: () => events.push('lost'),
  });
  const read = async () => {
    drained.resolve();
    drained = Promise.withResolvers();
    await new Promise(setImmediate);
  };
  return { input, stdin, taken, events, read, count: () => taken.reduce((sum, { length }) => sum + length, 0) };
}

test('the key that leaves is seen though the machine does not read', async () => {
  const { input, stdin, taken, events, count } = prepare(true);
  for (let each = 0; each < 10; ++each) {
    input.take(new Uint8Array(64 * KIB).fill(0x61));
    assert.equal(stdin.isPaused, false);
  }
  assert.equal(count(), 64 * KIB, 'no more is on the way');
  input.take(CTRL_BRACKET);
  assert.deepEqual(events, ['leave']);
  assert.equal(taken.length, 1);
});

test('what is pasted arrives in order, in pieces', async () => {
  const { input, taken, events, read } = prepare(true);
  const pasted = Uint8Array.from({ length: MIB }, (_, index) => index % 0x1d);
  for (let at = 0; at < MIB; at += 100_000) input.take(pasted.subarray(at, at + 100_000));
  while (taken.reduce((sum, { length }) => sum + length, 0) < MIB) await read();
  assert.ok(taken.every(({ length }) => length <= 64 * KIB));
  assert.ok(Buffer.concat(taken).equals(Buffer.from(pasted)));
  assert.deepEqual(events, []);
});

test('no more is kept than anybody pastes, and that more is lost is said once', async () => {
  const { input, events, read, count } = prepare(true);
  const piece = new Uint8Array(64 * KIB);
  for (let each = 0; each < 512; ++each) input.take(piece);
  assert.deepEqual(events, ['lost']);
  input.take(CTRL_BRACKET);
  assert.deepEqual(events, ['lost', 'leave'], 'the key is seen all the same');
  let before;
  do {
    before = count();
    await read();
  } while (count() > before);
  assert.ok(count() <= 16 * MIB + 64 * KIB, `${count()} bytes`);
  assert.ok(count() > 15 * MIB, `${count()} bytes`);
  input.take(Uint8Array.of(0x61));
  assert.equal(count(), before + 1, 'the machine reads again');
});

test('a pipe is read as fast as the machine reads, and has no keys', async () => {
  const { input, stdin, events, read, count } = prepare(false);
  input.take(new Uint8Array(100 * KIB).fill(0x1d));
  assert.equal(stdin.isPaused, true);
  await read();
  assert.equal(stdin.isPaused, true);
  assert.equal(count(), 100 * KIB);
  await read();
  assert.equal(stdin.isPaused, false);
  assert.deepEqual(events, []);
});

test('nothing comes after the end, and nobody is asked for more', async () => {
  const { input, stdin, read, count } = prepare(false);
  input.take(new Uint8Array(100 * KIB));
  input.end();
  input.take(new Uint8Array(100 * KIB));
  await read();
  assert.equal(count(), 64 * KIB);
  assert.equal(stdin.isPaused, true);
});
