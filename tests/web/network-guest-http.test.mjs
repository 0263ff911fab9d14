// SPDX-License-Identifier: MIT
// Requests to servers in the guest, which are slow, early, gone or lie.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { bytesOf, fails, fakeServer, ok, request, settled } from './fake-server.mjs';
import { source } from './source.mjs';

const { GuestHttp, fetchGuest } = await source('network/guest-http.ts');

const streamOf = (pull, others = {}) => ({
  method: 'POST',
  duplex: 'half',
  body: new ReadableStream({ pull, ...others }, { highWaterMark: 0 }),
});

/** A server of Node.js, and how to connect to it. */
async function realServer(suite, serve) {
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const real = { count: 0, port: server.address().port, server };
  real.connect = async (port) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    ++real.count;
    return Duplex.toWeb(socket);
  };
  return real;
}

test('a server of Node.js gets requests of each kind', async (suite) => {
  const { connect, port } = await realServer(suite, async (request, response) => {
    const { method, url, headers } = request;
    if (url === '/none') return response.writeHead(204).end();
    if (url === '/moved') return response.writeHead(302, { Location: '/there' }).end();
    if (url === '/echo') return request.pipe(response.writeHead(201, 'Made', { 'X-A': ['b', 'c'] }));
    let length = 0;
    for await (const bytes of request) length += bytes.length;
    const { host, 'content-length': known, 'transfer-encoding': coding, 'x-mine': mine } = headers;
    return response.end(JSON.stringify([method, url, length, host, known, coding, mine, headers['accept-encoding']]));
  });
  const http = new GuestHttp(connect);
  const answer = async (...others) => JSON.parse(await (await http.fetch(port, request(...others))).text());
  const headers = { 'X-Mine': 'a', TE: 'trailers', 'X-Hop': '1', Connection: 'X-Hop', 'Keep-Alive': '5' };
  const [host, none] = ['guest:8080', null];
  assert.deepEqual(await answer('/a?b=c#d', { headers }), [...['GET', '/a?b=c', 0, host, none, none, 'a', 'identity']]);
  const post = (length) => answer('/', { method: 'POST', body: new Uint8Array(length) });
  for (const length of [0, 1, 100_000, 1 << 20])
    assert.deepEqual((await post(length)).slice(2, 6), [length, host, String(length), none]);
  assert.deepEqual((await post(5 << 20)).slice(2, 6), [5 << 20, host, none, 'chunked']);
  assert.deepEqual((await answer('/', { method: 'DELETE' })).slice(0, 6), ['DELETE', '/', 0, host, '0', none]);
  const head = await http.fetch(port, request('/', { method: 'HEAD' }));
  assert.deepEqual([head.status, await head.text()], [200, '']);
  const empty = await http.fetch(port, request('/none'));
  assert.deepEqual([empty.status, empty.body], [204, null]);
  const moved = await http.fetch(port, request('/moved'));
  assert.deepEqual([moved.status, moved.headers.get('location')], [302, '/there']);
  const body = new Uint8Array(20 << 20).map((_, at) => at * 7919);
  const echo = await http.fetch(port, request('/echo', { method: 'PUT', body }));
  assert.deepEqual([echo.status, echo.statusText, echo.headers.get('x-a')], [201, 'Made', 'b, c']);
  assert(Buffer.from(await echo.arrayBuffer()).equals(body));
  http.close();
  await fails(http.fetch(port, request()), 'closed');
  // Many at a time, over a few connections.
  const counted = await realServer(suite, (_, response) => response.end('x'.repeat(100)));
  const texts = await Promise.all(
    Array.from({ length: 500 }, async () => (await fetchGuest(counted.connect, counted.port, request())).text()),
  );
  assert(texts.every((text) => text.length === 100));
  assert(counted.count <= 32, `${counted.count} connections`);
});

