// SPDX-License-Identifier: MIT
// Connections whose two ends read and write as they like, at random: what arrives is what was sent, and all memory comes
// back. AUKLET_TEST_SEED repeats a run.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { NodeFlows } = await source('network/node-sockets.ts');
const { Policy, parseRules } = await source('network/policy.ts');
const { PublishedPorts } = await source('network/published-ports.ts');

const seed = Number(process.env.AUKLET_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
let state = seed;
/** A whole number below `limit`. */
function random(limit) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

function bytesOf(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return bytes;
}

/** A far side: takes and sends at random, and says what it got when both directions have ended. */
function farSide(socket, sent) {
  const received = [];
  let at = 0;
  const write = () => {
    if (at === sent.length) return socket.end();
    const part = sent.subarray(at, at + 1 + random(200_000));
    at += part.length;
    socket.write(part, () => (random(2) === 0 ? write() : setImmediate(write)));
  };
  socket.on('data', (bytes) => {
    received.push(bytes);
    if (random(3) > 0) return;
    socket.pause();
    setImmediate(() => setImmediate(() => socket.resume()));
  });
  write();
  return once(socket, 'end').then(() => Buffer.concat(received));
}

/** A guest: the same. */
async function guest(end, sent) {
  const reading = (async () => {
    while (!end.log.includes('finished')) {
      await turn();
      if (end.window === 0 && random(4) === 0) end.read(1 + random(100_000));
    }
  })();
  for (let at = 0; at < sent.length;) {
    const part = sent.subarray(at, at + 1 + random(150_000));
    at += part.length;
    await end.send(part, 1 + random(65_483));
    if (random(3) === 0) await turn();
  }
  end.finish();
  await reading;
  return Buffer.concat(end.received);
}

test(`80 connections in both ways (AUKLET_TEST_SEED=${seed})`, async (t) => {
  const translator = new FakeTranslator();
  const backend = new NodeFlows(translator.events, { policy: new Policy(parseRules(['host'])) });
  translator.backend = backend;
  const { budget } = backend.owner;
  const before = { ...budget };
  const published = new PublishedPorts();
  const accept = (...given) => backend.accept(...given);
  const [publicPort] = await published.listen([{ address: '127.0.0.1', port: 0, guestPort: 9 }], accept);
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    published.close();
  });

  /** One at a time, so that both ends are known to belong to each other. */
  async function pair(isIncoming) {
    if (isIncoming) {
      const socket = connect({ port: publicPort, host: '127.0.0.1', allowHalfOpen: true });
      const end = await translator.nextIncoming();
      end.window = 0;
      end.call(() => backend.accepted(end.id));
      return [socket, end];
    }
    const end = translator.open('10.0.2.2', server.address().port, 'stream', { window: 0 });
    const [socket] = await once(server, 'connection');
    await end.event('opened');
    return [socket, end];
  }

  const all = [];
  for (let index = 0; index < 80; ++index) {
    const [socket, end] = await pair(random(2) === 0);
    const toGuest = bytesOf(random(1_500_000));
    const toWorld = bytesOf(random(1_500_000));
    all.push(
      Promise.all([farSide(socket, toGuest), guest(end, toWorld)]).then(([world, inside]) => {
        assert(world.equals(toWorld) && inside.equals(toGuest));
        assert.deepEqual(
          end.log.filter((event) => event !== 'opened'),
          ['finished'],
        );
        end.closed(false);
      }),
    );
  }
  await Promise.all(all);
  while (budget.free !== before.free) await turn();
  assert.deepEqual({ ...budget }, before);
});
