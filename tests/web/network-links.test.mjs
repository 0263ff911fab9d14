// SPDX-License-Identifier: MIT
// Links to machines of other tabs, and to networks behind relays; and a machine's place on a link.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { ChannelLink } = await source('network/channel-link.ts');
const { EthernetLink } = await source('network/ethernet-link.ts');
const { OFFLOAD } = await source('network/frame-ring.ts');
const { Link } = await source('network/link.ts');
const { checkBootOptions, checkNetwork } = await source('api/check-options.ts');
const { takePlace } = await source('api/link-place.ts');

const MIB = 1 << 20;
const offload = Uint8Array.from({ length: 10 }, (_, index) => index);
const mac = (last) => Uint8Array.of(2, 0, 0, 0, 0, last);
function frame(length, to, from, seed = 0) {
  const bytes = new Uint8Array(length).fill(seed);
  bytes.set(to === 'all' ? [255, 255, 255, 255, 255, 255] : mac(to));
  bytes.set(mac(from), 6);
  return bytes;
}

/** What a machine got, and whether it takes more. */
function guest(make) {
  const machine = { got: [], takes: true, refused: 0, writable: 0 };
  const events = {
    receive: (size, copy) => {
      if (!machine.takes) {
        ++machine.refused;
        machine.wake?.();
        return false;
      }
      const bytes = new Uint8Array(size);
      copy(bytes);
      machine.got.push(bytes);
      machine.wake?.();
      return true;
    },
    writable: () => {
      ++machine.writable;
      machine.wake?.();
    },
  };
  machine.again = () => make(events);
  machine.link = machine.again();
  machine.until = async (isTrue) => {
    while (!isTrue()) await new Promise((resolve) => (machine.wake = resolve));
  };
  return machine;
}

let channels = 0;
function members(context, count) {
  const name = `test-${process.pid}-${++channels}`;
  const machines = Array.from({ length: count }, (_, index) =>
    guest((events) => new ChannelLink(name, mac(index + 1), events)),
  );
  context.after(() => machines.forEach(({ link }) => link.close()));
  return { name, machines };
}

test('frames by a channel, with their offloads', async (context) => {
  const { machines } = members(context, 3);
  const [one, two, three] = machines;
  const question = frame(60, 'all', 1);
  assert(one.link.send(offload, question));
  await two.until(() => two.got.length === 1);
  await three.until(() => three.got.length === 1);
  assert.deepEqual(two.got[0].subarray(0, 10), offload);
  assert.deepEqual(two.got[0].subarray(OFFLOAD), question);
  assert(two.link.send(offload, frame(1000, 1, 2)));
  await one.until(() => one.got.length === 1);
  // It was for one machine: the other one has got nothing when the next frame comes.
  assert(two.link.send(offload, frame(60, 'all', 2)));
  await three.until(() => three.got.length === 2);
  assert.equal(three.got[1].length, OFFLOAD + 60);
});

test('a machine that reads slowly is waited for, and one that stands still is not', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { machines } = members(context, 2);
  const [one, two] = machines;
  two.link.send(offload, frame(60, 'all', 2));
  await one.until(() => one.got.length === 1);
  two.takes = false;
  let sent = 0;
  while (one.link.send(offload, frame(50_000, 2, 1, sent))) ++sent;
  assert(sent * 50_000 <= 4 * MIB && sent >= 80);
  assert.equal(one.writable, 0);
  // Its patience ends.
  context.mock.timers.tick(250);
  assert.equal(one.writable, 1);
  for (let count = 0; count < 100; ++count) assert(one.link.send(offload, frame(50_000, 2, 1)));
  await two.until(() => two.refused > 0);
  two.takes = true;
  two.link.receiverReady();
  await two.until(() => two.got.length === sent);
  // Frames are lost until the sender has heard of that.
  while (two.got.length === sent) {
    assert(one.link.send(offload, frame(60, 2, 1)));
    await new Promise(setImmediate);
  }
  // Another machine gets its address: nothing of the old one counts.
  two.takes = false;
  while (one.link.send(offload, frame(50_000, 2, 1))) await new Promise(setImmediate);
  two.link.close();
  await one.until(() => one.writable === 2);
  const { got } = two;
  two.link = two.again();
  two.takes = true;
  two.got = [];
  two.link.send(offload, frame(60, 'all', 2));
  await one.until(() => one.got.length === 2);
  assert(got.length > sent);
  // None is lost from then on.
  const before = two.got.length;
  for (let more = 0; more < 200;) {
    const { writable } = one;
    if (one.link.send(offload, frame(50_000, 2, 1, more))) ++more;
    else await one.until(() => one.writable > writable);
  }
  await two.until(() => two.got.length === before + 200);
});

