// SPDX-License-Identifier: MIT
// Our client of Wisp (network/wisp-*.ts) and our relay (relay/), with servers on loopback.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { datagramsFor, echo, FakeTimers, guestFor, relayFor, serverFor, urlOf } from './network-wisp-peers.mjs';

const bytesOf = (length, seed = 1) => {
  const bytes = Buffer.alloc(length);
  for (let at = 0, value = seed; at < length; ++at) {
    value = (Math.imul(value, 1103515245) + 12345) >>> 0;
    bytes[at] = value >>> 16;
  }
  return bytes;
};

/** A page that offers no subprotocol: both speak version 1. */
const version1 = { makeWebSocket: (url) => new WebSocket(url) };

/** The value of a metric. */
const metric = (relay, name) => Number(new RegExp(`^auklet_relay_${name} (.*)$`, 'm').exec(relay.metrics())?.[1]);
const DOWN = 'bytes_total{direction="down"}'.replace(/[{}]/g, '\\$&');
const UP = 'bytes_total{direction="up"}'.replace(/[{}]/g, '\\$&');

/** A port where nobody listens. */
async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Some bytes there and back, which shows that what was before has arrived. */
async function roundTrips(flow, count, length) {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < count; ++done) {
    const wanted = flow.bytes + length;
    await flow.send(bytes);
    await flow.until(() => flow.bytes === wanted);
  }
}

for (const [name, options, extended] of [
  ['with the extension', {}, true],
  ['version 1', version1, false],
]) {
  test(`${name}: bytes there and back are the same`, async (t) => {
    const relay = await relayFor(t);
    const guest = guestFor(t, urlOf(relay), options);
    const flow = guest.open(await serverFor(t, echo));
    const sent = bytesOf(5_000_001);
    await flow.has('opened');
    await flow.send(sent);
    await flow.until(() => flow.bytes === sent.length);
    assert.equal(Buffer.compare(Buffer.concat(flow.received), sent), 0);
    assert.equal(metric(relay, UP), sent.length);
    assert.equal(metric(relay, DOWN), sent.length);
    flow.close();
  });

  test(`${name}: refused`, async (t) => {
    const guest = guestFor(t, urlOf(await relayFor(t)), options);
    const flow = guest.open(await closedPort());
    await flow.has('failed');
    assert.deepEqual(flow.log, ['failed refused']);
  });

  test(`${name}: the server resets`, async (t) => {
    const guest = guestFor(t, urlOf(await relayFor(t)), options);
    const port = await serverFor(t, (socket) => socket.on('data', () => socket.resetAndDestroy()));
    const flow = guest.open(port);
    await flow.has('opened');
    await flow.send(Buffer.from('reset me'));
    await flow.has('aborted');
  });

  test(`${name}: the guest resets, and the guest closes`, async (t) => {
    const guest = guestFor(t, urlOf(await relayFor(t)), options);
    const ends = [];
    let told;
    const ended = new Promise((resolve) => (told = resolve));
    const port = await serverFor(t, (socket) => {
      let bytes = 0;
      const end = (how) => ends.push(`${how} after ${bytes}`) === 2 && told();
      socket.on('data', (data) => (bytes += data.length));
      socket.on('error', (error) => end(error.code));
      socket.on('end', () => {
        end('end');
        socket.end();
      });
    });
    const first = guest.open(port);
    await first.has('opened');
    first.close(true);
    const second = guest.open(port);
    await second.has('opened');
    // All of what was sent before is to arrive.
    await second.send(Buffer.alloc(1_000_000));
    second.close();
    await ended;
    assert.deepEqual(ends.sort(), ['ECONNRESET after 0', 'end after 1000000']);
  });

  test(`${name}: the server sends and ends`, async (t) => {
    const guest = guestFor(t, urlOf(await relayFor(t)), options);
    const sent = bytesOf(3_000_000);
    const flow = guest.open(await serverFor(t, (socket) => socket.end(sent)));
    await flow.has('finished');
    assert.equal(Buffer.compare(Buffer.concat(flow.received), sent), 0);
    if (extended) {
      // The other direction is still there, until the guest ends it.
      assert.ok(!flow.log.includes('aborted'));
      await flow.send(Buffer.alloc(10));
      flow.finish();
    } else {
      // Wisp has closed the stream: who writes hears of it.
      await flow.send(Buffer.alloc(10));
      await flow.has('aborted');
    }
  });

  test(`${name}: a server that does not read holds up its own stream only`, async (t) => {
    const relay = await relayFor(t);
    const guest = guestFor(t, urlOf(relay), options);
    let reads;
    const total = 40_000_000;
    let got = 0;
    const port = await serverFor(t, (socket) => {
      socket.pause();
      reads = () => socket.on('data', (bytes) => (got += bytes.length) === total && socket.end('all')).resume();
    });
    const stuck = guest.open(port);
    const other = guest.open(await serverFor(t, echo));
    await stuck.has('opened');
    await other.has('opened');
    const sending = stuck.send(Buffer.alloc(total));
    await roundTrips(other, 40, 100_000);
    const moved = metric(relay, UP) - 4_000_000;
    // The relay's packets, and what two sockets of the system hold.
    assert.ok(moved < 16_000_000, `${moved} bytes`);
    assert.equal(stuck.room, 0);
    reads();
    await sending;
    await stuck.has('finished');
    assert.equal(stuck.text, 'all');
  });

  test(`${name}: 100 streams at once`, async (t) => {
    const relay = await relayFor(t);
    const guest = guestFor(t, urlOf(relay), options);
    const port = await serverFor(t, echo);
    const flows = Array.from({ length: 100 }, () => guest.open(port));
    await Promise.all(
      flows.map(async (flow, index) => {
        const sent = bytesOf(50_000, index);
        await flow.has('opened');
        await flow.send(sent);
        await flow.until(() => flow.bytes === sent.length);
        assert.equal(Buffer.compare(Buffer.concat(flow.received), sent), 0);
        flow.close();
      }),
    );
  });

  test(`${name}: datagrams`, async (t) => {
    const guest = guestFor(t, urlOf(await relayFor(t)), options);
    const port = await datagramsFor(t, (bytes) =>
      Buffer.from([bytes.length >> 8, bytes.length, ...bytes.subarray(0, 4)]),
    );
    const flow = guest.open(port, { kind: 'datagrams' });
    // The first is sent before there is a way.
    guest.backend.send(flow.id, Buffer.from('ping'));
    await flow.until(() => flow.received.length === 1);
    assert.deepEqual([...flow.received[0]], [0, 4, ...Buffer.from('ping')]);
    guest.backend.send(flow.id, Buffer.alloc(1400, 7));
    await flow.until(() => flow.received.length === 2);
    assert.deepEqual([...flow.received[1]], [5, 120, 7, 7, 7, 7]);
    assert.ok(flow.log.includes('opened 65527'));
  });
}

