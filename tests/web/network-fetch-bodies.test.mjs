// SPDX-License-Identifier: MIT
// Bodies by fetch(), with a guest or a server that is slow, early or gone.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Guest, bytesOf, get, last, recorder, settled, untilAborted } from './fake-guest.mjs';

test('a guest that reads slowly holds the server up', async () => {
  let pulls = 0;
  const answer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          ++pulls;
          if (pulls > 40) controller.close();
          else controller.enqueue(new Uint8Array(65_536).fill(120));
        },
      }),
    );
  const connection = await new Guest(recorder(answer)).open('example.org', 70_000);
  connection.send(get('/', last));
  await connection.until(({ end }) => end.window === 0);
  await settled();
  assert(pulls <= 4, `${pulls} parts were read`);
  // To take nothing is no news.
  connection.end.read(0);
  connection.end.read(0);
  await settled();
  assert(pulls <= 4, `${pulls} parts were read`);
  while (connection.state === 'opened') {
    connection.end.read(30_001);
    await settled();
  }
  assert.equal(connection.state, 'finished');
  assert.equal(connection.text.match(/x/g).length, 40 * 65_536);
});

test('a guest may have room again before it is known that it had none', async () => {
  const guest = new Guest(recorder(() => new Response('~'.repeat(100_000))));
  const connection = await guest.open('example.org', 1000);
  // Within the call of data().
  const { end } = connection;
  end.wake = () => {
    if (end.window === 0) end.read(1000);
    Object.getPrototypeOf(end).wake.call(end);
  };
  connection.send(get('/', last));
  await connection.until(({ state }) => state === 'finished');
  assert.equal(connection.text.match(/~/g).length, 100_000);
});

test('bodies that are too long for the memory are refused, those of all connections together', async () => {
  const fetch = recorder(untilAborted);
  const guest = new Guest(fetch);
  const post = (length) => `POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: ${length}\r\n\r\n`;
  const first = await guest.open();
  first.send(post(40 << 20));
  await first.sendAll(new Uint8Array(40 << 20));
  await settled();
  assert.equal(fetch.calls[0].body.length, 40 << 20);
  const second = await guest.open();
  second.send(post(40 << 20));
  void second.sendAll(new Uint8Array(40 << 20));
  await second.until(({ state }) => state === 'finished');
  assert.match(second.text, /^HTTP\/1.1 413 /);
  second.close();
  // There is room again when the first has gone.
  first.close();
  const third = await guest.open();
  third.send(post(40 << 20));
  await third.sendAll(new Uint8Array(40 << 20));
  await settled();
  assert.equal(fetch.calls[1].body.length, 40 << 20);
});

test('long bodies go out while they come, where the engine does that', async () => {
  const total = 20 << 20;
  let reader;
  const fetch = recorder((_, { body, duplex }) => {
    assert.equal(duplex, 'half');
    reader = body.getReader();
    return new Promise((resolve) => {
      fetch.answer = () => resolve(new Response('done'));
    });
  });
  const connection = await new Guest(fetch, { streams: true }).open();
  connection.send(`PUT / HTTP/1.1\r\nHost: example.org\r\nContent-Length: ${total}\r\n\r\n`);
  let sent = 0;
  const part = new Uint8Array(16_384);
  const fill = async () => {
    for (await settled(); connection.room >= part.length && sent < total; await settled()) {
      connection.send(part.slice().fill((sent += part.length) / part.length));
      if (connection.room < part.length) await settled();
    }
  };
  await fill();
  // A window more than is collected, and what the stream holds itself.
  assert(sent >= 8 << 20 && sent < (8 << 20) + 600_000, `${sent} bytes were sent`);
  let got = 0;
  for (let read; !(read = await reader.read()).done; await fill()) got += read.value.length;
  assert.equal(got, total);
  fetch.answer();
  await connection.until(({ text }) => text.includes('done'));
  // The connection goes on.
  connection.send(get());
  await settled();
  assert.equal(fetch.calls.length, 2);
});

