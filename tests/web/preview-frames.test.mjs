// SPDX-License-Identifier: MIT
// Frames of WebSocket, as the previews' client reads and writes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { BINARY, encodeClose, encodeFrame, FrameReader, isCloseCode, PING, TEXT, WebSocketError } =
  await source('preview/websocket-frames.ts');

const LONGEST = 100_000;

/** A frame of a server. */
function frame(first, payload = [], { length = payload.length, mask = 0 } = {}) {
  const bytes = Buffer.from(payload);
  const head =
    length < 126 ? [first, mask | length] : length < 65536 ? [first, mask | 126, length >> 8, length & 255] : undefined;
  if (head !== undefined) return Buffer.concat([Buffer.from(head), bytes]);
  const long = Buffer.alloc(10);
  long[0] = first;
  long[1] = mask | 127;
  long.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([long, bytes]);
}

/** What a reader makes of bytes that come in pieces of this size. */
function read(bytes, size = Infinity) {
  const reader = new FrameReader(LONGEST);
  const all = [];
  for (let at = 0; at < bytes.length; at += size) {
    reader.push(new Uint8Array(bytes.subarray(at, Math.min(bytes.length, at + size))));
    for (let received; (received = reader.next()) !== undefined;) all.push(received);
  }
  return all.map((received) =>
    received.data instanceof Uint8Array
      ? { ...received, data: Buffer.from(received.data).toString('latin1') }
      : received.payload === undefined
        ? received
        : { ...received, payload: Buffer.from(received.payload).toString() },
  );
}

const code = (bytes) => {
  try {
    read(bytes);
  } catch (error) {
    assert(error instanceof WebSocketError);
    return error.code;
  }
  return undefined;
};

test('messages, whole and in pieces, in reads of any size', () => {
  const long = 'x'.repeat(70_000);
  const bytes = Buffer.concat([
    frame(0x81, Buffer.from('hellö')),
    frame(0x01, Buffer.from('one ')),
    frame(0x89, Buffer.from('p')),
    frame(0x00, Buffer.from('two ')),
    frame(0x80, Buffer.from('three')),
    frame(0x82, Buffer.alloc(300, 7)),
    frame(0x81, Buffer.from(long)),
    frame(0x8a),
    frame(0x88, [0x03, 0xe8, 0x6f, 0x6b]),
    frame(0x81, Buffer.from('after the close')),
  ]);
  const expected = [
    { type: 'message', data: 'hellö' },
    { type: 'ping', payload: 'p' },
    { type: 'message', data: 'one two three' },
    { type: 'message', data: '\x07'.repeat(300) },
    { type: 'message', data: long },
    { type: 'pong', payload: '' },
    { type: 'close', code: 1000, reason: 'ok' },
  ];
  for (const size of [Infinity, 1000, 7, 1]) assert.deepEqual(read(bytes, size), expected);
});

test('a text of which a character is cut by two frames', () => {
  const [first, second] = [Buffer.from('ö').subarray(0, 1), Buffer.from('ö').subarray(1)];
  assert.deepEqual(read(Buffer.concat([frame(0x01, first), frame(0x80, second)])), [{ type: 'message', data: 'ö' }]);
});

test('a close without a code', () => {
  assert.deepEqual(read(frame(0x88)), [{ type: 'close', code: undefined, reason: '' }]);
});

