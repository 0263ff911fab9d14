// SPDX-License-Identifier: MIT
// Paths of a guest, whose bytes need not be text.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { decodeName, encodePath } = await source('api/guest-names.ts');
const bytesOf = (words) => new TextEncoder().encode(words);

test('names keep all their bytes', () => {
  for (const bytes of [
    [0x61],
    [0xff],
    [0x61, 0xc3, 0xa9, 0xc3],
    [0xc3, 0x61, 0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f, 0x98],
    [0xed, 0xa0, 0x80],
    [0xed, 0xb2, 0x80],
    [0xc0, 0xaf],
    [0xef, 0xbb, 0xbf, 0x61],
    Array.from({ length: 255 }, (_, index) => index + 1),
  ])
    assert.deepEqual([...encodePath(decodeName(Uint8Array.from(bytes)))], bytes);
  // Every two bytes, and what follows from them.
  for (let one = 0; one < 256; ++one)
    for (let two = 0; two < 256; ++two) {
      const bytes = Buffer.of(one, two, 0x80, one);
      assert.ok(bytes.equals(encodePath(decodeName(bytes))), `${one} ${two}`);
    }
  assert.equal(decodeName(bytesOf('grün😀')), 'grün😀');
  assert.equal(decodeName(Uint8Array.of(0x61, 0xff)), 'a\udcff');
  for (const wrong of ['/\ud800', '/\udc00', '/\udc7f', '/\udd00'])
    assert.throws(() => encodePath(wrong), { code: 'EILSEQ', path: wrong });
});
