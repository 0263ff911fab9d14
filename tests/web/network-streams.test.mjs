// SPDX-License-Identifier: MIT
// Connections of guests as sockets of Node.js (network/node-sockets.ts), against servers on the loopback device.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { NodeFlows } = await source('network/node-sockets.ts');
const { Policy, parseRules } = await source('network/policy.ts');

const GATEWAY = '10.0.2.2';
const MIB = 1 << 20;

function start(options = {}) {
  const { allow = ['host'], deny = [], ...rest } = options;
  const translator = new FakeTranslator();
  const policy = new Policy(parseRules(allow), parseRules(deny));
  translator.backend = new NodeFlows(translator.events, { policy, ...rest });
  return translator;
}

/** A server that hands each connection to a function. */
async function serve(t, serving, host = '127.0.0.1', options = {}) {
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true, ...options }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serving(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

const echo = (socket) => socket.pipe(socket);

/** Bytes of which each place has another value. */
function pattern(length, seed = 1) {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

test('an echo, with half close by the guest first', async (t) => {
  const end = start().open(GATEWAY, await serve(t, echo));
  await end.event('opened');
  assert(end.room >= 65_536, 'a segment fits');
  const sent = pattern(8 * MIB);
  await end.send(sent);
  end.finish();
  await end.event('finished');
  assert(Buffer.concat(end.received).equals(sent));
  end.closed(false);
  assert.deepEqual(end.log, ['opened', 'finished', 'closed']);
});

test('half close by the far side first', async (t) => {
  let arrived;
  const all = new Promise((resolve) => (arrived = resolve));
  const port = await serve(t, (socket) => {
    socket.end('all that I have');
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => arrived(Buffer.concat(chunks)));
  });
  const end = start().open(GATEWAY, port);
  await end.event('finished');
  assert.equal(end.text, 'all that I have');
  const sent = pattern(3 * MIB + 5);
  await end.send(sent);
  end.finish();
  assert((await all).equals(sent));
  end.closed(false);
});

test('by IPv6', async (t) => {
  const port = await serve(t, echo, '::1').catch(() => t.skip('there is no IPv6 here'));
  if (port === undefined) return;
  const end = start().open('fd00::2', port);
  await end.event('opened');
  await end.send(Buffer.from('six'));
  end.finish();
  await end.event('finished');
  assert.equal(end.text, 'six');
  end.closed(false);
});

test('segments of one byte arrive in order, and take no more than their room', async (t) => {
  let go;
  const port = await serve(t, (socket) => (go = () => echo(socket)), '127.0.0.1', { pauseOnConnect: true });
  const end = start().open(GATEWAY, port);
  await end.event('opened');
  const sent = pattern(200_000);
  const sending = end.send(sent, 1);
  await end.until(() => go !== undefined);
  go();
  await sending;
  end.finish();
  await end.event('finished');
  assert(Buffer.concat(end.received).equals(sent));
  end.closed(false);
});

test('a port without a server', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  const end = start().open(GATEWAY, port);
  await end.event('failed refused');
  assert.deepEqual(end.log, ['failed refused']);
});

test('a server that answers with a reset, and one that resets later', async (t) => {
  const port = await serve(t, (socket) => {
    socket.write('some');
    socket.once('data', () => socket.resetAndDestroy());
  });
  const end = start().open(GATEWAY, port);
  await end.until(() => end.text === 'some');
  await end.send(Buffer.from('go'));
  await end.event('aborted');
  assert.deepEqual(end.log, ['opened', 'aborted']);
});

test('a reset that follows bytes at once is not taken for their end', async (t) => {
  const port = await serve(t, (socket) =>
    socket.once('data', () => socket.write('half of a', () => socket.resetAndDestroy())),
  );
  const translator = start();
  for (let round = 0; round < 20; ++round) {
    const end = translator.open(GATEWAY, port);
    await end.event('opened');
    await end.send(Buffer.from('go'));
    await end.until(() => end.isOver || end.log.includes('finished'));
    assert.deepEqual(end.log, ['opened', 'aborted']);
  }
});

