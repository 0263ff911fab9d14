// SPDX-License-Identifier: MIT
// fetch() of Node.js for guests (network/node-fetch.ts): what the policy keeps from them, by whatever way they try.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FakeTranslator } from './fake-translator.mjs';
import { bytesOf, get, last } from './fake-guest.mjs';
import { source } from './source.mjs';

const { NodeFetch } = await source('network/node-fetch.ts');
const { openNodeFetch } = await source('network/fetch-network.ts');

/** A server on loopback: its port, and what it was asked. */
async function serverFor(t, answer, host = '127.0.0.1') {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push({ method: request.method, url: request.url, headers: request.headers, body });
    answer(request, response);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: server.address().port, asked };
}

/**
 * A fetch() whose names have these addresses, in turn. The policy says what is asked of it, and allows 127.0.0.1 alone: the
 * real one never does.
 */
function guarded(t, names = {}, allows = (address) => address === '127.0.0.1') {
  const asked = [];
  const turns = {};
  const node = new NodeFetch({
    policy: {
      allows: (address, port, ...of) => asked.push([address, port, ...of].join(' ')) > 0 && allows(address, port),
    },
    names: {
      async resolve(name, ipv6) {
        if (ipv6) return { addresses: [], seconds: 0 };
        const all = names[name];
        if (all === undefined) return undefined;
        turns[name] = (turns[name] ?? -1) + 1;
        return { addresses: all[Math.min(turns[name], all.length - 1)], seconds: 0 };
      },
    },
  });
  t.after(() => node.close());
  const fetch = (url, init = {}) => node.fetch(url, { method: 'GET', headers: [], body: null, ...init });
  return { fetch, asked };
}

test('a response, as that of fetch()', async (t) => {
  const { port, asked } = await serverFor(t, (_, response) =>
    response.writeHead(201, 'Made', { 'X-A': 'b', 'Set-Cookie': ['c=1', 'd=2'] }).end('hello'),
  );
  const { fetch } = guarded(t, { 'a.example': [['127.0.0.1']] });
  const url = `http://a.example:${port}/b?c`;
  const response = await fetch(url, { method: 'PUT', headers: [['x-mine', '1']], body: bytesOf('body') });
  const { status, statusText, redirected, headers } = response;
  assert.deepEqual([status, statusText, response.url, redirected], [201, 'Made', url, false]);
  assert.equal(headers.get('x-a'), 'b');
  assert.deepEqual(headers.getSetCookie(), ['c=1', 'd=2']);
  assert.equal(await response.text(), 'hello');
  const [{ method, headers: sent, body, url: path }] = asked;
  assert.deepEqual([method, path, body, sent.host, sent['x-mine']], ['PUT', '/b?c', 'body', `a.example:${port}`, '1']);
  assert.equal(sent['accept-encoding'], 'identity');
  // A stream as a body, and no body at all.
  const stream = new Blob(['str', 'eam']).stream();
  await (await fetch(url, { method: 'POST', body: stream, duplex: 'half' })).text();
  assert.deepEqual([asked[1].body, asked[1].headers['transfer-encoding']], ['stream', 'chunked']);
  assert.equal((await fetch(url, { method: 'HEAD' })).body, null);
});

test('encodings that nobody has asked for', async (t) => {
  const encoded = { gzip: gzipSync('hello'), x: 'hello', 'gzip-cut': gzipSync('hello').subarray(0, 12) };
  const { port } = await serverFor(t, ({ url }, response) => {
    const encoding = url.slice(1);
    response.writeHead(200, { 'Content-Encoding': encoding.replace('-cut', '') }).end(encoded[encoding]);
  });
  const { fetch } = guarded(t);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/gzip`)).text(), 'hello');
  await assert.rejects(fetch(`http://127.0.0.1:${port}/x`), /encodes with "x"/);
  await assert.rejects((await fetch(`http://127.0.0.1:${port}/gzip-cut`)).text());
});

test('the address that was checked is the one that is connected to', async (t) => {
  const right = await serverFor(t, (_, response) => response.end('right'));
  const { port } = right;
  const wrong = await new Promise((resolve) => {
    const server = createServer((_, response) => response.end('wrong')).listen(port, '127.0.0.2', () =>
      resolve(server),
    );
  });
  t.after(() => (wrong.close(), wrong.closeAllConnections()));
  const { fetch, asked } = guarded(t, {
    // A name server that says something else each time.
    'rebind.example': [['127.0.0.1'], ['127.0.0.2']],
    'mixed.example': [['127.0.0.2', '127.0.0.1']],
    'gateway.example': [['10.0.2.2']],
  });
  assert.equal(await (await fetch(`http://rebind.example:${port}/`)).text(), 'right');
  await assert.rejects(fetch(`http://rebind.example:${port}/`), { status: 403 });
  assert.equal(await (await fetch(`http://mixed.example:${port}/`)).text(), 'right');
  await assert.rejects(fetch(`http://gateway.example:${port}/`), { status: 403 });
  await assert.rejects(fetch(`http://nobody.example:${port}/`), /nobody has this name/);
  assert.deepEqual(asked, [
    `127.0.0.1 ${port} rebind.example`,
    `127.0.0.2 ${port} rebind.example`,
    `127.0.0.2 ${port} mixed.example`,
    `127.0.0.1 ${port} mixed.example`,
  ]);
});

