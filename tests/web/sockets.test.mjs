// SPDX-License-Identifier: MIT
// Connections as streams (api/sockets.ts), over a host that is an array of requests. What a test waits for is the turn of
// promises that the events before it have settled.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { SocketClient } = await source('api/sockets.ts');
const { MachineError } = await source('api/types.ts');
const { FIRST_ACCEPTED } = await source('machine/protocol.ts');

function start() {
  const requests = [];
  const client = new SocketClient((request) => requests.push(request));
  const take = () => requests.splice(0);
  /** A connection that a program has accepted. */
  const connected = async () => {
    const promise = client.connect(5000);
    const [{ id }] = take();
    client.handle({ type: 'opened', id });
    return { id, socket: await promise };
  };
  return { client, take, connected };
}

test('connect: opened, or refused', async () => {
  const { client, take } = start();
  const first = client.connect(5000);
  const second = client.connect(5001);
  const requests = take();
  assert.deepEqual(requests, [
    { type: 'connect', id: requests[0].id, port: 5000 },
    { type: 'connect', id: requests[1].id, port: 5001 },
  ]);
  assert.notEqual(requests[0].id, requests[1].id);
  client.handle({ type: 'closed', id: requests[1].id, reset: true });
  client.handle({ type: 'opened', id: requests[0].id });
  assert.equal((await first).port, 5000);
  await assert.rejects(second, { code: 'refused', message: 'no program in the guest listens on port 5001' });
});

test('ports that are none', async () => {
  const { client } = start();
  for (const port of [-1, 1.5, 2 ** 32 - 1, NaN, '80'])
    await assert.rejects(client.connect(port), { code: 'invalid-option', message: /is no port; use a whole number/ });
  assert.throws(() => client.listen(-1, () => {}), { code: 'invalid-option' });
});

test('reading: taken when it is read, and not before; then the end', async () => {
  const { client, take, connected } = start();
  const { id, socket } = await connected();
  client.handle({ type: 'data', id, bytes: Uint8Array.of(1, 2, 3) });
  client.handle({ type: 'data', id, bytes: Uint8Array.of(4) });
  client.handle({ type: 'data', id, bytes: new Uint8Array(2000).fill(5) });
  client.handle({ type: 'ended', id });
  await turn();
  assert.deepEqual(take(), [], 'nobody has read');
  const reader = socket.readable.getReader();
  // Small pieces may have become one; the bytes and their order count.
  const bytes = [];
  let taken = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    bytes.push(...value);
    for (const request of take()) {
      assert.equal(request.type, 'taken');
      assert.equal(request.id, id);
      taken += request.count;
    }
  }
  assert.deepEqual(bytes, [1, 2, 3, 4, ...new Uint8Array(2000).fill(5)]);
  assert.equal(taken, 2004);
});

test('single bytes that nobody reads share their arrays', async () => {
  const { client, connected } = start();
  const { id, socket } = await connected();
  const many = 40_000;
  for (let i = 0; i < many; ++i) client.handle({ type: 'data', id, bytes: Uint8Array.of(i) });
  client.handle({ type: 'ended', id });
  let pieces = 0;
  let next = 0;
  for await (const piece of socket.readable) {
    ++pieces;
    for (const byte of piece) assert.equal(byte, next++ & 255);
  }
  assert.equal(next, many);
  assert(pieces <= 5, `${pieces} pieces`);
});

test('a reader that waits is woken', async () => {
  const { client, connected } = start();
  const { id, socket } = await connected();
  const reader = socket.readable.getReader();
  const reading = reader.read();
  await turn();
  client.handle({ type: 'data', id, bytes: Uint8Array.of(9) });
  assert.deepEqual((await reading).value, Uint8Array.of(9));
  const end = reader.read();
  await turn();
  client.handle({ type: 'ended', id });
  assert.equal((await end).done, true);
});

