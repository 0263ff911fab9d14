// SPDX-License-Identifier: MIT
// The page's end of a preview (preview/bridge.ts), with a service worker that this test plays, and servers of Node.js.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { connect as connectSocket, createServer as createSocketServer } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { source } from './source.mjs';

const { WebSocketServer } = createRequire(new URL('../../web/package.json', import.meta.url))('ws');
const { PreviewBridge } = await source('preview/bridge.ts');
const { receivePieces, sendPieces } = await source('preview/pieces.ts');

const PAGE = { origin: 'https://example.org', credentialless: true };

/** A bridge to servers of this computer, which gets the requests of `ask` and the sockets of `open`. */
function start(suite, port, connect) {
  const bridge = new PreviewBridge(
    port,
    connect ??
      (async () => {
        const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true });
        await once(socket, 'connect').catch(() => {
          throw Object.assign(new Error('nobody listens'), { code: 'refused' });
        });
        return Duplex.toWeb(socket);
      }),
    PAGE,
  );
  const ports = [];
  suite.after(() => ports.forEach((each) => each.close()));
  const channel = () => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2);
    return [port1, port2];
  };
  const [control, other] = channel();
  const next = (from) =>
    new Promise((resolve) => (from.onmessage = ({ data, ports: [first] }) => resolve([data, first])));
  const welcome = next(control);
  bridge.serve(other);
  const ask = async (target, { method = 'GET', fields = [], body, isDocument = false } = {}) => {
    const [own, theirs] = channel();
    const transfer = [theirs];
    if (body !== undefined) {
      const [from, to] = channel();
      sendPieces(from, body);
      transfer.push(to);
    }
    const answer = next(own);
    const request = { type: 'request', method, target, fields, hasBody: body !== undefined, isDocument };
    control.postMessage(request, transfer);
    const [{ type, ...rest }, pieces] = await answer;
    assert.equal(type, 'answer');
    if (pieces !== undefined) ports.push(pieces);
    return { ...rest, fields: Object.fromEntries(rest.fields), own, stream: pieces && receivePieces(pieces) };
  };
  const open = (target, protocols = []) => {
    const [own, theirs] = channel();
    const events = [];
    const waiting = [];
    own.onmessage = ({ data }) => {
      events.push(data);
      for (const check of waiting.splice(0)) check();
    };
    control.postMessage({ type: 'socket', target, protocols }, [theirs]);
    const until = (type) =>
      new Promise((resolve) => {
        const check = () => {
          const found = events.findIndex((event) => event.type === type);
          if (found < 0) waiting.push(check);
          else resolve(events.splice(0, found + 1).at(-1));
        };
        check();
      });
    return { own, until, send: (data) => own.postMessage({ type: 'send', data }) };
  };
  return { bridge, welcome, control, ask, open };
}

const textOf = async ({ stream }) => {
  const parts = [];
  for await (const part of stream ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
};

async function serve(suite, handler, make = createServer) {
  const server = make(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return { server, port: server.address().port };
}

test('requests and answers', async (suite) => {
  const seen = [];
  const { port } = await serve(suite, async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    seen.push({ method: request.method, url: request.url, headers: request.headers, body });
    const answers = {
      '/html': [200, { 'Content-Type': 'text/html', 'Set-Cookie': ['a=1; Path=/', 'b=2'] }, '<!doctype html><p>hello'],
      '/far': [302, { Location: `http://localhost:${port}/near` }, ''],
      '/brotli': [200, { 'Content-Encoding': 'br' }, 'x'],
      '/empty': [204, {}, undefined],
    };
    const [status, headers, text] = answers[request.url.split('?')[0]] ?? [404, {}, 'none'];
    response.writeHead(status, headers).end(text);
  });
  const { welcome, ask } = start(suite, port);
  assert.deepEqual((await welcome)[0], { type: 'welcome' });

  const html = await ask('/html?x', {
    isDocument: true,
    fields: [
      ['accept', 'text/html'],
      ['host', 'evil'],
      ['cookie', 'evil=1'],
      ['connection', 'upgrade'],
    ],
  });
  assert.equal(html.status, 200);
  assert.equal(await textOf(html), '<!doctype html><script src="/auklet-preview-socket.js"></script><p>hello');
  assert.equal(html.fields['cross-origin-embedder-policy'], 'credentialless');
  assert.equal(html.fields['set-cookie'], undefined);
  const [{ headers }] = seen.splice(0);
  assert.equal(headers.host, `localhost:${port}`);
  assert.equal(headers.cookie, undefined);
  assert.equal(headers.accept, 'text/html');
  assert.equal(headers['accept-encoding'], 'identity');

  // A part of a document gets no script, and the cookies go with it.
  assert.equal(await textOf(await ask('/html')), '<!doctype html><p>hello');
  assert.equal(seen.splice(0)[0].headers.cookie, 'a=1; b=2');

  const body = ReadableStream.from([Buffer.from('one '), Buffer.from('two')]);
  assert.equal((await ask('/form', { method: 'POST', body, fields: [['content-type', 'text/plain']] })).status, 404);
  const [post] = seen.splice(0);
  assert.equal(post.body, 'one two');
  assert.equal(post.headers.origin, `http://localhost:${port}`);
  assert.equal(post.headers['content-type'], 'text/plain');

  const far = await ask('/far');
  assert.deepEqual([far.status, far.fields.location], [302, '/near']);
  const empty = await ask('/empty');
  assert.deepEqual([empty.status, empty.stream], [204, undefined]);
  const brotli = await ask('/brotli');
  assert.equal(brotli.status, 502);
  assert.match(await textOf(brotli), /coding br/);
});

test('a body that streams, and an abort', async (suite) => {
  let closed;
  const wasClosed = new Promise((resolve) => (closed = resolve));
  const { server, port } = await serve(suite, (request, response) => {
    response.on('close', closed);
    response.writeHead(200).write('first');
    server.once('more', () => response.write('second'));
  });
  const { ask } = start(suite, port);
  const { stream, own } = await ask('/');
  const reader = stream.getReader();
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'first');
  server.emit('more');
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'second');
  own.postMessage({ type: 'abort' });
  await wasClosed;
  await assert.rejects(reader.read());
});

