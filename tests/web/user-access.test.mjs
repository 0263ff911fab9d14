// SPDX-License-Identifier: MIT
// The kernel's functions on user memory, in both forms: user-access.wat, and in JavaScript for engines without
// multi-memory. One table of cases for both, and what is in K and U afterwards must be the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { USER_ACCESS_FUNCTIONS, UserAccessMaker } = await source('guest/user-access.ts');

const PAGE = 65536;
const MOST_PAGES = 3;

/** U is one page: byte i is i modulo 251, and there is no 0 in the last 16. K is two pages of 0xee. */
function memories(userPages = 1) {
  const kernel = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const user = new WebAssembly.Memory({ initial: userPages, maximum: MOST_PAGES, shared: true });
  new Uint8Array(kernel.buffer).fill(0xee);
  const bytes = new Uint8Array(user.buffer);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = i % 251;
  if (bytes.length > 0) bytes.fill(0x41, bytes.length - 16);
  return { kernel, user };
}

/** `[name, arguments, result, K, U]`: K and U are what is there afterwards, as `[address, byte...]`. */
const CASES = [
  // A word, two words, and what is copied in bulk.
  ['copy_from', [8, 100, 4], 0, [8, 100, 101, 102, 103, 0xee]],
  ['copy_from', [8, 101, 8], 0, [7, 0xee, 101, 102, 103, 104, 105, 106, 107, 108, 0xee]],
  ['copy_from', [8, 100, 3], 0, [8, 100, 101, 102, 0xee]],
  ['copy_from', [8, 100, 0], 0, [8, 0xee]],
  ['copy_from', [0, 0, PAGE], 0, [PAGE - 1, 0x41, 0xee]],
  // The end of U: what is inside is copied, and the rest counted.
  ['copy_from', [8, PAGE - 4, 4], 0, [8, 0x41, 0x41, 0x41, 0x41, 0xee]],
  ['copy_from', [8, PAGE - 3, 4], 1, [8, 0x41, 0x41, 0x41, 0xee]],
  ['copy_from', [8, PAGE - 5, 8], 3, [8, 0x41, 0x41, 0x41, 0x41, 0x41, 0xee]],
  ['copy_from', [8, PAGE - 1, PAGE], PAGE - 1, [8, 0x41, 0xee]],
  ['copy_from', [8, PAGE, 4], 4, [8, 0xee]],
  ['copy_from', [8, PAGE, 0], 0, [8, 0xee]],
  ['copy_from', [8, PAGE + 1, 4], 4, [8, 0xee]],
  ['copy_from', [8, -1, 4], 4, [8, 0xee]],
  ['copy_from', [8, -4, 4], 4, [8, 0xee]],
  ['copy_from', [8, -4, 8], 8, [8, 0xee]],
  ['copy_from', [8, 0x80000000 | 0, 1], 1, [8, 0xee]],

  ['copy_to', [100, 8, 4], 0, [8, 0xee], [99, 99, 0xee, 0xee, 0xee, 0xee, 104]],
  ['copy_to', [101, 8, 8], 0, [8, 0xee], [100, 100, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 109]],
  ['copy_to', [100, 8, 1], 0, [8, 0xee], [100, 0xee, 101]],
  ['copy_to', [PAGE - 4, 8, 4], 0, [8, 0xee], [PAGE - 5, 0x41, 0xee, 0xee, 0xee, 0xee]],
  ['copy_to', [PAGE - 2, 8, 4], 2, [8, 0xee], [PAGE - 3, 0x41, 0xee, 0xee]],
  ['copy_to', [PAGE - 2, 8, PAGE], PAGE - 2, [8, 0xee], [PAGE - 3, 0x41, 0xee, 0xee]],
  ['copy_to', [PAGE, 8, 4], 4, [8, 0xee], [PAGE - 1, 0x41]],
  ['copy_to', [-1, 8, 4], 4, [8, 0xee], [0, 0, 1]],
  ['copy_to', [-8, 8, 16], 16, [8, 0xee], [0, 0, 1]],

  ['clear', [100, 3], 0, [], [99, 99, 0, 0, 0, 103]],
  ['clear', [100, 0], 0, [], [99, 99, 100]],
  ['clear', [PAGE - 2, 10], 8, [], [PAGE - 3, 0x41, 0, 0]],
  ['clear', [PAGE, 10], 10, [], [PAGE - 1, 0x41]],
  ['clear', [-1, 10], 10, [], [0, 0, 1]],
  ['clear', [0, -1], -1 - PAGE, [], [0, 0, 0]],

  // Byte 251 is the next 0.
  ['string_copy', [8, 248, 10], 3, [8, 248, 249, 250, 0, 0xee]],
  ['string_copy', [8, 248, 3], 3, [8, 248, 249, 250, 0xee]],
  ['string_copy', [8, 251, 10], 0, [8, 0, 0xee]],
  ['string_copy', [8, 248, 0], 0, [8, 0xee]],
  ['string_copy', [8, PAGE - 2, 2], 2, [8, 0x41, 0x41, 0xee]],
  ['string_copy', [8, PAGE - 2, 3], -1, [8, 0x41, 0x41, 0xee]],
  ['string_copy', [8, PAGE, 3], -1, [8, 0xee]],
  ['string_copy', [8, -1, 3], -1, [8, 0xee]],
  ['string_length', [248, 10], 3],
  ['string_length', [248, 3], 3],
  ['string_length', [251, 3], 0],
  ['string_length', [248, 0], 0],
  ['string_length', [PAGE - 16, 16], 16],
  ['string_length', [PAGE - 16, 17], -1],
  ['string_length', [PAGE, 1], -1],
  ['string_length', [-1, 1], -1],

  ['compare_exchange', [4, 0x07060504, 0x01020304, 8], 0, [8, 4, 5, 6, 7, 0xee], [3, 3, 4, 3, 2, 1, 8]],
  ['compare_exchange', [4, 0, 0x01020304, 8], 0, [8, 4, 5, 6, 7, 0xee], [3, 3, 4, 5, 6, 7, 8]],
  [
    'compare_exchange',
    [PAGE - 4, 0x41414141, -1, 8],
    0,
    [8, 0x41, 0x41, 0x41, 0x41, 0xee],
    [PAGE - 4, 255, 255, 255, 255],
  ],
  ['compare_exchange', [PAGE, 0, 0, 8], 1, [8, 0xee]],
  ['compare_exchange', [-4, 0, 0, 8], 1, [8, 0xee]],

  ['futex_op', [0, 0x0a0b0c0d, 4, 8], 0, [8, 4, 5, 6, 7], [3, 3, 0x0d, 0x0c, 0x0b, 0x0a, 8]],
  ['futex_op', [1, -1, 4, 8], 0, [8, 4, 5, 6, 7], [3, 3, 3, 5, 6, 7, 8]],
  ['futex_op', [2, 0xf0, 4, 8], 0, [8, 4, 5, 6, 7], [3, 3, 0xf4, 5, 6, 7, 8]],
  ['futex_op', [3, 0x04, 4, 8], 0, [8, 4, 5, 6, 7], [3, 3, 0, 5, 6, 7, 8]],
  ['futex_op', [4, 0xff, 4, 8], 0, [8, 4, 5, 6, 7], [3, 3, 0xfb, 5, 6, 7, 8]],
  ['futex_op', [0, 1, PAGE, 8], 1, [8, 0xee]],
  ['futex_op', [0, 1, -4, 8], 1, [8, 0xee]],

  ['move', [10, 20, 4], 0, [], [9, 9, 20, 21, 22, 23, 14]],
  ['move', [11, 10, 3], 0, [], [10, 10, 10, 11, 12, 14]],
  ['move', [10, 11, 3], 0, [], [9, 9, 11, 12, 13, 13]],
  ['move', [0, PAGE - 1, 1], 0, [], [0, 0x41, 1]],
  ['move', [0, PAGE - 1, 2], 2, [], [0, 0, 1]],
  ['move', [PAGE - 1, 0, 2], 2, [], [PAGE - 1, 0x41]],
  ['move', [PAGE, 0, 0], 0],
  ['move', [-1, 0, 1], 1],

  ['pages', [], 1],
  ['grow', [0], 1],
  ['grow', [2], 1],
  ['grow', [3], -1],
  ['grow', [-1], -1],
];

