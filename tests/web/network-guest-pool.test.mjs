// SPDX-License-Identifier: MIT
// Connections to servers in the guest that are kept, waited for, and end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fails, fakeServer, ok, request, settled } from './fake-server.mjs';
import { source } from './source.mjs';

const { GuestHttp } = await source('network/guest-http.ts');

test('a connection that has ended while it was idle is no error', async () => {
  for (const last of [(peer) => peer.end(), (peer) => peer.write('HTTP/1.1 408 Too slow\r\n\r\n')]) {
    const server = fakeServer(async (peer) => {
      await peer.request();
      await peer.write(ok('x'));
      await last(peer);
      await peer.closed;
    });
    const http = new GuestHttp(server.connect);
    for (let count = 1; count <= 3; ++count) {
      assert.equal(await (await http.fetch(80, request('/', { method: 'POST', body: 'a' }))).text(), 'x');
      await settled();
      assert.equal(server.count, count);
    }
    http.close();
  }
  // If it ends just when a request has come, that is sent again, but only if it may be.
  const methods = { GET: true, PUT: true, POST: false };
  for (const [method, isAgain] of Object.entries(methods)) {
    const server = fakeServer(async (peer, number) => {
      await peer.request();
      await peer.write(ok(String(number)));
      await peer.until(/\r\n\r\n(body)?/);
      await peer.end();
    });
    const http = new GuestHttp(server.connect);
    const init = method === 'GET' ? {} : { method, body: 'body' };
    assert.equal(await (await http.fetch(80, request())).text(), '1');
    if (isAgain) assert.equal(await (await http.fetch(80, request('/', init))).text(), '2');
    else await fails(http.fetch(80, request('/', init)), 'ended');
    http.close();
  }
});

test('a connection that its server wants to close is not used again', async () => {
  for (const head of ['HTTP/1.1 200 OK\r\nConnection: x, Close', 'HTTP/1.0 200 OK']) {
    const server = fakeServer(async (peer) => {
      await peer.request();
      await peer.write(`${head}\r\nContent-Length: 1\r\n\r\nx`);
      assert.equal(await peer.closed, 'cut off');
      assert.equal(peer.text, '');
    });
    const http = new GuestHttp(server.connect);
    for (let count = 1; count <= 3; ++count) {
      assert.equal(await (await http.fetch(80, request())).text(), 'x');
      assert.equal(server.count, count);
    }
    await settled();
    assert.deepEqual(server.errors, []);
  }
});

test('a connection that is idle for long is ended', async (suite) => {
  const gone = [];
  const server = fakeServer(async (peer) => {
    gone.push(peer.closed);
    for (;;) {
      await peer.request();
      await peer.write(ok('x'));
    }
  });
  suite.mock.timers.enable({ apis: ['setTimeout'] });
  const http = new GuestHttp(server.connect);
  for (let count = 0; count < 5; ++count) {
    assert.equal(await (await http.fetch(80, request())).text(), 'x');
    suite.mock.timers.tick(3999);
  }
  assert.equal(server.count, 1);
  suite.mock.timers.tick(1);
  assert.equal(await gone[0], 'cut off');
  assert.equal(await (await http.fetch(80, request())).text(), 'x');
  assert.equal(server.count, 2);
});

test('connections and those who wait for one have bounds', async () => {
  const peers = [];
  const server = fakeServer(async (peer) => {
    peers.push(peer);
    await peer.request();
  });
  const http = new GuestHttp(server.connect);
  const controller = new AbortController();
  const all = Array.from({ length: 32 + 1024 }, (_, number) =>
    http.fetch(80, request('/', { signal: number === 40 ? controller.signal : undefined })),
  );
  await settled();
  assert.equal(server.count, 32);
  await fails(http.fetch(80, request()), 'busy');
  // Another port has its own.
  const other = http.fetch(81, request());
  await settled();
  assert.equal(server.count, 33);
  // One that is aborted waits no more.
  controller.abort();
  await assert.rejects(all[40], { name: 'AbortError' });
  all[40] = http.fetch(80, request());
  // Who is first in the queue gets the connection, or opens another.
  await peers[0].write(ok('a'));
  assert.equal(await (await all[0]).text(), 'a');
  await peers[0].request();
  await peers[0].write(ok('b'));
  assert.equal(await (await all[32]).text(), 'b');
  await peers[1].end();
  await fails(all[1], 'ended');
  await settled();
  assert.equal(server.count, 34);
  http.close();
  for (const each of [...all.slice(2, 32), ...all.slice(33), other]) await fails(each, 'closed');
});

test('a port where nobody listens is unreachable', async () => {
  const cause = new Error('connection refused');
  let count = 0;
  const http = new GuestHttp(async () => {
    ++count;
    throw cause;
  });
  for (let round = 0; round < 2; ++round) {
    const all = Array.from({ length: 40 }, () => http.fetch(8080, request()));
    for (const each of all) await fails(each, 'unreachable', /port 8080 of the guest: connection refused/);
  }
  assert.equal(count, 80);
  await assert.rejects(http.fetch(1, request()), { cause });
});