test('a body on its way that breaks, or is not wanted, ends the connection', async () => {
  const head = 'PUT / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n900000\r\n';
  const all = async (_, { body }) => {
    try {
      for await (const bytes of body) assert(bytes.length > 0);
    } catch (error) {
      throw new TypeError('Failed to fetch', { cause: error });
    }
    return new Response('done');
  };
  const broken = await new Guest(recorder(all), { streams: true }).open();
  broken.send(head);
  await broken.sendAll(new Uint8Array(0x900000));
  await broken.sendAll(bytesOf('\r\nnonsense\r\n'));
  assert.match((await broken.until(({ state }) => state === 'finished')).text, /^HTTP\/1.1 400 a chunk has no size/);
  let stream;
  const early = recorder((_, { body }) => {
    stream = body;
    return new Response('no', { status: 401 });
  });
  const unwanted = await new Guest(early, { streams: true }).open();
  unwanted.send(head);
  await unwanted.sendAll(new Uint8Array(0x900000 - 1));
  await unwanted.until(({ state }) => state === 'finished');
  assert.match(unwanted.text, /^HTTP\/1.1 401 [^]*connection: close/);
  const reader = stream.getReader();
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  });
});

test('a connection that closes takes its request with it', async () => {
  const guest = new Guest(recorder(untilAborted));
  const waiting = await guest.open();
  waiting.send(get());
  await settled();
  waiting.close();
  await settled();
  // In the middle of a response, and of a body.
  let cancelled = 0;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(1000)),
        cancel: () => void ++cancelled,
      }),
    );
  const other = new Guest(recorder(endless));
  const reading = await other.open('example.org', 100_000);
  reading.send(get());
  await reading.until(({ end }) => end.window === 0);
  reading.close();
  await settled();
  assert.equal(cancelled, 1);
  const writing = await other.open();
  writing.send('PUT / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 10\r\n\r\nabc');
  await settled();
  writing.close();
  // All at once, before one has begun, and with a number that is used again.
  const started = other.start('example.org');
  started.close();
  await settled();
  // From within the call that brings the last bytes.
  const ending = await new Guest(recorder()).open();
  ending.end.wake = () => {
    if (ending.text.endsWith('0\r\n\r\n') && ending.state !== 'closed') ending.close();
  };
  ending.send(get('/', last));
  await settled();
  await settled();
  assert.equal(ending.state, 'closed');
  other.start('example.org').close();
  other.translator.nextId -= 1;
  await other.start('example.org').until(({ state }) => state === 'opened');
  other.translator.call(() => other.backend.close());
  other.translator.ends.clear();
  await settled();
});

test("Node.js's own fetch decodes, uploads and fails as it should", async (suite) => {
  const server = createServer((request, response) => {
    if (request.url === '/gzip')
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('decoded'.repeat(1000)));
    else if (request.url === '/cut')
      response.writeHead(200, { 'Content-Length': '10' }).write('abc', () => response.destroy());
    else {
      let length = 0;
      request.on('data', (bytes) => void (length += bytes.length));
      request.on('end', () => response.end(`${request.method} ${length} ${request.headers['user-agent']}`));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(() => server.close());
  const to = `http://127.0.0.1:${server.address().port}`;
  const real = (url, init) => fetch(url.replace('https://example.org', to), init);
  const guest = new Guest(real, { streams: undefined });
  const coded = await guest.ask(get('/gzip', last));
  assert.equal(coded.text.match(/decoded/g).length, 1000);
  assert.doesNotMatch(coded.text, /content-encoding/);
  assert.equal((await guest.ask(get('/cut', last))).state, 'aborted');
  for (const length of [0, 1000, 12 << 20]) {
    const connection = await guest.open();
    connection.send(`PUT / HTTP/1.1\r\nHost: example.org\r\nContent-Length: ${length}\r\n${last}\r\n`);
    await connection.sendAll(new Uint8Array(length));
    await connection.until(({ state }) => state === 'finished');
    assert.match(connection.text, new RegExp(`PUT ${length} `));
  }
  // Nobody listens any more, and no connection is left.
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  const away = new Guest((url, init) =>
    fetch(url.replace('https://example.org', to.replace('127.0.0.1', '127.0.0.2')), init),
  );
  assert.match((await away.ask(get())).text, /^HTTP\/1.1 502 .*ECONNREFUSED/);
});