test('half close: the answer comes after the end', async (t) => {
  const relay = await relayFor(t);
  const port = await serverFor(t, (socket) => {
    let length = 0;
    socket.on('data', (bytes) => (length += bytes.length));
    socket.on('end', () => socket.end(`${length} bytes`));
  });
  const flow = guestFor(t, urlOf(relay)).open(port);
  await flow.has('opened');
  await flow.send(Buffer.alloc(3_000_001));
  flow.finish();
  await flow.has('finished');
  assert.equal(flow.text, '3000001 bytes');
  assert.ok(!flow.log.includes('aborted'));
  flow.close();
});

test('a slow guest and a fast server: nothing piles up, nothing is lost', async (t) => {
  const relay = await relayFor(t);
  const guest = guestFor(t, urlOf(relay));
  const total = 100_000_000;
  const piece = Buffer.alloc(1_000_000, 1);
  const port = await serverFor(t, (socket) => {
    let left = total / piece.length;
    const more = () => {
      while (left-- > 0) if (!socket.write(piece)) return;
      socket.end();
    };
    socket.on('drain', more);
    more();
  });
  const slow = guest.open(port);
  slow.paused = true;
  slow.discards = true;
  const other = guest.open(await serverFor(t, echo));
  await slow.has('opened');
  await other.has('opened');
  await roundTrips(other, 40, 100_000);
  const moved = metric(relay, DOWN) - 4_000_000;
  assert.ok(moved <= 1024 * 1024, `${moved} bytes`);
  assert.equal(guest.line.held, moved);
  slow.resume();
  await slow.has('finished');
  assert.equal(slow.bytes, total);
  assert.equal(guest.line.held, 0);
});