test('a coding that nobody has asked for holds no connection', async (suite) => {
  let closed;
  const wasClosed = new Promise((resolve) => (closed = resolve));
  const { port } = await serve(suite, (_, response) =>
    response.on('close', closed).writeHead(200, { 'Content-Encoding': 'br' }).write('x'),
  );
  const { ask } = start(suite, port);
  const answer = await ask('/');
  assert.equal(answer.status, 502);
  assert.match(await textOf(answer), /answers in the coding br/);
  await wasClosed;
});

test('nothing is left of a request', async (suite) => {
  const { port } = await serve(suite, (_, response) => response.end('x'));
  const { ask } = start(suite, port);
  const answer = await ask('/');
  const closed = once(answer.own, 'close');
  assert.equal(await textOf(answer), 'x');
  await closed;
});

test('nobody listens, and then somebody does', async (suite) => {
  const { port, server } = await serve(suite, (_, response) => response.end('here'));
  server.close();
  await once(server, 'close');
  const { bridge, ask } = start(suite, port);
  const refused = await ask('/', { isDocument: true });
  assert.equal(refused.status, 502);
  assert.match(await textOf(refused), new RegExp(`<h1>Nothing listens at port ${port}</h1>`));
  assert.equal(bridge.isWaiting, true);
  assert.match(await textOf(await ask('/x')), /^Nothing listens/);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(await textOf(await ask('/', { isDocument: true })), 'here');
  assert.equal(bridge.isWaiting, false);
});

test('the machine has ended', async (suite) => {
  const { ask } = start(suite, 80, () => Promise.reject(Object.assign(new Error('ended'), { code: 'halted' })));
  assert.match(await textOf(await ask('/', { isDocument: true })), /The machine has ended/);
});

test('a preview that lies', async (suite) => {
  const seen = [];
  const { port } = await serve(suite, (request, response) => {
    seen.push(request.url);
    response.end('ok');
  });
  const { ask, control, open } = start(suite, port);
  const wrong = [
    ['http://example.org/'],
    ['//x y'],
    [7],
    [`/${'x'.repeat(70_000)}`],
    ['/', { method: 'GET / HTTP/1.1\r\nx' }],
    ['/', { fields: [['a\r\nb', 'c']] }],
    ['/', { fields: [['a', 'b\r\nc: d']] }],
    ['/', { fields: 'text' }],
    ['/', { fields: [7] }],
    ['/', { fields: Array.from({ length: 201 }, () => ['a', 'b']) }],
  ];
  for (const [target, others] of wrong)
    assert.equal((await ask(target, others)).status, 502, JSON.stringify([target, others]));
  for (const message of [undefined, null, 7, {}, { type: 'request' }, { type: 'socket', target: '/', protocols: [] }])
    control.postMessage(message);
  for (const [target, protocols] of [
    ['nowhere', []],
    ['/', 7],
    ['/', ['a b']],
    ['/', Array.from({ length: 40 }, (_, n) => `p${n}`)],
  ])
    assert.equal((await open(target, protocols).until('close')).code, 1006);
  assert.deepEqual(seen, []);
  assert.equal((await ask('/fine')).status, 200);
});

test('more requests than are answered', async (suite) => {
  const { bridge, ask } = start(suite, 80, () => new Promise(() => {}));
  const asked = Array.from({ length: 1024 }, () => ask('/'));
  assert.equal((await ask('/')).status, 503);
  // A service worker that begins again begins with none.
  const { port1, port2 } = new MessageChannel();
  suite.after(() => port2.close());
  bridge.serve(port1);
  for (const { status } of await Promise.all(asked)) assert.equal(status, 502);
});