test('writing: in pieces, and only so much on the way', async () => {
  const { client, take, connected } = start();
  const { id, socket } = await connected();
  const writer = socket.writable.getWriter();
  const data = Uint8Array.from({ length: 400 * 1024 }, (_, index) => index * 7);
  const writing = writer.write(data);
  await turn();
  const sent = [];
  const count = () =>
    take().reduce((sum, request) => {
      assert.equal(request.type, 'send');
      assert.equal(request.id, id);
      assert(request.bytes.length <= 64 * 1024);
      sent.push(...request.bytes);
      return sum + request.bytes.length;
    }, 0);
  assert.equal(count(), 256 * 1024, 'then it waits');
  client.handle({ type: 'sent', id, count: 1 });
  await turn();
  assert.equal(count(), 64 * 1024);
  client.handle({ type: 'sent', id, count: 256 * 1024 });
  await writing;
  assert.equal(count(), 80 * 1024);
  assert.deepEqual(Uint8Array.from(sent), data);
  await writer.close();
  assert.deepEqual(take(), [{ type: 'finish', id }]);
});

test('what a Buffer lends is copied: the bytes are transferred to the host', async () => {
  const { take, connected } = start();
  const { socket } = await connected();
  const pool = new Uint8Array(100).fill(7);
  await socket.writable.getWriter().write(Buffer.from(pool.buffer, 10, 5));
  const [{ bytes }] = take();
  assert.deepEqual([...bytes], [7, 7, 7, 7, 7]);
  assert.equal(bytes.buffer.byteLength, 5);
});

test('what is no Uint8Array is refused', async () => {
  const { connected } = start();
  const { socket } = await connected();
  await assert.rejects(socket.writable.getWriter().write('text'), { code: 'invalid-option' });
});

test('cut off: readers and writers hear of it, closed is fulfilled', async () => {
  const { client, take, connected } = start();
  const { id, socket } = await connected();
  const reader = socket.readable.getReader();
  const reading = reader.read();
  const writer = socket.writable.getWriter();
  writer.closed.catch(() => {});
  client.handle({ type: 'closed', id, reset: true });
  await assert.rejects(reading, { code: 'refused', message: 'the connection to port 5000 was reset' });
  await assert.rejects(writer.write(Uint8Array.of(1)), { code: 'refused' });
  await socket.closed;
  socket.reset();
  assert.deepEqual(take(), [], 'its number is another’s by now');
});

test('closed in peace: what came before can still be read', async () => {
  const { client, connected } = start();
  const { id, socket } = await connected();
  client.handle({ type: 'data', id, bytes: Uint8Array.of(1, 2) });
  client.handle({ type: 'ended', id });
  client.handle({ type: 'closed', id, reset: false });
  await socket.closed;
  const bytes = [];
  for await (const piece of socket.readable) bytes.push(...piece);
  assert.deepEqual(bytes, [1, 2]);
});

test('reset, cancel and abort end the connection', async () => {
  for (const end of [
    (socket) => socket.reset(),
    (socket) => socket.readable.cancel(),
    (socket) => socket.writable.abort(),
  ]) {
    const { take, connected } = start();
    const { id, socket } = await connected();
    await end(socket);
    const requests = take();
    assert(requests.length > 0);
    for (const request of requests) assert.deepEqual(request, { type: 'abort', id });
  }
});

test('listen', async () => {
  const { client, take } = start();
  const sockets = [];
  const end = client.listen(7, (socket) => void sockets.push(socket));
  assert.deepEqual(take(), [{ type: 'listen', port: 7, on: true }]);
  assert.throws(() => client.listen(7, () => {}), { code: 'invalid-option', message: /already/ });
  client.handle({ type: 'accepted', id: FIRST_ACCEPTED, port: 7 });
  assert.equal(sockets[0].port, 7);
  end();
  end();
  assert.deepEqual(take(), [{ type: 'listen', port: 7, on: false }]);
  client.handle({ type: 'accepted', id: FIRST_ACCEPTED + 1, port: 7 });
  assert.deepEqual(take(), [{ type: 'abort', id: FIRST_ACCEPTED + 1 }], 'nobody listens any more');
  // An end that comes late is not that of the next one.
  client.listen(7, () => {});
  take();
  end();
  assert.deepEqual(take(), []);
});

test('the end of the machine', async () => {
  const { client, connected } = start();
  const { socket } = await connected();
  const opening = client.connect(1);
  const reading = socket.readable.getReader().read();
  const error = new MachineError('halted', 'the machine has ended');
  client.ended(error);
  await assert.rejects(opening, error);
  await assert.rejects(reading, error);
  await socket.closed;
  await assert.rejects(client.connect(1), error);
  // The first reason counts.
  client.ended(new MachineError('disposed', 'later'));
  await assert.rejects(client.connect(1), error);
});