test('without the extension a guest that does not read loses its stream, and only that', async (t) => {
  const guest = guestFor(t, urlOf(await relayFor(t)), version1);
  const slow = guest.open(await serverFor(t, (socket) => void socket.write(Buffer.alloc(40_000_000))));
  slow.paused = true;
  const other = guest.open(await serverFor(t, echo));
  await other.has('opened');
  await slow.has('aborted');
  assert.equal(guest.line.held, 0);
  await roundTrips(other, 3, 1000);
});

test('without the extension: many fast servers share what a slow line takes', async (t) => {
  const relay = await relayFor(t);
  const guest = guestFor(t, urlOf(relay), version1);
  const piece = Buffer.alloc(1_000_000);
  const port = await serverFor(t, (socket) => {
    const more = () => {
      while (socket.write(piece));
    };
    socket.on('drain', more);
    more();
  });
  const flows = Array.from({ length: 100 }, () => Object.assign(guest.open(port), { discards: true }));
  await Promise.all(flows.map((flow) => flow.until(() => flow.bytes > 0)));
  const before = flows.map(({ bytes }) => bytes);
  const since = (index) => flows[index].bytes - before[index];
  await Promise.any(flows.map((flow, index) => flow.until(() => since(index) > 5_000_000)));
  const least = Math.min(...flows.map((_, index) => since(index)));
  assert.ok(least > 1_000_000, `${least} bytes`);
});

test('a port of UDP where nobody is', async (t) => {
  const guest = guestFor(t, urlOf(await relayFor(t)));
  const flow = guest.open(await closedPort(), { kind: 'datagrams' });
  await flow.has('opened');
  guest.backend.send(flow.id, Buffer.from('ping'));
  await flow.has('failed');
  assert.ok(flow.log.includes('failed refused'));
});

test('a far side to which the system knows no way', async (t) => {
  const relay = await relayFor(t);
  const guest = guestFor(t, urlOf(relay));
  // As an address of IPv6 on a computer that has none: connect() itself fails.
  const flow = guest.open(7, { kind: 'datagrams', address: '255.255.255.255' });
  guest.backend.send(flow.id, Buffer.from('ping'));
  await flow.has('opened');
  await flow.until(() => /^(failed|aborted)/.test(flow.log.at(-1)));
  assert.equal(metric(relay, 'streams'), 0);
});

test('the relay dies and comes back', async (t) => {
  const timers = new FakeTimers();
  const first = await relayFor(t);
  const guest = guestFor(t, urlOf(first), { timers });
  const port = await serverFor(t, echo);
  const old = guest.open(port);
  await old.has('opened');
  await first.close();
  await old.has('aborted');
  await guest.state('waiting');
  // A flow does not wait for what may not come.
  const between = guest.open(port);
  await between.has('failed unreachable');
  assert.equal(timers.fire(250), 1);
  await guest.state('waiting');
  // The next attempt comes later.
  assert.equal(timers.fire(250), 0);
  await relayFor(t, { port: first.address.port });
  assert.equal(timers.fire(500), 1);
  const fresh = guest.open(port);
  await fresh.has('opened');
  await roundTrips(fresh, 1, 1000);
  assert.deepEqual(
    guest.states.map((state) => state.split(':')[0]),
    ['connecting', 'connected', 'waiting', 'connecting', 'waiting', 'connecting', 'connected'],
  );
});

test('figures are for who has the token', async (t) => {
  const relay = await relayFor(t);
  const { address, path } = relay;
  const get = async (where) => {
    const response = await fetch(`http://127.0.0.1:${address.port}${where}`);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get('/health'), [200, 'ok\n']);
  assert.equal((await get('/metrics'))[0], 404);
  assert.deepEqual(await get(`${path}metrics`), [200, relay.metrics()]);
  for (const line of relay.metrics().trimEnd().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) auklet_relay_\w+ \S.*|auklet_relay_\w+(\{\w+="\w+"\})? \d+)$/);
});
