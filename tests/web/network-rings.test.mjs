// SPDX-License-Identifier: MIT
// Frames between machines: the rings in shared memory, and who waits for whom.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { source } from './source.mjs';

const { FrameRing, OFFLOAD, LONGEST_FRAME } = await source('network/frame-ring.ts');
const { FrameSender } = await source('network/frame-sender.ts');
const { Link } = await source('network/link.ts');
const { MachineLink } = await source('network/machine-link.ts');

const offload = (...bytes) => Uint8Array.from({ length: 10 }, (_, index) => bytes[index] ?? 0);
/** A frame of `length` bytes, whose content depends on `seed`. */
function frame(length, seed = 0, to = 2, from = 1) {
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8) + seed) & 0xff);
  bytes.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from]);
  return bytes;
}
const mac = (last) => Uint8Array.of(2, 0, 0, 0, 0, last);

/** Both ends of a ring. */
function pair() {
  const buffer = FrameRing.make();
  return { buffer, sender: new FrameRing(buffer), receiver: new FrameRing(buffer) };
}
function take(ring) {
  const size = ring.next();
  if (size === 0) return undefined;
  const bytes = new Uint8Array(size);
  ring.copyTo(bytes, size);
  return { rings: ring.take(size), offload: bytes.subarray(0, 10), frame: bytes.subarray(OFFLOAD) };
}

test('frames come out as they went in, around the end of the ring too', () => {
  const { sender, receiver } = pair();
  const lengths = [14, 15, 60, 1514, 9000, LONGEST_FRAME];
  const waiting = [];
  for (let count = 0; count < 600; ++count) {
    const sent = { offload: offload(1, count & 0xff), frame: frame(lengths[count % lengths.length], count) };
    while (!sender.push(sent.offload, sent.frame)) {
      const expected = waiting.shift();
      const got = take(receiver);
      assert.deepEqual(got.offload, expected.offload);
      assert.deepEqual(got.frame, expected.frame);
    }
    waiting.push(sent);
  }
  assert(waiting.length > 10);
  for (const { frame: expected } of waiting) assert.deepEqual(take(receiver).frame, expected);
  assert.equal(take(receiver), undefined);
});

test('counts wrap at 2^32', () => {
  const { sender, receiver } = pair();
  const large = frame(LONGEST_FRAME);
  for (let bytes = 0; bytes < 2 ** 32 + 2 ** 22; bytes += LONGEST_FRAME) {
    assert(sender.push(offload(), large));
    const size = receiver.next();
    assert.equal(size, OFFLOAD + LONGEST_FRAME);
    receiver.take(size);
  }
  assert(sender.push(offload(), frame(100, 3)));
  assert.deepEqual(take(receiver).frame, frame(100, 3));
});

test('a sender that waits is rung once, when half of the ring is free', () => {
  const { sender, receiver } = pair();
  const large = frame(LONGEST_FRAME);
  while (sender.push(offload(), large));
  assert(!sender.hasRoom);
  sender.want();
  const rings = [];
  for (let got; (got = take(receiver)) !== undefined;) rings.push(got.rings);
  assert.equal(rings.filter(Boolean).length, 1);
  const at = rings.indexOf(true);
  assert(Math.abs(at - rings.length / 2) <= 2, `rung after ${at} of ${rings.length}`);
  assert(sender.hasRoom);
});

test('a receiver finds each lie of the other end', () => {
  const lies = {
    'more than the ring has': (words) => (words[0] = 1 << 23),
    'less than was taken': (words) => (words[0] = -4),
    'a frame that is too short': (words) => (words[48] = OFFLOAD + 13),
    'a frame that is too long': (words) => (words[48] = OFFLOAD + LONGEST_FRAME + 1),
    'a length below 0': (words) => (words[48] = -1),
    'a length beyond what was written': (words) => (words[48] = 5000),
  };
  for (const [name, tell] of Object.entries(lies)) {
    const { buffer, sender, receiver } = pair();
    assert(sender.push(offload(), frame(100)));
    tell(new Int32Array(buffer));
    assert.throws(() => receiver.next(), /a frame of .* in a ring with/, name);
  }
  // A receiver that lies has no room, for good.
  const { buffer, sender } = pair();
  new Int32Array(buffer)[16] = 12345;
  assert.equal(sender.push(offload(), frame(100)), false);
  assert.equal(sender.hasRoom, false);
});

test('a sender waits for a machine, and no longer when that stands still', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const outlet = { room: true, wants: 0, pushed: 0, push: () => outlet.room && Boolean(++outlet.pushed) };
  outlet.want = () => ++outlet.wants;
  Object.defineProperty(outlet, 'hasRoom', { get: () => outlet.room });
  let writable = 0;
  const sender = new FrameSender(outlet, () => ++writable);
  const send = () => sender.send(offload(), frame(100));
  assert(send());
  outlet.room = false;
  assert(!send());
  assert.equal(outlet.wants, 1);
  context.mock.timers.tick(249);
  sender.look();
  assert.equal(writable, 0);
  outlet.room = true;
  sender.look();
  assert.equal(writable, 1);
  context.mock.timers.tick(1000);
  assert.equal(writable, 1);
  // It stands still: what waits is lost, and nobody waits any longer.
  outlet.room = false;
  assert(!send());
  context.mock.timers.tick(250);
  assert.equal(writable, 2);
  assert(send() && send());
  assert.equal(sender.lost, 2);
  sender.offer(offload(), frame(100));
  assert.equal(sender.lost, 3);
  // It goes on, and is waited for again.
  outlet.room = true;
  sender.look();
  assert(send());
  outlet.room = false;
  assert(!send());
  sender.close();
  assert.equal(writable, 3);
});