test('a service worker that begins again ends what was under way', async (suite) => {
  let closed;
  const wasClosed = new Promise((resolve) => (closed = resolve));
  const { port } = await serve(suite, (_, response) => response.on('close', closed).write('x'));
  const { bridge, ask } = start(suite, port);
  const { stream } = await ask('/');
  const reader = stream.getReader();
  await reader.read();
  const { port1, port2 } = new MessageChannel();
  suite.after(() => port2.close());
  bridge.serve(port1);
  await wasClosed;
});

test('WebSockets', async (suite) => {
  const { server, port } = await serve(suite, (_, response) => response.end());
  const sockets = new WebSocketServer({ server, handleProtocols: (names) => (names.has('chat') ? 'chat' : false) });
  const requests = [];
  const fromClient = [];
  sockets.on('connection', (socket, request) => {
    requests.push(request);
    fromClient.push(socket);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const { ask, open } = start(suite, port);

  await suite.test('text, bytes, pieces, pings', async () => {
    const one = open('/live?x', ['other', 'chat']);
    assert.deepEqual(await one.until('open'), { type: 'open', protocol: 'chat' });
    const { headers, url } = requests[0];
    assert.deepEqual([url, headers.host, headers.origin], ['/live?x', `localhost:${port}`, `http://localhost:${port}`]);
    one.send('hellö');
    assert.equal((await one.until('message')).data, 'hellö');
    const large = new Uint8Array(300_000).fill(7);
    one.send(large.slice().buffer);
    assert.deepEqual(new Uint8Array((await one.until('message')).data), large);
    const [server] = fromClient;
    server.send('first ', { fin: false });
    server.send('second', { fin: true });
    assert.equal((await one.until('message')).data, 'first second');
    server.ping('are you there');
    assert.equal(String((await once(server, 'pong'))[0]), 'are you there');
    one.own.postMessage({ type: 'close', code: 3001, reason: 'done' });
    const [code, reason] = await once(server, 'close');
    assert.deepEqual([code, String(reason)], [3001, 'done']);
    assert.deepEqual(await one.until('close'), { type: 'close', code: 3001, reason: 'done', wasClean: true });
  });

  await suite.test('the server closes, or is gone', async () => {
    const one = open('/');
    await one.until('open');
    fromClient.at(-1).close(1001, 'away');
    assert.deepEqual(await one.until('close'), { type: 'close', code: 1001, reason: 'away', wasClean: true });
    const two = open('/');
    await two.until('open');
    fromClient.at(-1).terminate();
    assert.deepEqual(await two.until('close'), { type: 'close', code: 1006, reason: '', wasClean: false });
  });

  await suite.test('a document that goes without a word leaves no connection', async () => {
    for (let count = 0; count < 65; ++count) {
      const one = open('/');
      await one.until('open');
      const closed = once(fromClient.at(-1), 'close');
      one.own.close();
      await closed;
    }
  });

  await suite.test('a document that does not listen holds the server back', async () => {
    const one = open('/');
    await one.until('open');
    const server = fromClient.at(-1);
    const piece = Buffer.alloc(1 << 20);
    for (let count = 0; count < 40; ++count) server.send(piece);
    for (let count = 0; count < 16; ++count) await one.until('message');
    let isThere = false;
    const late = one.until('message').finally(() => (isThere = true));
    // Much else comes through meanwhile.
    for (let count = 0; count < 50; ++count) assert.equal((await ask('/')).status, 200);
    assert(!isThere);
    one.own.postMessage({ type: 'taken', count: 1 << 20 });
    assert.equal((await late).data.byteLength, 1 << 20);
    server.terminate();
  });

  await suite.test('a server that does not speak it', async (part) => {
    const answers = [
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n',
      'HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n',
    ];
    for (const answer of answers) {
      const { port: liar } = await serve(
        part,
        (socket) => socket.on('error', () => {}).once('data', () => socket.end(answer)),
        createSocketServer,
      );
      const { code, wasClean } = await start(part, liar).open('/').until('close');
      assert.deepEqual([code, wasClean], [1006, false]);
    }
  });

  await suite.test('a server whose frames are wrong hears why', async (part) => {
    let told;
    const wasTold = new Promise((resolve) => (told = resolve));
    const { port: liar, server: lying } = await serve(part, (_, response) => response.end());
    const raw = new WebSocketServer({ server: lying });
    raw.on('connection', (socket, request) => {
      socket.on('close', (code) => told(code));
      request.socket.write(Buffer.from([0x83, 0x00]));
    });
    const { until } = start(part, liar).open('/');
    assert.equal((await until('close')).code, 1002);
    assert.equal(await wasTold, 1002);
  });

  await suite.test('nobody listens', async (part) => {
    assert.equal((await start(part, 1).open('/').until('close')).code, 1006);
  });
});
