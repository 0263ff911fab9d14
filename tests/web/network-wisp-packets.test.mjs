// SPDX-License-Identifier: MIT
// Packets of Wisp (network/wisp-packets.ts): each as the specification has it, and each lie.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { decode, encode, PacketError } = await source('network/wisp-packets.ts');
const extensions = await source('network/wisp-extensions.ts');

const text = (value) => [...new TextEncoder().encode(value)];
const bytes = (...values) => Uint8Array.from(values.flat());

/** Packets and their bytes, written by hand from the specification. */
const PACKETS = [
  [
    { type: 'connect', stream: 0x01020304, kind: 'stream', port: 443, host: 'example.org' },
    bytes(1, 4, 3, 2, 1, 1, 0xbb, 1, text('example.org')),
  ],
  [
    { type: 'connect', stream: 1, kind: 'datagrams', port: 53, host: '2001:db8::1' },
    bytes(1, 1, 0, 0, 0, 2, 53, 0, text('2001:db8::1')),
  ],
  [{ type: 'data', stream: 7, bytes: bytes(1, 2, 3) }, bytes(2, 7, 0, 0, 0, 1, 2, 3)],
  [{ type: 'data', stream: 7, bytes: bytes() }, bytes(2, 7, 0, 0, 0)],
  [{ type: 'continue', stream: 0, count: 128 }, bytes(3, 0, 0, 0, 0, 128, 0, 0, 0)],
  [{ type: 'continue', stream: 2 ** 32 - 1, count: 2 ** 32 - 1 }, bytes(3, Array(8).fill(255))],
  [{ type: 'close', stream: 9, reason: 0x42 }, bytes(4, 9, 0, 0, 0, 0x42)],
  [{ type: 'info', major: 2, minor: 0, extensions: new Map() }, bytes(5, 0, 0, 0, 0, 2, 0)],
  [
    {
      type: 'info',
      major: 2,
      minor: 1,
      extensions: new Map([
        [1, bytes()],
        [0xf0, bytes(1, 3)],
      ]),
    },
    bytes(5, 0, 0, 0, 0, 2, 1, 1, 0, 0, 0, 0, 0xf0, 2, 0, 0, 0, 1, 3),
  ],
  [{ type: 'finish', stream: 3 }, bytes(6, 3, 0, 0, 0)],
  [{ type: 'listen', stream: 3, port: 8080 }, bytes(7, 3, 0, 0, 0, 0x90, 0x1f)],
  [
    { type: 'accept', stream: 2 ** 31, listener: 3, port: 50000, host: '::1' },
    bytes(8, 0, 0, 0, 0x80, 3, 0, 0, 0, 0x50, 0xc3, text('::1')),
  ],
];

test('every packet, there and back', () => {
  for (const [packet, wanted] of PACKETS) {
    assert.deepEqual(encode(packet), wanted);
    assert.deepEqual(decode(wanted), packet);
    // In the middle of a larger buffer, as the messages of Node.js are.
    const larger = new Uint8Array(wanted.length + 20).fill(0xee);
    larger.set(wanted, 10);
    assert.deepEqual(decode(larger.subarray(10, 10 + wanted.length)), packet);
  }
});

test('every packet, cut off anywhere, is refused or a shorter one of its kind', () => {
  for (const [{ type }, whole] of PACKETS)
    for (let length = 0; length < whole.length; ++length) {
      let packet;
      try {
        packet = decode(whole.subarray(0, length));
      } catch (error) {
        assert.ok(error instanceof PacketError, String(error));
        continue;
      }
      assert.ok(['connect', 'accept', 'data', 'info'].includes(packet.type), `${type} of ${length} bytes`);
      assert.deepEqual(encode(packet), whole.subarray(0, length));
    }
});

test('packets of one length are not longer', () => {
  for (const [packet, whole] of PACKETS)
    if (['continue', 'close', 'finish', 'listen'].includes(packet.type))
      assert.throws(() => decode(bytes([...whole], 0)), PacketError);
});

test('lies', () => {
  const lies = {
    'a packet of 0 bytes': bytes(),
    'a packet of type 0': bytes(0, 1, 0, 0, 0),
    'a packet of type 9': bytes(9, 1, 0, 0, 0),
    'type 1 for stream 0': bytes(1, 0, 0, 0, 0, 1, 80, 0, text('a')),
    'a stream of kind 3': bytes(1, 1, 0, 0, 0, 3, 80, 0, text('a')),
    'port 0': bytes(1, 1, 0, 0, 0, 1, 0, 0, text('a')),
    'a host of 0 bytes, not 1 to 255': bytes(1, 1, 0, 0, 0, 1, 80, 0),
    'a host of 256 bytes, not 1 to 255': bytes(1, 1, 0, 0, 0, 1, 80, 0, text('a'.repeat(256))),
    'a host is no UTF-8': bytes(1, 1, 0, 0, 0, 1, 80, 0, 0xff, 0xfe),
    'type 2 for stream 0': bytes(2, 0, 0, 0, 0, 1),
    'INFO for stream 1': bytes(5, 1, 0, 0, 0, 2, 0),
    'an extension that is cut off': bytes(5, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0),
    'an extension longer than its packet': bytes(5, 0, 0, 0, 0, 2, 0, 1, 0xff, 0xff, 0xff, 0xff, 0),
    'extension 1 twice': bytes(5, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0),
    'more than 64 extensions': bytes(
      5,
      [0, 0, 0, 0, 2, 0],
      Array.from({ length: 65 }, (_, id) => [id, 0, 0, 0, 0]).flat(),
    ),
    'INFO of 70007 bytes': bytes(5, [0, 0, 0, 0, 2, 0], Array(70000).fill(0)),
    'type 6 for stream 0': bytes(6, 0, 0, 0, 0),
    'type 7 for stream 0': bytes(7, 0, 0, 0, 0, 80, 0),
    'ACCEPT for stream 5': bytes(8, 5, 0, 0, 0, 3, 0, 0, 0, 0x50, 0xc3, text('::1')),
  };
  for (const [message, lie] of Object.entries(lies))
    assert.throws(() => decode(lie), { message, constructor: PacketError });
});

