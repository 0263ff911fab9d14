// SPDX-License-Identifier: MIT
// The pure parts of web/src/machine and web/src/guest: console output, clocks, traps, errors, user memories.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { OutputCollector } = await source('machine/output-collector.ts');
const { errorText, failureCode, HostFailure } = await source('machine/failure.ts');
const { UserMemories } = await source('machine/user-memories.ts');
const { GuestClock } = await source('guest/clock.ts');
const { classifyTrap } = await source('guest/traps.ts');
const abi = await source('generated/abi.ts');

/** performance.now() that stands still until a test moves it, and the timers of that time. */
function stopClock(suite) {
  let now = 1000;
  suite.mock.method(performance, 'now', () => now);
  suite.mock.timers.enable({ apis: ['setTimeout'] });
  return {
    pass(milliseconds) {
      now += milliseconds;
      suite.mock.timers.tick(milliseconds);
    },
  };
}

test('output: little at once, a flood in large messages, in order', (suite) => {
  const clock = stopClock(suite);
  const sent = [];
  const collector = new OutputCollector((bytes) => sent.push(...[bytes]));
  const say = (...bytes) => {
    collector.add(Uint8Array.from(bytes));
    collector.flushSoon();
  };
  say(1);
  assert.deepEqual(sent, [Uint8Array.of(1)]);
  clock.pass(100);
  // Only so many in a row, and the rest a little later.
  for (let i = 0; i < 100; ++i) say(i);
  const burst = sent.length;
  assert(burst > 10 && burst < 50, `${burst} messages`);
  clock.pass(10);
  assert.equal(sent.length, burst + 1);
  assert.deepEqual(
    sent.flatMap((bytes) => [...bytes]),
    [1, ...Array.from({ length: 100 }, (_, index) => index)],
  );
  clock.pass(10);
  assert.equal(sent.length, burst + 1, 'nothing is sent twice');
  // Much does not wait for the timer.
  for (let i = 0; i < 40; ++i) say(i);
  const before = sent.length;
  say(...new Uint8Array(65536));
  assert.equal(sent.length, before + 1);
  // Typing is not delayed by a flood that is over.
  clock.pass(100);
  say(9);
  assert.deepEqual(sent.at(-1), Uint8Array.of(9));
});

test('output: bytes are copied, an end needs no time', (suite) => {
  stopClock(suite);
  const sent = [];
  const collector = new OutputCollector((bytes) => sent.push(bytes));
  collector.flush();
  collector.flushSoon();
  assert.deepEqual(sent, []);
  const bytes = Uint8Array.of(1, 2);
  collector.add(bytes);
  bytes.fill(9);
  collector.add(Uint8Array.of(3));
  collector.flush();
  assert.deepEqual(sent, [Uint8Array.of(1, 2, 3)]);
});

test('errors of a host', () => {
  assert.equal(failureCode(new HostFailure('invalid-option', 'x'), 'x'), 'invalid-option');
  for (const message of [
    'out of memory',
    'WebAssembly.Memory(): could not allocate memory',
    'Array buffer Allocation failed',
  ])
    assert.equal(failureCode(new RangeError(message), message), 'out-of-memory');
  assert.equal(failureCode(new Error('no'), 'no'), 'failed');
  assert.deepEqual(errorText('text'), { message: 'text' });
  const { message, detail } = errorText(new Error('broken'));
  assert.equal(message, 'broken');
  assert.match(detail, /machine\.test\.mjs/);
});

test('user memories', () => {
  const kernel = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const memories = new UserMemories(kernel);
  assert.equal(memories.get(0), undefined);
  assert.equal(memories.copy(0, 0, 0, 4, true), 0);
  memories.setSafepoint(0, 0);
  const memory = memories.create(0, 2);
  assert.equal(memory.buffer.byteLength, 0);
  assert.equal(memories.copy(0, 0, 0, 4, true), 0, 'nothing is in it');
  memory.grow(1);
  const user = new Uint8Array(memory.buffer);
  const words = new Uint8Array(kernel.buffer);
  words.set([1, 2, 3, 4], 100);
  assert.equal(memories.copy(0, 10, 100, 4, true), 4);
  assert.deepEqual([...user.subarray(9, 15)], [0, 1, 2, 3, 4, 0]);
  assert.equal(memories.copy(0, 12, 200, 2, false), 2);
  assert.deepEqual([...words.subarray(199, 203)], [0, 3, 4, 0]);
  // At the end: as far as it reaches.
  assert.equal(memories.copy(0, 65534, 100, 4, true), 2);
  assert.equal(memories.copy(0, 65536, 100, 4, true), 0);
  assert.equal(memories.copy(0, 0xffffffff, 100, 4, true), 0);
  memories.setSafepoint(0, 20);
  assert.deepEqual([...user.subarray(19, 25)], [0, 1, 0, 0, 0, 0]);
  // A guest may name any address.
  for (const address of [21, 65536, 65533, 0xfffffffc]) memories.setSafepoint(0, address);
  assert.equal(
    user.reduce((sum, byte) => sum + byte, 0),
    1 + 2 + 3 + 4 + 1 + 2 + 1,
  );

  for (let id = 1; id < 20; ++id) memories.create(id, 1);
  assert.equal(memories.common.length, 16);
  assert.equal(memories.common[0], memory);
  assert.deepEqual([memories.isCommon(15), memories.isCommon(16)], [true, false]);
  memories.clear();
  assert.equal(memories.get(0), undefined);
});