test('frames for all have a limit', async (context) => {
  const { machines } = members(context, 2);
  const [one, two] = machines;
  const start = performance.now();
  for (let count = 0; count < 1000; ++count) assert(one.link.send(offload, frame(10_000, 'all', 1)));
  const seconds = (performance.now() - start) / 1000;
  two.link.send(offload, frame(60, 'all', 2));
  await one.until(() => one.got.length === 1);
  one.link.send(offload, frame(60, 2, 1));
  await two.until(() => two.got.at(-1)?.length === OFFLOAD + 60);
  assert(two.got.length * 10_000 <= MIB * (1 + seconds) + 10_000, `${two.got.length} of 1000 in ${seconds} s`);
});

test('what else comes by a channel is left alone', async (context) => {
  const { name, machines } = members(context, 1);
  const [one] = machines;
  const liar = new BroadcastChannel(`auklet-link-1:${name}`);
  context.after(() => liar.close());
  const own = 0x020000000001;
  const lies = [
    null,
    undefined,
    'text',
    7,
    [],
    {},
    { by: 5, of: own, bytes: NaN },
    { by: 5, of: own, bytes: -1e300 },
    { by: 2 ** 60, of: own, bytes: 2 ** 53 },
    { by: {}, of: own, bytes: 1 },
    new Uint8Array(0),
    new Uint8Array(OFFLOAD + 13),
    new Uint8Array(OFFLOAD + 65_550),
    new Uint16Array(100),
    new ArrayBuffer(100),
  ];
  for (const lie of lies) liar.postMessage(lie);
  const record = (bytes) => {
    const whole = new Uint8Array(OFFLOAD + bytes.length);
    whole.set(bytes, OFFLOAD);
    return whole;
  };
  liar.postMessage(record(frame(60, 'all', 1))); // from the machine itself
  liar.postMessage(record(frame(60, 9, 5))); // for another one
  // More machines than there is memory for, and much from one of them.
  for (let last = 0; last < 1000; ++last) {
    const bytes = frame(60, 'all', 5);
    bytes.set([last >> 8, last], 10);
    liar.postMessage(record(bytes));
  }
  liar.postMessage(record(frame(61, 1, 5)));
  liar.postMessage({ by: 0x020000000005, of: own, bytes: 2 ** 31 });
  liar.postMessage(record(frame(62, 1, 5)));
  await one.until(() => one.got.at(-1)?.length === OFFLOAD + 62);
  // One of the thousand was this machine's own address.
  assert.equal(one.got.length, 1001);
  // The report of what was never sent does no harm.
  for (let count = 0; count < 10; ++count) assert(one.link.send(offload, frame(50_000, 5, 1)));
});

/** WebSockets that the test opens, fills and closes, and timers that it lets run. */
function relay() {
  const sockets = [];
  const timers = [];
  const make = (url) => {
    const socket = { url, bufferedAmount: 0, sent: [], send: (bytes) => socket.sent.push(bytes), close: () => {} };
    sockets.push(socket);
    return socket;
  };
  const time = { set: (act, after) => timers.push({ act, after }), clear: () => {} };
  return { sockets, timers, make, time };
}

test('a relay of Ethernet', async () => {
  const { sockets, timers, make, time } = relay();
  const machine = guest((events) => new EthernetLink('wss://relay.example/', events, make, time));
  const { link } = machine;
  assert.equal(link.offloads, false);
  const [socket] = sockets;
  // Before it is open, frames are lost.
  assert(link.send(offload, frame(60, 2, 1)));
  socket.onopen();
  await link.ready;
  const lent = frame(1514, 2, 1);
  assert(link.send(offload, lent));
  lent.fill(0);
  assert.deepEqual(socket.sent, [frame(1514, 2, 1)]);
  // A WebSocket that is full takes no more.
  socket.bufferedAmount = 2 * MIB;
  assert(link.send(offload, frame(60, 2, 1)));
  assert.equal(socket.sent.length, 1);
  socket.bufferedAmount = 0;

  socket.onmessage({ data: frame(100, 1, 2).buffer });
  assert.deepEqual(machine.got[0].subarray(OFFLOAD), frame(100, 1, 2));
  assert(machine.got[0].subarray(0, OFFLOAD).every((byte) => byte === 0));
  for (const data of ['ping', new ArrayBuffer(70_000), null]) socket.onmessage({ data });
  // What the guest has no room for waits, up to a limit.
  machine.takes = false;
  for (let count = 0; count < 2000; ++count) socket.onmessage({ data: frame(1000, 1, 2, count).buffer });
  machine.takes = true;
  link.receiverReady();
  await machine.until(() => machine.got.length > 1);
  assert.equal(machine.got.length, 1 + Math.floor(MIB / 1000));

  // A relay that goes away is tried again, later each time.
  socket.onclose();
  assert(link.send(offload, frame(60, 2, 1)));
  timers.shift().act();
  sockets[1].onclose();
  sockets[1].onerror();
  assert.equal(timers[0].after, 500);
  timers.shift().act();
  sockets[2].onopen();
  assert(link.send(offload, frame(60, 2, 1)));
  assert.equal(sockets[2].sent.length, 1);
  sockets[2].onclose();
  assert.equal(timers[0].after, 250);
  link.close();
  sockets[2].onclose();
  assert.equal(timers.length, 1);
});