test('a guest that resets', async (t) => {
  let failed;
  const error = new Promise((resolve) => (failed = resolve));
  const port = await serve(t, (socket) => {
    socket.on('error', failed);
    socket.on('data', () => socket.write('more'));
  });
  const end = start().open(GATEWAY, port);
  await end.event('opened');
  await end.send(Buffer.from('half of a'));
  await end.until(() => end.text === 'more');
  end.closed(true);
  assert.equal((await error).code, 'ECONNRESET');
});

test('what a guest has sent before it closes arrives', async (t) => {
  let arrived;
  const all = new Promise((resolve) => (arrived = resolve));
  const port = await serve(t, (socket) => {
    socket.end();
    let count = 0;
    socket.on('data', ({ length }) => (count += length));
    socket.on('end', () => arrived(count));
  });
  const end = start().open(GATEWAY, port);
  await end.event('opened');
  const count = end.room;
  await end.send(pattern(count), count);
  end.finish();
  end.closed(false);
  assert.equal(await all, count);
});

test('a server that does not read: the room ends at 1 MiB, and comes back', async (t) => {
  let stalled;
  const connected = new Promise((resolve) => (stalled = resolve));
  const port = await serve(t, stalled, '127.0.0.1', { pauseOnConnect: true });
  const end = start().open(GATEWAY, port);
  await end.event('opened');
  const sent = pattern(64 * MIB);
  let most = 0;
  const { writable } = end.translator.events;
  end.translator.events.writable = (id, room) => {
    most = Math.max(most, room);
    writable(id, room);
  };
  const sending = end.send(sent);
  const socket = await connected;
  // No room, and the socket has taken all that the system does.
  await end.until(() => end.room === 0);
  assert(most <= MIB, `${most} bytes of room`);
  let count = 0;
  let same = true;
  socket.on('data', (chunk) => {
    same &&= sent.subarray(count, count + chunk.length).equals(chunk);
    count += chunk.length;
  });
  socket.resume();
  await sending;
  end.finish();
  await once(socket, 'end');
  assert.equal(count, sent.length);
  assert(same);
  socket.end();
  await end.event('finished');
  assert(most > 65_536, 'a connection that is used gets more');
  end.closed(false);
});

test('a guest that does not read: the source waits, and nothing is lost', async (t) => {
  const sent = pattern(96 * MIB);
  let source;
  const port = await serve(t, (socket) => {
    source = socket;
    socket.end(sent);
  });
  const end = start().open(GATEWAY, port, 'stream', { window: 100_000, keeps: false });
  await end.until(() => end.taken === 100_000 && end.refused > 0);
  // What is under way fills the system's buffers, and then the server's write waits: it never ends.
  assert(source.writableLength > 64 * MIB);
  const before = end.taken;
  let at = before;
  let same = true;
  end.translator.events.data = ((data) => (id, bytes) => {
    const count = data(id, bytes);
    same &&= sent.subarray(at, at + count).equals(bytes.subarray(0, count));
    at += count;
    return count;
  })(end.translator.events.data);
  // Little by little: each time, it takes what it has room for.
  for (let round = 0; round < 500; ++round) {
    const expected = end.taken + 10_001;
    end.read(10_001);
    await end.until(() => end.taken === expected);
    assert.equal(end.window, 0);
  }
  assert(source.writableLength > 32 * MIB, 'the server still waits');
  end.window = Infinity;
  end.read(1);
  await end.event('finished');
  assert.equal(at, sent.length);
  assert(same);
  end.closed(false);
});