test('bodies are sent where a request has no stream', async () => {
  const server = fakeServer(async (peer) => {
    assert.match(await peer.request(), /\r\ncontent-length: 3\r\n/);
    await peer.until(/^abc$/);
    await peer.write(ok('got it'));
  });
  const post = request('/', { method: 'POST', body: 'abc' });
  // As in Firefox.
  Object.defineProperty(post, 'body', { value: undefined });
  assert.equal(await (await new GuestHttp(server.connect).fetch(80, post)).text(), 'got it');
  assert.deepEqual(server.errors, []);
});

test('how many requests a server of Node.js gets in a second', async (suite) => {
  const body = Buffer.alloc(1024, 120);
  const real = await realServer(suite, (_, response) => {
    response.setHeader('Content-Length', body.length);
    response.end(body);
  });
  const http = new GuestHttp(real.connect);
  const one = async () => assert.equal((await (await http.fetch(real.port, request())).arrayBuffer()).byteLength, 1024);
  for (const parallel of [1, 8]) {
    const start = performance.now();
    let left = 3000;
    const some = async () => {
      while (left-- > 0) await one();
    };
    await Promise.all(Array.from({ length: parallel }, some));
    suite.diagnostic(`${parallel} at a time: ${Math.round(3e6 / (performance.now() - start))} requests/s`);
  }
  assert(real.count <= 9);
  http.close();
});