test('a guest worker’s clock: the difference of the origins, where it can be right', async (suite) => {
  let now = 50;
  suite.mock.method(performance, 'now', () => now);
  const origin = performance.timeOrigin;
  let questions = 0;
  const clock = new GuestClock(() => ++questions);
  now = 50.3;
  // The host is 20 ms older: between question and answer, its clock was from 70 to 70.3.
  clock.answer({ now: 70.2, timeOrigin: origin - 20 });
  assert.equal(await clock.offset, 20);
  assert.equal(questions, 1);
});

test('a guest worker’s clock: an origin that a change of the time has moved', async (suite) => {
  let now = 50;
  suite.mock.method(performance, 'now', () => now);
  const origin = performance.timeOrigin;
  let questions = 0;
  const clock = new GuestClock(() => ++questions);
  for (const late of [5, 0.4]) {
    now += late;
    clock.answer({ now: now + 20 - late / 2, timeOrigin: origin + 3_600_000 });
  }
  assert.equal(questions, 3, 'bounds so wide are asked for again');
  now += 0.1;
  clock.answer({ now: now + 20 - 0.05, timeOrigin: origin + 3_600_000 });
  const offset = await clock.offset;
  assert(Math.abs(offset - 20) <= 0.1, `${offset}`);
});

test('a guest worker’s clock: after ten questions, the best there is', async (suite) => {
  let now = 50;
  suite.mock.method(performance, 'now', () => now);
  let questions = 0;
  const clock = new GuestClock(() => ++questions);
  for (let i = 0; i < 10; ++i) {
    now += 4;
    clock.answer({ now: now + 20 - 2, timeOrigin: performance.timeOrigin + 3_600_000 });
  }
  assert.equal(await clock.offset, 20);
  assert.equal(questions, 10);
});

/** A module whose function "run" has this body. */
function trapOf(...body) {
  const code = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // Types: () -> (), (i32) -> (). Function 0 of type 0. A table and a memory.
    ...[1, 8, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 0],
    ...[3, 2, 1, 0],
    ...[4, 4, 1, 0x70, 0, 2],
    ...[5, 4, 1, 3, 1, 1],
    ...[7, 7, 1, 3, 0x72, 0x75, 0x6e, 0, 0],
    // Table entry 1 is function 0; entry 0 is empty.
    ...[9, 7, 1, 0, 0x41, 1, 0x0b, 1, 0],
    ...[10, body.length + 4, 1, body.length + 2, 0, ...body, 0x0b],
  ];
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(code))).exports;
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('traps of this engine', () => {
  const constant = (value) => [0x41, value];
  for (const [name, kind, ...body] of [
    ['unreachable', abi.TRAP_UNREACHABLE, 0x00],
    ['a load behind the end', abi.TRAP_MEMORY, ...constant(0x7f), 0x28, 2, 0, 0x1a],
    ['an unaligned atomic', abi.TRAP_MEMORY, ...constant(1), 0xfe, 0x10, 2, 0, 0x1a],
    ['division by zero', abi.TRAP_DIVISION, ...constant(1), ...constant(0), 0x6d, 0x1a],
    ['remainder by zero', abi.TRAP_DIVISION, ...constant(1), ...constant(0), 0x6f, 0x1a],
    [
      'a quotient that does not fit',
      abi.TRAP_OVERFLOW,
      0x41,
      0x80,
      0x80,
      0x80,
      0x80,
      0x78,
      ...constant(0x7f),
      0x6d,
      0x1a,
    ],
    ['an integer of what is no number', abi.TRAP_OVERFLOW, 0x43, 0, 0, 0xc0, 0x7f, 0xa8, 0x1a],
    ['a call of an empty entry', abi.TRAP_CALL, ...constant(0), 0x11, 0, 0],
    ['a call of no entry', abi.TRAP_CALL, ...constant(5), 0x11, 0, 0],
    ['a call by another type', abi.TRAP_CALL, ...constant(7), ...constant(1), 0x11, 1, 0],
    ['recursion without end', abi.TRAP_STACK, 0x10, 0],
  ]) {
    const error = trapOf(...body);
    assert(error instanceof Error, name);
    assert.equal(classifyTrap(error), kind, `${name}: ${error.message}`);
  }
});

test('traps as other engines tell them', () => {
  const { RuntimeError } = WebAssembly;
  for (const [error, kind] of [
    [new RuntimeError('index out of bounds'), abi.TRAP_MEMORY],
    [new RuntimeError('Out of bounds memory access (evaluating …)'), abi.TRAP_MEMORY],
    [new RuntimeError('unaligned memory access'), abi.TRAP_MEMORY],
    [new RuntimeError('Unreachable code should not be executed (evaluating …)'), abi.TRAP_UNREACHABLE],
    [new RuntimeError('Division by zero (evaluating …)'), abi.TRAP_DIVISION],
    [new RuntimeError('integer overflow'), abi.TRAP_OVERFLOW],
    [new RuntimeError('indirect call to null'), abi.TRAP_CALL],
    [new RuntimeError('indirect call signature mismatch'), abi.TRAP_CALL],
    [new RuntimeError('Out of bounds call_indirect (evaluating …)'), abi.TRAP_CALL],
    [new Error('too much recursion'), abi.TRAP_STACK],
    [new RangeError('Maximum call stack size exceeded.'), abi.TRAP_STACK],
    [new RangeError('Out of bounds memory access'), abi.TRAP_MEMORY],
    [new Error('anything else'), abi.TRAP_EXCEPTION],
    ['a string', abi.TRAP_EXCEPTION],
    [undefined, abi.TRAP_EXCEPTION],
  ])
    assert.equal(classifyTrap(error), kind, String(error));
  const tag = new WebAssembly.Tag({ parameters: [] });
  assert.equal(classifyTrap(new WebAssembly.Exception(tag, [])), abi.TRAP_EXCEPTION);
});
