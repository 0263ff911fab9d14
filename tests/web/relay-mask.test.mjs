// SPDX-License-Identifier: MIT
// The masks of WebSockets (relay/buffer-util.ts), beside the plain way of RFC 6455, section 5.3.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { source } from './source.mjs';

const { mask, unmask } = await source('relay/buffer-util.ts');
const plainly = (bytes, key) => bytes.map((byte, index) => byte ^ key[index & 3]);

test('all lengths and alignments', () => {
  const memory = new Uint8Array(128);
  for (let begin = 0; begin < 8; ++begin)
    for (let length = 0; length <= 100; ++length) {
      const key = randomBytes(4);
      const content = new Uint8Array(randomBytes(length));
      memory.fill(0xaa);
      memory.set(content, begin);
      unmask(memory.subarray(begin, begin + length), key);
      assert.deepEqual(memory.slice(begin, begin + length), plainly(content, key), `${length} at ${begin}`);
      // Nothing beside it has changed.
      assert(memory.subarray(0, begin).every((byte) => byte === 0xaa));
      assert(memory.subarray(begin + length).every((byte) => byte === 0xaa));
    }
});

test('into another array', () => {
  const key = Uint8Array.of(1, 2, 3, 255);
  const content = new Uint8Array(randomBytes(61));
  const output = new Uint8Array(80);
  mask(content, key, output, 3, 60);
  assert.deepEqual(output.slice(3, 63), plainly(content.slice(0, 60), key));
  assert(output.subarray(63).every((byte) => byte === 0) && output.subarray(0, 3).every((byte) => byte === 0));
});