test('a response is the same in any pieces', async () => {
  const chunked =
    'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n';
  for (const [response, body, ends] of [
    [ok('hello'), 'hello'],
    [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n${chunked}`, 'abcde'],
    ['HTTP/1.0 200 OK\nContent-Type: text/html\n\nold', 'old', true],
  ])
    for (let split = 1; split < response.length; ++split) {
      const server = fakeServer(async (peer) => {
        for (;;) {
          await peer.request();
          await peer.write(response.slice(0, split));
          await settled();
          await peer.write(response.slice(split));
          if (ends === true) await peer.end();
        }
      });
      const http = new GuestHttp(server.connect);
      for (let count = 0; count < 2; ++count)
        assert.equal(await (await http.fetch(80, request())).text(), body, `split at ${split}`);
      assert.equal(server.count, ends === true ? 2 : 1);
      http.close();
    }
});

test('servers that lie are errors, and their connections are not used again', async () => {
  const large = 'x'.repeat(70_000);
  for (const [response, code, isInBody] of [
    ['', 'ended'],
    ['HTTP/1.1 200 O', 'ended'],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'ended'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', 'ended', true],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc', 'ended', true],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'ended', true],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n', 'ended', true],
    ['SSH-2.0-dropbear\r\n', 'malformed'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 'malformed'],
    ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'malformed'],
    [`HTTP/1.1 200 OK\r\nA: ${large}`, 'malformed'],
    ['HTTP/1.1 102 Wait\r\n\r\n'.repeat(100), 'malformed'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n', 'malformed', true],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', 'malformed', true],
  ]) {
    for (const isWhole of [true, false]) {
      const server = fakeServer(async (peer, number) => {
        await peer.request();
        if (number > 1) await peer.write(ok('fine'));
        else if (isWhole) await peer.write(response);
        else for (const character of response) await peer.write(character);
        if (number === 1) await peer.end();
      });
      const http = new GuestHttp(server.connect);
      const all = async () => {
        const { status, body } = await http.fetch(80, request());
        assert(isInBody === true && status === 200, response);
        for await (const bytes of body) assert(bytes.length > 0);
      };
      await fails(all(), code);
      assert.equal(await (await http.fetch(80, request())).text(), 'fine', response);
      assert.equal(server.count, 2);
      http.close();
    }
  }
  // More than was asked for.
  for (const more of [ok('two'), 'x', '\r\n']) {
    const server = fakeServer(async (peer) => {
      await peer.request();
      await peer.write(`${ok('one')}${more}`);
      await peer.closed;
    });
    const http = new GuestHttp(server.connect);
    for (let count = 0; count < 2; ++count) assert.equal(await (await http.fetch(80, request())).text(), 'one');
    assert.equal(server.count, 2);
    http.close();
  }
});

test('a reader that is slow holds the server up', async () => {
  let written = 0;
  const server = fakeServer(async (peer) => {
    await peer.request();
    await peer.write('HTTP/1.1 200 OK\r\n\r\n');
    for (; written < 200; ++written) await peer.write(new Uint8Array(65_536));
    await peer.end();
  });
  const { body } = await new GuestHttp(server.connect).fetch(80, request());
  const reader = body.getReader();
  let length = (await reader.read()).value.length;
  await settled();
  assert(written <= 4, `${written} parts were read`);
  for (let read; !(read = await reader.read()).done;) length += read.value.length;
  assert.equal(length, 200 * 65_536);
});

test('a server that is slow holds the sender of a body up', async () => {
  let pulls = 0;
  let goOn;
  const server = fakeServer(async (peer) => {
    assert.match(await peer.request(), /\r\ntransfer-encoding: chunked\r\n/);
    await new Promise((resolve) => void (goOn = resolve));
    await peer.until(/\r\n0\r\n\r\n$/);
    await peer.write(ok('got it'));
  });
  const body = streamOf((controller) => {
    if (++pulls <= 100) controller.enqueue(new Uint8Array(65_536));
    else controller.close();
  });
  const response = new GuestHttp(server.connect).fetch(80, request('/', body));
  for (let before = -1; before !== pulls;) {
    before = pulls;
    await settled();
  }
  // What is collected at first, and a little.
  assert(pulls <= 20, `${pulls} parts were taken`);
  goOn();
  assert.equal(await (await response).text(), 'got it');
  assert.deepEqual(server.errors, []);
});

test('a signal ends what is under way, with its reason', async () => {
  const reason = new Error('enough');
  const aborts = (promise) => assert.rejects(promise, (error) => error === reason);
  const aborted = (init = {}) => {
    const controller = new AbortController();
    return [request('/', { ...init, signal: controller.signal }), () => controller.abort(reason)];
  };
  const gone = [];
  const server = fakeServer(async (peer, _, port) => {
    gone.push(peer.closed);
    await peer.request();
    if (port === 80) await peer.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc');
  });
  const http = new GuestHttp(server.connect);
  const [early, abortEarly] = aborted();
  abortEarly();
  await aborts(http.fetch(80, early));
  assert.equal(server.count, 0);
  // While it waits for the head.
  const [first, abortFirst] = aborted();
  const response = http.fetch(81, first);
  await settled();
  abortFirst();
  await aborts(response);
  assert.equal(await gone[0], 'cut off');
  // In the middle of the body, whether or not somebody reads.
  for (const isReading of [true, false]) {
    const [second, abortSecond] = aborted();
    const { body } = await http.fetch(80, second);
    const reader = body.getReader();
    assert.equal((await reader.read()).value.length, 3);
    const reading = isReading ? reader.read() : undefined;
    await settled();
    abortSecond();
    await aborts(reading ?? reader.read());
    assert.equal(await gone.at(-1), 'cut off');
  }
  // Cancelled by the reader itself.
  const { body } = await http.fetch(80, request());
  await body.cancel(reason);
  assert.equal(await gone.at(-1), 'cut off');
  // While the body of the request is read, at first and later.
  for (const most of [1, 40]) {
    let pulls = 0;
    let cancelled;
    const source = streamOf(
      (controller) => (++pulls <= most ? controller.enqueue(new Uint8Array(65_536)) : new Promise(() => {})),
      { cancel: (why) => void (cancelled = why ?? 'cancelled') },
    );
    const [sending, abortSending] = aborted(source);
    const sent = http.fetch(81, sending);
    await settled();
    abortSending();
    await aborts(sent);
    await settled();
    assert(cancelled !== undefined);
  }
  // While it connects: the connection comes too late.
  let end;
  const late = new GuestHttp(
    (port) =>
      new Promise((resolve) => {
        end = async () => resolve(await server.connect(port));
      }),
  );
  const [third, abortThird] = aborted();
  const connecting = late.fetch(80, third);
  await settled();
  abortThird();
  await aborts(connecting);
  await end();
  await settled();
  assert.equal(await gone.at(-1), 'cut off');
});

test('a body that fails is the error', async () => {
  const cause = new Error('the source is gone');
  for (const good of [0, 40]) {
    let pulls = 0;
    const server = fakeServer(async (peer) => {
      for (;;) await peer.read();
    });
    const body = streamOf((controller) => {
      if (++pulls > good) controller.error(cause);
      else controller.enqueue(new Uint8Array(65_536));
    });
    await assert.rejects(new GuestHttp(server.connect).fetch(80, request('/', body)), { code: 'body', cause });
  }
});

test('a response that comes before the end of the request is one', async () => {
  let cancelled = 0;
  const server = fakeServer(async (peer, number) => {
    await peer.request();
    await peer.write(number === 1 ? 'HTTP/1.1 413 Too long\r\nContent-Length: 2\r\n\r\nno' : ok('yes'));
    if (number === 1) await peer.closed;
  });
  const http = new GuestHttp(server.connect);
  let pulls = 0;
  const body = streamOf(
    (controller) => (++pulls <= 20 ? controller.enqueue(new Uint8Array(65_536)) : new Promise(() => {})),
    { cancel: () => void ++cancelled },
  );
  const response = await http.fetch(80, request('/', body));
  assert.deepEqual([response.status, await response.text()], [413, 'no']);
  await settled();
  assert.equal(cancelled, 1);
  // The rest of the request is not there for the next.
  assert.equal(await (await http.fetch(80, request())).text(), 'yes');
  assert.equal(server.count, 2);
});

test('another protocol takes the connection over', async () => {
  const fields = [
    ['host', 'guest'],
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ];
  const gone = [];
  const server = fakeServer(async (peer, _, port) => {
    gone.push(peer.closed);
    assert.match(
      await peer.request(),
      /^GET \/chat HTTP\/1.1\r\nhost: guest\r\nconnection: Upgrade\r\nupgrade: websocket\r\n/,
    );
    if (port === 80) await peer.write('HTTP/1.1 426 Not here\r\nContent-Length: 0\r\n\r\n');
    if (port === 82) await peer.write('HTTP/1.1 101 Yes\r\n');
    if (port !== 81) return;
    await peer.write('HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\nfirst');
    for (let bytes; (bytes = await peer.read()) !== undefined;) await peer.write(bytes);
    await peer.write('last');
    await peer.end();
  });
  const http = new GuestHttp(server.connect);
  await assert.rejects(http.upgrade(80, '/chat', fields), { code: 'not-upgraded', status: 426 });
  assert.equal(await gone[0], 'cut off');
  const { head, readable, writable } = await http.upgrade(81, '/chat', fields);
  assert.deepEqual([head.status, head.fields], [101, [['upgrade', 'websocket']]]);
  const reader = readable.getReader();
  const read = async () => Buffer.from((await reader.read()).value ?? '').toString();
  assert.equal(await read(), 'first');
  const writer = writable.getWriter();
  void writer.write(bytesOf('\0\x81'));
  assert.equal(await read(), '\0\ufffd');
  // It is no longer among those of the client.
  http.close();
  void writer.close();
  assert.equal(await read(), 'last');
  assert((await reader.read()).done);
  assert.deepEqual(server.errors, []);
  const controller = new AbortController();
  const other = new GuestHttp(server.connect).upgrade(82, '/chat', fields, controller.signal);
  await settled();
  controller.abort();
  await assert.rejects(other, { name: 'AbortError' });
  await assert.rejects(new GuestHttp(server.connect).upgrade(82, '/a b', fields), { name: 'HttpError' });
});
