// SPDX-License-Identifier: MIT
// Messages of DNS with changes, from a guest and from a resolver: each is an error, or keeps to what it says.
//
// AUKLET_SEED and AUKLET_FUZZ_ROUNDS: with which numbers it begins, and how many messages there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { addressesIn, addressQuestion } = await source('network/dns-addresses.ts');
const { answers, isFailure, isTruncated, noSuchName, noSuchRecord, parseQuestion } =
  await source('network/dns-message.ts');
const { parseAddress } = await source('network/address.ts');

const ROUNDS = Number(process.env.AUKLET_FUZZ_ROUNDS ?? 20_000);
let state = Number(process.env.AUKLET_SEED ?? 20);
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

/** A record of the question's name, or of another one. */
const record = (name, type, seconds, data) => [...name, 0, type, 0, 1, ...seconds, 0, data.length, ...data];
const POINTER = [0xc0, 12];
const answerOf = (question, ...records) => {
  const bytes = Uint8Array.from([...question, ...records.flat()]);
  bytes[2] |= 0x80;
  bytes[7] = records.length;
  return bytes;
};
const V4 = addressQuestion('a.example.org', 4);
const V6 = addressQuestion('b.example.org', 6);
const SEEDS = [
  V4,
  V6,
  answerOf(V4, record(POINTER, 1, [0, 0, 1, 0], [192, 0, 2, 1]), record(POINTER, 1, [0, 0, 0, 9], [192, 0, 2, 2])),
  answerOf(V6, record([1, 97, 0], 5, [0, 0, 0, 60], [1, 98, 0]), record(POINTER, 28, [0, 0, 1, 0], V6.subarray(0, 16))),
  answerOf(V4, ...Array.from({ length: 40 }, (_, last) => record(POINTER, 1, [0, 0, 1, 0], [192, 0, 2, last]))),
];

function changed(whole) {
  const from = random(3) === 0 ? random(whole.length + 1) : whole.length;
  const more = random(4) === 0 ? random(whole.length + 1) : whole.length;
  const bytes = new Uint8Array(from + whole.length - more);
  bytes.set(whole.subarray(0, from));
  bytes.set(whole.subarray(more), from);
  for (let changes = random(5); changes > 0 && bytes.length > 0; --changes)
    bytes[random(bytes.length)] = [0, 1, 0x3f, 0x40, 0xc0, 0xff, random(256), random(256)][random(8)];
  return bytes;
}

/** The result, or undefined after an error of a message. Others are faults. */
function attempt(act) {
  try {
    return act();
  } catch (error) {
    assert.equal(error.constructor, Error, error.stack);
    return undefined;
  }
}

test('answers of a resolver', () => {
  let good = 0;
  for (let round = 0; round < ROUNDS; ++round) {
    const version = 4 + 2 * random(2);
    const message = changed(SEEDS[random(SEEDS.length)]);
    const found = attempt(() => addressesIn(message, version));
    if (found === undefined) continue;
    good += 1;
    assert(found.addresses.length <= 32 && found.seconds >= 0 && found.seconds <= 86_400);
    // A mapped address of IPv6 is written as the one of IPv4 that it is.
    for (const literal of found.addresses) assert(parseAddress(literal).version <= version, literal);
    assert(found.addresses.length * (version === 4 ? 16 : 28) <= message.length);
  }
  assert(good > ROUNDS / 10, `${good}`);
});

test('questions of a guest', () => {
  let good = 0;
  for (let round = 0; round < ROUNDS; ++round) {
    const message = changed(SEEDS[random(SEEDS.length)]);
    const question = attempt(() => parseQuestion(message));
    if (question === undefined) continue;
    good += 1;
    assert(question.length <= message.length && question.name.length <= question.length - 17);
    const id = random(65_536);
    for (const answer of [noSuchName(question), noSuchRecord(question)]) {
      answer[0] = id >> 8;
      answer[1] = id & 255;
      assert(answers(answer, question, id) && !isTruncated(answer) && !isFailure(answer));
      assert(!answers(answer, question, (id + 1) % 65_536));
      const other = changed(answer);
      const same = (at) => other[at] === answer[at] || (other[at] ^ answer[at]) === 32;
      if (other.length >= 12 && answers(other, question, id))
        assert(Array.from(message.subarray(12, question.length).keys()).every((at) => same(12 + at)));
    }
  }
  assert(good > ROUNDS / 10, `${good}`);
});