test('every spelling of an address is that address', async (t) => {
  const { fetch, asked } = guarded(t, {}, () => false);
  for (const [host, address] of [
    ['2130706434', '127.0.0.2'],
    ['0x7f.2', '127.0.0.2'],
    ['0177.0.0.2', '127.0.0.2'],
    ['127.2', '127.0.0.2'],
    ['127.0.0.2.', '127.0.0.2'],
    ['１２７.0.0.2', '127.0.0.2'],
    ['0', '0.0.0.0'],
    ['[::ffff:7f00:2]', '127.0.0.2'],
    ['[0:0::1]', '::1'],
    ['[64:ff9b::7f00:2]', '64:ff9b::7f00:2'],
  ]) {
    await assert.rejects(fetch(`http://${host}:81/`), { status: 403 }, host);
    assert.equal(asked.pop(), `${address} 81`);
  }
  for (const host of ['[fe80::1%25eth0]', '[::1', 'a b']) await assert.rejects(fetch(`http://${host}/`), TypeError);
  assert.deepEqual(asked, []);
});

test('redirects are looked at as the first address was', async (t) => {
  const to = {};
  const { port, asked } = await serverFor(t, ({ url }, response) => {
    const [status, location] = to[url] ?? [200];
    response.writeHead(status, location === undefined ? {} : { location }).end('the end');
  });
  const { fetch } = guarded(t, { 'a.example': [['127.0.0.1']], 'private.example': [['192.168.0.1']] });
  const here = `http://127.0.0.1:${port}`;
  Object.assign(to, {
    '/there': [302, '/end'],
    '/other': [307, `http://a.example:${port}/end`],
    '/see': [303, '/end'],
    '/private': [302, 'http://192.168.0.1/'],
    '/named': [301, 'http://private.example/'],
    '/metadata': [308, 'http://169.254.169.254/latest/'],
    '/file': [302, 'file:///etc/passwd'],
    '/password': [302, `http://a:b@a.example:${port}/end`],
    '/wrong': [302, 'http://[/'],
    '/loop': [302, '/loop'],
  });
  const there = await fetch(`${here}/there`);
  assert.deepEqual([there.url, there.redirected, await there.text()], [`${here}/end`, true, 'the end']);
  for (const path of ['private', 'named', 'metadata']) await assert.rejects(fetch(`${here}/${path}`), { status: 403 });
  for (const [path, error] of [
    ['file', /redirects to file:/],
    ['password', /with a password/],
    ['wrong', /no address/],
    ['loop', /without an end/],
  ])
    await assert.rejects(fetch(`${here}/${path}`), error);
  assert.equal(asked.filter(({ url }) => url === '/loop').length, 21);
  // What is sent again, and to whom.
  const headers = [
    ['authorization', 'secret'],
    ['content-type', 'text/plain'],
  ];
  const post = async (path) => {
    await (await fetch(here + path, { method: 'POST', headers, body: bytesOf('body') })).text();
    const { method, body, headers: got } = asked.at(-1);
    return [method, body, got.authorization, got['content-type']];
  };
  assert.deepEqual(await post('/there'), ['GET', '', 'secret', undefined]);
  assert.deepEqual(await post('/see'), ['GET', '', 'secret', undefined]);
  assert.deepEqual(await post('/other'), ['POST', 'body', undefined, 'text/plain']);
  const stream = () => new Blob(['x']).stream();
  await assert.rejects(fetch(`${here}/other`, { method: 'POST', body: stream() }), /what was sent already/);
});

test('a request that is given up ends its connection', async (t) => {
  const closed = Promise.withResolvers();
  const { port } = await serverFor(t, (request, response) => {
    response.on('close', closed.resolve);
    if (request.url === '/body') response.write('some');
  });
  const { fetch } = guarded(t);
  const abort = new AbortController();
  const pending = fetch(`http://127.0.0.1:${port}/`, { signal: abort.signal });
  setImmediate(() => abort.abort());
  await assert.rejects(pending, { name: 'AbortError' });
  const other = new AbortController();
  const response = await fetch(`http://127.0.0.1:${port}/body`, { signal: other.signal });
  other.abort();
  await assert.rejects(response.text());
  await closed.promise;
});

test('the network of a guest in Node.js: names of the internet, and this computer if that is allowed', async (t) => {
  const { port, asked } = await serverFor(t, (_, response) => response.end('hello'));
  const ask = async (options, address, to, text) => {
    const translator = new FakeTranslator();
    const network = openNodeFetch({ type: 'fetch', ...options }, translator.events);
    translator.backend = network.flows;
    t.after(() => network.close());
    const end = translator.open(address, to);
    await end.until(() => end.log.length > 0);
    if (end.log[0] !== 'opened') return end.log[0];
    await end.send(bytesOf(text));
    await end.event('finished');
    return end.text;
  };
  const own = `127.0.0.1:${port}`;
  assert.match(await ask({ allow: ['host'] }, '10.0.2.2', port, get('/a', last, `10.0.2.2:${port}`)), /\r\n\r\nhello$/);
  assert.match(
    await ask({ allow: [`host:${port}`] }, 'fd00::2', port, get('/b', last, 'whoever')),
    /^HTTP\/1.1 (200|502) /,
  );
  assert.equal(asked[0].url, '/a');
  assert.equal(await ask({}, '10.0.2.2', port, ''), 'failed refused');
  assert.equal(await ask({ allow: ['host'], deny: [`host:${port}`] }, '10.0.2.2', port, ''), 'failed refused');
  assert.equal(await ask({ allow: ['host'] }, '192.0.2.1', 443, ''), 'failed refused');
  for (const host of ['localhost', '127.0.0.1', '169.254.169.254', '192.168.0.1', '[::1]', '10.0.2.2', '0x7f.1', own])
    assert.match(await ask({}, '192.0.2.1', 80, get('/', last, host)), /^HTTP\/1.1 4(03|21) /, host);
  assert.match(await ask({}, '192.0.2.1', 80, get('/', last, 'no-such-name.invalid')), /^HTTP\/1.1 502 .*nobody has/);
});