test('hosts that would mean something else to a log, an address or a resolver', () => {
  for (const host of ['a b', 'a\nb', 'a\0', 'a/b', 'user@a', 'fe80::1%eth0', 'a?b', 'a#b', '\u0085', '\u00a0'])
    assert.throws(
      () => decode(encode({ type: 'connect', stream: 1, kind: 'stream', port: 80, host })),
      { message: 'a host with characters that none has' },
      JSON.stringify(host),
    );
});

test('bytes at random, and packets with changes, are a packet or an error of packets', () => {
  // A generator of a fixed start, so that a failure comes again.
  let seed = Number(process.env.AUKLET_SEED ?? 20);
  const random = (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const changed = (whole) => {
    const from = random(4) === 0 ? random(whole.length) : whole.length;
    const message = new Uint8Array([...whole.subarray(0, from), ...whole.subarray(random(whole.length + 1))]);
    for (let changes = random(4); changes > 0 && message.length > 0; --changes)
      message[random(message.length)] = random(256);
    return message;
  };
  const rounds = Number(process.env.AUKLET_FUZZ_ROUNDS ?? 100_000);
  let packets = 0;
  for (let count = 0; count < rounds; ++count) {
    const message =
      count % 2 === 0
        ? changed(PACKETS[random(PACKETS.length)][1])
        : Uint8Array.from({ length: random(40) }, (_, at) => (at === 0 ? random(10) : random(256) & random(256)));
    try {
      assert.equal(Buffer.compare(encode(decode(message)), message), 0);
      ++packets;
    } catch (error) {
      assert.ok(error instanceof PacketError, String(error));
    }
  }
  assert.ok(packets > rounds / 100, `${packets} packets`);
});

test('extensions say what they say', () => {
  const { encodeServerAbilities, decodeServerAbilities, encodeClientCredit, decodeClientCredit } = extensions;
  for (let bits = 0; bits < 8; ++bits) {
    const abilities = { listens: (bits & 1) !== 0, resolves: (bits & 2) !== 0, answers: (bits & 4) !== 0 };
    assert.deepEqual(decodeServerAbilities(encodeServerAbilities(abilities)), abilities);
  }
  assert.equal(decodeClientCredit(encodeClientCredit(2 ** 32 - 1)), 2 ** 32 - 1);
  // Later versions are as if the extension were not there.
  assert.equal(decodeServerAbilities(bytes(2, 1, 1, 1)), undefined);
  assert.equal(decodeClientCredit(bytes(2)), undefined);
  assert.equal(decodeClientCredit(bytes()), undefined);
  for (const lie of [bytes(1), bytes(1, 0, 0)]) assert.throws(() => decodeServerAbilities(lie), PacketError);
  for (const lie of [bytes(1), bytes(1, 0, 0, 0), bytes(1, 0, 0, 0, 0, 0)])
    assert.throws(() => decodeClientCredit(lie), PacketError);
});

test('credentials', () => {
  const { encodeCredentials, decodeCredentials, decodePasswordWanted } = extensions;
  const mine = { name: 'anna', password: 'pass wörd' };
  assert.deepEqual(encodeCredentials(mine), bytes(4, text('anna'), text('pass wörd')));
  assert.deepEqual(decodeCredentials(encodeCredentials(mine)), [mine]);
  assert.deepEqual(decodeCredentials(bytes(0)), [{ name: '', password: '' }]);
  // As wisp-js writes them, which could be the others, too.
  assert.deepEqual(decodeCredentials(bytes(1, 2, 0, 0x61, 0x62, 0x63)), [
    { name: '\u0002', password: '\0abc' },
    { name: 'a', password: 'bc' },
  ]);
  assert.deepEqual(decodeCredentials(bytes(1, 0xff, 0, 0x61, ...Array(255).fill(0x62))), [
    { name: 'a', password: 'b'.repeat(255) },
  ]);
  assert.equal(decodeCredentials(bytes(1, 3, 0, 0x61, 0x62, 0x63)).length, 1);
  assert.throws(() => encodeCredentials({ name: 'a'.repeat(256), password: '' }), RangeError);
  for (const lie of [bytes(), bytes(4, text('ann')), bytes(1, 0xff), bytes(0, 0xff)])
    assert.throws(() => decodeCredentials(lie), PacketError);
  assert.equal(decodePasswordWanted(bytes(1)), true);
  assert.equal(decodePasswordWanted(bytes(0)), false);
  assert.throws(() => decodePasswordWanted(bytes()), PacketError);
});