test('a ring between two threads', async () => {
  const buffer = FrameRing.make();
  const url = new URL('../../web/src/network/frame-ring.ts', import.meta.url).href;
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     import(workerData.url).then(({ FrameRing }) => {
       const ring = new FrameRing(workerData.buffer);
       let sum = 0, count = 0;
       while (count < 5000) {
         const size = ring.next();
         if (size === 0) continue;
         const bytes = new Uint8Array(size);
         ring.copyTo(bytes, size);
         for (let index = 12; index < size; index += 97) sum = (sum * 31 + bytes[index]) >>> 0;
         ring.take(size);
         ++count;
       }
       parentPort.postMessage(sum);
     });`,
    { eval: true, workerData: { buffer, url } },
  );
  const ring = new FrameRing(buffer);
  let sum = 0;
  for (let count = 0; count < 5000; ++count) {
    const bytes = frame(14 + ((count * 997) % 3000), count);
    for (let index = 0; index < bytes.length; index += 97) sum = (sum * 31 + bytes[index]) >>> 0;
    while (!ring.push(offload(), bytes));
  }
  assert.deepEqual(await once(worker, 'message'), [sum]);
  await worker.terminate();
});

/** A machine's end of a link: what it got, and whether it takes more. */
function join(link, last, { hostname } = {}) {
  const machine = { got: [], takes: true, writable: 0 };
  let change = () => {};
  const place = link.join({ mac: mac(last), address: `10.0.2.${last}`, hostname }, (each) => change(each));
  machine.place = place;
  machine.link = new MachineLink(place, {
    receive: (size, copy) => {
      if (!machine.takes) return false;
      const bytes = new Uint8Array(size);
      copy(bytes);
      machine.got.push(bytes.subarray(OFFLOAD));
      machine.wake?.();
      return true;
    },
    writable: () => {
      ++machine.writable;
      machine.wake?.();
    },
  });
  change = (each) => machine.link.change(each);
  machine.until = async (isTrue) => {
    while (!isTrue()) await new Promise((resolve) => (machine.wake = resolve));
  };
  return machine;
}

test('three machines on a link', async (context) => {
  // Nobody's patience ends here, however slow the computer is.
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const link = new Link();
  const machines = [1, 2, 3].map((last) => join(link, last, { hostname: `host-${last}` }));
  const [one, two, three] = machines;
  context.after(() => machines.forEach(({ link: each }) => each.close()));
  assert.deepEqual(link.addresses, ['10.0.2.1', '10.0.2.2', '10.0.2.3']);
  assert.throws(() => join(link, 2), /another machine of the link has the address 10.0.2.2/);
  assert.throws(() => join(link, 4, { hostname: 'host-1' }), /has the hostname host-1/);
  assert.equal(one.link.find('host-3'), '10.0.2.3');
  assert.equal(three.link.find('host-1'), '10.0.2.1');
  assert.equal(one.link.find('host-9'), undefined);

  assert(one.link.send(offload(), frame(100, 1, 2, 1)));
  await two.until(() => two.got.length === 1);
  const all = frame(60, 2, 3, 1);
  all.fill(0xff, 0, 6);
  assert(one.link.send(offload(), all));
  await two.until(() => two.got.length === 2);
  await three.until(() => three.got.length === 1);
  assert.deepEqual(three.got[0], all);
  // From another address than the card's: it is not heard. The next one is.
  assert(one.link.send(offload(), frame(100, 3, 3, 2)));
  assert(one.link.send(offload(), frame(100, 4, 3, 1)));
  await three.until(() => three.got.length === 2);
  assert.deepEqual(three.got[1], frame(100, 4, 3, 1));

  // A machine without room keeps its frames, and gets them later.
  two.takes = false;
  let sent = 0;
  while (one.link.send(offload(), frame(LONGEST_FRAME, sent, 2, 1))) ++sent;
  assert(sent >= 60);
  assert(one.link.send(offload(), frame(100, 5, 3, 1)));
  await three.until(() => three.got.length === 3);
  two.takes = true;
  two.link.receiverReady();
  await two.until(() => two.got.length === 2 + sent);
  await one.until(() => one.writable === 1);

  // One that leaves holds up nobody.
  two.takes = false;
  while (one.link.send(offload(), frame(LONGEST_FRAME, 0, 2, 1)));
  two.place.leave();
  two.place.leave();
  assert.equal(one.writable, 2);
  assert(one.link.send(offload(), frame(100, 6, 2, 1)));
  assert.deepEqual(link.addresses, ['10.0.2.1', '10.0.2.3']);
  assert.equal(one.link.find('host-2'), undefined);

  // One that lies is left alone, and the others are heard.
  const four = join(link, 4);
  context.after(() => four.link.close());
  new Int32Array(four.place.peers[0].to)[0] = -4;
  assert(three.link.send(offload(), frame(100, 7, 1, 3)));
  await one.until(() => one.got.length === 1);
  const before = one.got.length;
  assert(four.link.send(offload(), frame(100, 8, 1, 4)));
  assert(three.link.send(offload(), frame(100, 9, 1, 3)));
  await one.until(() => one.got.length === before + 1);
  assert.deepEqual(one.got.at(-1), frame(100, 9, 1, 3));
});

test('a link has room for so many machines', () => {
  const link = new Link();
  const card = (last) => ({ mac: mac(last), address: `10.0.2.${last}`, hostname: undefined });
  for (let last = 15; last < 31; ++last) link.join(card(last), () => {});
  assert.throws(() => link.join(card(99), () => {}), /16 machines at most/);
});