/** The function's result, and what K and U are then. */
function run(script, name, given, userPages) {
  const { kernel, user } = memories(userPages);
  const access = new UserAccessMaker(kernel, script).make(user);
  const result = access[name](...given);
  return { result, kernel: new Uint8Array(kernel.buffer), user: new Uint8Array(user.buffer) };
}

function same(actual, expected, what) {
  assert.equal(Buffer.compare(actual, expected), 0, what);
}

const contents = (bytes, [address, ...expected]) =>
  assert.deepEqual([...bytes.subarray(address, address + expected.length)], expected);

test('this engine runs both forms', () => {
  const { kernel, user } = memories();
  const wasm = new UserAccessMaker(kernel).make(user);
  const script = new UserAccessMaker(kernel, true).make(user);
  assert.deepEqual(Object.keys(wasm).sort(), [...USER_ACCESS_FUNCTIONS].sort());
  assert.deepEqual(Object.keys(script).sort(), [...USER_ACCESS_FUNCTIONS].sort());
  assert.deepEqual(new Set(CASES.map(([name]) => name)), new Set(USER_ACCESS_FUNCTIONS), 'each has a case');
});

for (const [name, given, result, inKernel = [0], inUser = [0]] of CASES)
  test(`${name}(${given.join(', ')})`, () => {
    const wasm = run(false, name, given);
    const script = run(true, name, given);
    assert.equal(wasm.result, result, 'user-access.wat');
    assert.equal(script.result, result, 'JavaScript');
    contents(wasm.kernel, inKernel.length === 0 ? [0] : inKernel);
    contents(wasm.user, inUser);
    same(script.kernel, wasm.kernel, 'K');
    same(script.user, wasm.user, 'U');
  });

test('a U without pages', () => {
  for (const script of [false, true])
    for (const [name, given, result] of [
      ['copy_from', [8, 0, 4], 4],
      ['copy_to', [0, 8, 4], 4],
      ['clear', [0, 4], 4],
      ['string_length', [0, 1], -1],
      ['compare_exchange', [0, 0, 0, 8], 1],
      ['futex_op', [0, 0, 0, 8], 1],
      ['move', [0, 0, 1], 1],
      ['pages', [], 0],
      ['grow', [1], 0],
    ])
      assert.equal(run(script, name, given, 0).result, result, `${name}, ${script ? 'JavaScript' : 'wat'}`);
});

test('a U that another thread has grown', () => {
  for (const script of [false, true]) {
    const { kernel, user } = memories();
    const access = new UserAccessMaker(kernel, script).make(user);
    assert.equal(access.copy_from(8, PAGE, 4), 4);
    user.grow(1);
    new Uint8Array(user.buffer)[PAGE] = 7;
    assert.equal(access.copy_from(8, PAGE, 4), 0);
    assert.deepEqual([...new Uint8Array(kernel.buffer, 8, 5)], [7, 0, 0, 0, 0xee]);
    assert.equal(access.string_length(PAGE, 10), 1);
    assert.equal(access.pages(), 2);
    assert.equal(access.grow(1), 2);
    assert.equal(access.clear(2 * PAGE, PAGE), 0);
  }
});