test('memory stays flat while 100 guests do not read', async (t) => {
  // In a worker, so that only the backend's memory is measured.
  const worker = new Worker(
    `const { createServer } = require('node:net');
     const bytes = Buffer.alloc(16 << 20);
     createServer((socket) => { socket.on('error', () => {}); socket.end(bytes); })
       .listen(0, '127.0.0.1', function () { require('node:worker_threads').parentPort.postMessage(this.address().port); });`,
    { eval: true },
  );
  t.after(() => worker.terminate());
  const [port] = await once(worker, 'message');
  const translator = start();
  const before = process.memoryUsage().arrayBuffers;
  const ends = Array.from({ length: 100 }, () => translator.open(GATEWAY, port, 'stream', { window: 0, keeps: false }));
  await Promise.all(ends.map((end) => end.until(() => end.refused > 0)));
  assert.equal(
    ends.reduce((sum, end) => sum + end.taken, 0),
    0,
  );
  const kept = process.memoryUsage().arrayBuffers - before;
  assert(kept <= 100 * 128 * 1024 + MIB, `${kept} bytes are kept`);
  for (const end of ends) end.read(Infinity);
  await Promise.all(ends.map((end) => end.event('finished')));
  for (const end of ends) {
    assert.equal(end.taken, 16 * MIB);
    end.closed(false);
  }
});

test('200 connections at once', async (t) => {
  const translator = start();
  const port = await serve(t, echo);
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const end = translator.open(GATEWAY, port);
      const sent = pattern(100_000 + index, index);
      await end.event('opened');
      await end.send(sent, 1 + index * 331);
      end.finish();
      await end.event('finished');
      assert(Buffer.concat(end.received).equals(sent));
      end.closed(false);
    }),
  );
});

test('no more than 1,024 connections, and room for others when they have gone', async (t) => {
  const translator = start();
  const port = await serve(t, echo);
  const ends = Array.from({ length: 1024 }, () => translator.open(GATEWAY, port));
  const tooMany = translator.open(GATEWAY, port);
  await tooMany.event('failed unreachable');
  await Promise.all(ends.map((end) => end.event('opened')));
  // Each has something, and all together have no more than there is.
  const rooms = ends.reduce((sum, end) => sum + end.room, 0);
  assert(ends.every((end) => end.room >= 16_384));
  assert(rooms <= 64 * MIB, `${rooms} bytes of room`);
  for (const end of ends) end.closed(true);
  const next = translator.open(GATEWAY, port);
  await next.event('opened');
  next.closed(true);
});

test('connections that use much leave what others need, and give it back to them', async (t) => {
  const translator = start();
  const { budget } = translator.backend.owner;
  const sockets = [];
  let connected;
  const all = new Promise((resolve) => (connected = resolve));
  const serving = (socket) => {
    if (sockets.push(socket) === 60) connected();
  };
  const port = await serve(t, serving, '127.0.0.1', { pauseOnConnect: true });
  const sent = pattern(24 * MIB);
  const ends = Array.from({ length: 60 }, () => translator.open(GATEWAY, port));
  await Promise.all(ends.map((end) => end.event('opened')));
  const sending = ends.map((end) => end.send(sent));
  await Promise.all(ends.map((end) => end.until(() => end.room === 0)));
  await all;
  // What 250 published connections need is still there.
  assert(budget.free >= 250 * 48 * 1024, `${budget.free} bytes are free`);
  for (const socket of sockets) socket.resume();
  await Promise.all(sending);
  for (const end of ends) end.closed(true);
});