test('what is no WebSocket', () => {
  const wrong = [
    ['a mask', frame(0x81, [0, 0, 0, 0], { length: 0, mask: 0x80 }), 1002],
    ['bits of extensions', frame(0xc1), 1002],
    ['an unknown opcode', frame(0x83), 1002],
    ['an unknown control opcode', frame(0x8b), 1002],
    ['a control frame in pieces', frame(0x09), 1002],
    ['a long ping', frame(0x89, Buffer.alloc(126)), 1002],
    ['a continuation of nothing', frame(0x80), 1002],
    ['a message within another', Buffer.concat([frame(0x01), frame(0x81)]), 1002],
    ['a length that need not be so long', Buffer.from([0x81, 126, 0, 5]), 1002],
    ['one of 64 bits', Buffer.from([0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), 1002],
    ['2^63 bytes', Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1009],
    ['too many bytes', frame(0x82, [], { length: LONGEST + 1 }), 1009],
    ['too many bytes together', Buffer.concat([frame(0x02, Buffer.alloc(LONGEST)), frame(0x80, [1])]), 1009],
    ['too many pieces', Buffer.concat([frame(0x02), ...Array.from({ length: 5000 }, () => frame(0x00))]), 1009],
    ['a text that is none', frame(0x81, [0xff]), 1007],
    ['a close of one byte', frame(0x88, [3]), 1002],
    ['a close with a code of nobody', frame(0x88, [0x03, 0xed]), 1002],
    ['a close whose reason is no text', frame(0x88, [0x03, 0xe8, 0xff]), 1007],
  ];
  for (const [name, bytes, expected] of wrong) assert.equal(code(bytes), expected, name);
});

test('nothing comes after an error', () => {
  const reader = new FrameReader(LONGEST);
  reader.push(new Uint8Array(frame(0x83)));
  assert.throws(() => reader.next(), WebSocketError);
  reader.push(new Uint8Array(frame(0x81, Buffer.from('more'))));
  assert.equal(reader.next(), undefined);
});

test('frames of a client are masked, and unmask to what was sent', () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = Uint8Array.from({ length }, (_, index) => index * 7);
    const bytes = encodeFrame(BINARY, payload);
    const at = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    assert.equal(bytes[0], 0x82);
    assert.equal(bytes[1] & 0x80, 0x80);
    const mask = bytes.subarray(at, at + 4);
    const unmasked = bytes.subarray(at + 4).map((byte, index) => byte ^ mask[index & 3]);
    assert.deepEqual(unmasked, payload);
    // A server's reader takes it, with the mask taken away.
    const plain = Buffer.concat([Buffer.from(bytes.subarray(0, at)), Buffer.from(unmasked)]);
    plain[1] &= 0x7f;
    assert.equal(read(plain)[0].data.length, length);
  }
  assert.notDeepEqual(encodeFrame(PING, new Uint8Array(8)), encodeFrame(PING, new Uint8Array(8)));
  assert.equal(encodeClose(1000, 'é'.repeat(100)).length, 2 + 4 + 125);
  assert.equal(encodeClose(undefined, 'dropped').length, 6);
  assert.deepEqual(
    [999, 1000, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000].filter(isCloseCode),
    [1000, 1011, 3000, 4999],
  );
  assert.equal(TEXT, 1);
});

test('random bytes: the same in one piece and in many, and bounded', () => {
  let state = 12345;
  const random = (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const outcome = (bytes, size) => {
    const reader = new FrameReader(1000);
    const all = [];
    try {
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.slice(at, at + size));
        for (let received; (received = reader.next()) !== undefined;) all.push(received);
      }
    } catch (error) {
      assert(error instanceof WebSocketError, String(error));
      all.push(error.code);
    }
    for (const { data } of all) assert((data?.length ?? 0) <= 1000);
    return all;
  };
  for (let round = 0; round < 20_000; ++round) {
    const parts = [];
    for (let count = random(6); count >= 0; --count) {
      const opcodes = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, random(256)];
      const length = random(8) === 0 ? random(1200) : random(140);
      const payload = Buffer.from({ length }, () => 0).map(() => (random(20) === 0 ? random(256) : 97));
      parts.push(frame(opcodes[random(opcodes.length)], payload, random(20) === 0 ? { length: random(70_000) } : {}));
    }
    const bytes = new Uint8Array(Buffer.concat(parts));
    assert.deepEqual(outcome(bytes, 1 + random(50)), outcome(bytes, bytes.length + 1));
  }
});