test('a relay that is not there', async () => {
  const { sockets, timers, make, time } = relay();
  const { link } = guest((events) => new EthernetLink('wss://relay.example/', events, make, time));
  sockets[0].onerror();
  sockets[0].onclose();
  await assert.rejects(link.ready, /the relay wss:\/\/relay.example\/ cannot be reached/);
  assert.equal(timers.length, 0);
  const refused = guest(
    (events) =>
      new EthernetLink('wss://x', events, () => {
        throw new SyntaxError('no');
      }),
  );
  await assert.rejects(refused.link.ready, /cannot be reached/);
});

test('addresses on a link', async () => {
  const link = new Link();
  const place = (options) => takePlace({ type: 'local', link, ...options }, () => {});
  const places = [];
  for (const options of [{}, { address: '10.0.2.17' }, {}, {}]) places.push(await place(options));
  assert.deepEqual(
    places.map(({ address }) => address),
    ['10.0.2.15', '10.0.2.17', '10.0.2.16', '10.0.2.18'],
  );
  // The host gets what can be sent to a worker.
  assert.deepEqual(structuredClone(places[3].options), { type: 'local' });
  assert.equal(structuredClone(places[3].link).peers.length, 3);
  await assert.rejects(place({ address: '10.0.2.16' }), { code: 'network', message: /has the address 10.0.2.16/ });
  places[0].leave();
  assert.equal((await place({})).address, '10.0.2.15');
  assert.equal((await takePlace({ type: 'nat' }, () => {})).address, '10.0.2.15');
});

test('addresses on a channel', { skip: globalThis.navigator?.locks === undefined }, async () => {
  const name = `places-${process.pid}`;
  const place = (address) => takePlace({ type: 'local', link: `channel:${name}`, address }, () => {});
  const first = await place();
  const second = await place();
  assert.deepEqual([first.address, second.address], ['10.0.2.15', '10.0.2.16']);
  assert.deepEqual(second.link, { type: 'channel', name });
  await assert.rejects(place('10.0.2.15'), { code: 'network', message: /has the address 10.0.2.15/ });
  first.leave();
  // A lock is free a moment after it was released.
  await navigator.locks.request(`auklet-link-1:${name}:10.0.2.15`, () => {});
  assert.equal((await place('10.0.2.15')).address, '10.0.2.15');
});

test('what may be said of a link', () => {
  const link = new Link();
  for (const network of [
    { type: 'local', link },
    { type: 'local', link: 'channel:a.B-c_9', address: '10.0.2.4' },
    { type: 'local', hostname: 'a-9', address: '10.0.2.254' },
    { type: 'nat', link, publish: ['80:80'] },
    { type: 'wisp', link, url: 'ws://x/' },
    { type: 'ethernet', url: 'wss://example.org/relay' },
  ])
    checkBootOptions({ network });
  for (const [network, message] of [
    [{ type: 'link', link }, /type must be nat, wisp, fetch, local or ethernet, not "link"/],
    [{ type: 'local', link: {} }, /link must be createLink\(\), or channel:/],
    [{ type: 'local', link: 'channel:' }, /link must be/],
    [{ type: 'local', link: 'channel:a b' }, /link must be/],
    [{ type: 'nat', link: 'cable' }, /link must be/],
    [{ type: 'nat', address: '10.0.2.3' }, /address must be from 10\.0\.2\.4 to 10\.0\.2\.254, not "10\.0\.2\.3"/],
    [{ type: 'nat', address: '10.0.2.255' }, /address must be/],
    [{ type: 'nat', address: '10.0.2.015' }, /address must be/],
    [{ type: 'nat', address: '10.0.3.15' }, /address must be/],
    [{ type: 'nat', hostname: 'a.b' }, /hostname must have/],
    [{ type: 'nat', hostname: '-a' }, /hostname must have/],
    [{ type: 'nat', hostname: 'a\nb' }, /hostname must have/],
    [{ type: 'ethernet' }, /ethernet needs the url/],
    [{ type: 'ethernet', url: 'http://x/' }, /url must be ws/],
    [{ type: 'ethernet', url: 'wss://x/', link }, /has no link/],
  ])
    assert.throws(() => checkBootOptions({ network }), { code: 'invalid-option', message });
  // A machine that runs keeps its link.
  checkNetwork({ type: 'local' });
  for (const network of [
    { type: 'local', link },
    { type: 'nat', link },
    { type: 'nat', address: '10.0.2.20' },
    { type: 'ethernet', url: 'wss://x/' },
  ])
    assert.throws(() => checkNetwork(network), { code: 'invalid-option' });
});