test('all memory is given back, however a connection ends', async (t) => {
  const translator = start({ connectTimeout: 5000 });
  const { budget } = translator.backend.owner;
  const before = { ...budget };
  const port = await serve(t, echo);
  const closing = await serve(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const stalled = await serve(t, (socket) => socket.end(), '127.0.0.1', { pauseOnConnect: true });
  const ways = {
    refused: () => translator.open(GATEWAY, 1).event('failed refused'),
    'given up': async () => translator.open(GATEWAY, port).closed(true),
    'reset by the guest': async (end = translator.open(GATEWAY, port)) => {
      await end.event('opened');
      await end.send(pattern(end.room));
      end.closed(true);
    },
    'reset by the server': async (end = translator.open(GATEWAY, closing)) => {
      await end.event('opened');
      await end.send(pattern(end.room));
      await end.event('aborted');
    },
    'at the end of both': async (end = translator.open(GATEWAY, port)) => {
      await end.event('opened');
      await end.send(pattern(MIB));
      end.finish();
      await end.event('finished');
      end.closed(false);
    },
    'long after the end of both': async (end = translator.open(GATEWAY, port)) => {
      await end.event('opened');
      end.finish();
      await end.event('finished');
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      end.closed(false);
    },
    'while a server has not read': async (end = translator.open(GATEWAY, stalled)) => {
      await end.event('finished');
      await end.send(pattern(end.room));
      end.finish();
      end.closed(false);
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    await way();
    // Sockets of Node.js close in a later turn.
    while (budget.free !== before.free) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual({ ...budget }, before, name);
  }
});

test('a connection that nobody answers', async (t) => {
  // A server that takes no connections: the system keeps those that fit in its backlog, and drops the other requests.
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
       parentPort.postMessage(this.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  t.after(() => worker.terminate());
  const [port] = await once(worker, 'message');
  const translator = start({ connectTimeout: 300 });
  const ends = Array.from({ length: 8 }, () => translator.open(GATEWAY, port));
  await Promise.all(ends.map((end) => end.until(() => end.log.length > 0)));
  // Those that the backlog has room for are connected, as far as this program has heard of it in time.
  assert(ends.some((end) => end.log[0] === 'failed timed-out'));
  assert(ends.every((end) => ['failed timed-out', 'opened'].includes(end.log[0])));
  const patient = start().open(GATEWAY, port);
  patient.closed(true);
  translator.backend.close();
});

test('what the policy forbids', async (t) => {
  const port = await serve(t, echo);
  for (const [address, options] of [
    [GATEWAY, { allow: [] }],
    [GATEWAY, { allow: ['0.0.0.0/0', `host:${port === 1 ? 2 : 1}`] }],
    [GATEWAY, { deny: ['host'] }],
    ['127.0.0.1', {}],
    ['::ffff:127.0.0.1', {}],
    ['::1', {}],
    ['192.168.0.1', {}],
    ['169.254.169.254', {}],
    ['8.8.8.8', { deny: ['8.0.0.0/8'] }],
    ['198.51.100.1', { deny: ['bad.example'], namesOf: () => ['bad.example'] }],
  ]) {
    const end = start(options).open(address, port);
    await end.event('failed prohibited');
  }
});

test('a flow by name: what the name has now is checked', async (t) => {
  const port = await serve(t, echo);
  const names = {
    'inside.example': ['127.0.0.1', '192.168.0.1'],
    'none.example': [],
    'mixed.example': ['127.0.0.1', '10.0.2.2'],
  };
  const translator = start({
    lookup: async (name) => names[name] ?? Promise.reject(new Error('nobody knows it')),
  });
  for (const [name, event] of [
    ['inside.example', 'failed prohibited'],
    ['none.example', 'failed unreachable'],
    ['unknown.example', 'failed unreachable'],
    ['mixed.example', 'opened'],
  ]) {
    const end = translator.open(name, port);
    await end.event(event);
    if (event === 'opened') end.closed(true);
  }
  // The number is given back before there is an answer.
  translator.open('mixed.example', port).closed(true);
  await new Promise((resolve) => setImmediate(resolve));
});

test('the end of the machine resets its connections', async (t) => {
  let failed;
  const error = new Promise((resolve) => (failed = resolve));
  const translator = start();
  const port = await serve(t, (socket) => socket.on('error', failed).resume());
  const end = translator.open(GATEWAY, port);
  await end.event('opened');
  translator.ends.clear();
  translator.backend.close();
  assert.equal((await error).code, 'ECONNRESET');
});

test('numbers that nobody knows', () => {
  const { backend } = start();
  assert.equal(backend.send(5, new Uint8Array(1)), 0);
  backend.finish(5);
  backend.consumed(5, 1);
  backend.closed(5, false);
  backend.accepted(5);
});
