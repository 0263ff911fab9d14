// SPDX-License-Identifier: MIT
// Requests of a guest that fetch() carries on: what goes out, and what comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { Guest, asFetched, bytesOf, get, last, recorder, settled } from './fake-guest.mjs';
import { source } from './source.mjs';

test('a request goes out as https, without what belongs to the guest or the page', async () => {
  const fetch = recorder(() => new Response('hello', { status: 201, statusText: 'Made', headers: { 'X-A': 'b' } }));
  const { text } = await new Guest(fetch).ask(
    get(
      '/a/../b?c=%20',
      [
        ...['User-Agent: x', 'Accept: */*', 'Cookie: a=b', 'Referer: http://x/', 'Origin: http://x', 'X-Mine: 1'],
        ...['Sec-Fetch-Mode: x', 'Proxy-Authorization: x', 'TE: trailers', 'Connection: X-Hop, close', 'X-Hop: 1'],
        ...['If-None-Match: "x"', 'Cache-Control: max-age=0', 'Accept-Encoding: gzip', 'Authorization: Basic x'],
        ...['If-Range: "x"', 'Range: bytes=5-', 'Upgrade: h2c', 'Via: x', 'If-Match: "y"', ''],
      ].join('\r\n'),
      'EXAMPLE.org:80',
    ),
  );
  const [{ signal, ...call }] = fetch.calls;
  assert(signal instanceof AbortSignal);
  assert.deepEqual(call, {
    url: 'https://example.org/b?c=%20',
    method: 'GET',
    headers: { accept: '*/*', 'x-mine': '1', authorization: 'Basic x', 'if-match': '"y"' },
    mode: 'cors',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    redirect: 'follow',
    cache: 'no-cache',
    body: undefined,
  });
  assert.equal(
    text,
    'HTTP/1.1 201 Made\r\ncontent-type: text/plain;charset=UTF-8\r\nx-a: b\r\ntransfer-encoding: chunked\r\n' +
      'connection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  );
});

test('http is only for pages that came so', async () => {
  for (const [options, url] of [
    [{ plain: true }, 'http://example.org/'],
    [{ plain: true, origin: 'http://localhost:8080' }, 'http://example.org/'],
    [{ plain: true, origin: 'https://page.example' }, 'https://example.org/'],
    [{ origin: 'http://localhost:8080' }, 'https://example.org/'],
  ]) {
    const fetch = recorder();
    await new Guest(fetch, options).ask(get('/', last));
    assert.equal(fetch.calls[0].url, url);
  }
});

test("the page's own origin has a name, and can only be read", async () => {
  const fetch = recorder();
  const guest = new Guest(fetch, { origin: 'https://page.example:8443' });
  const fields = `${last}If-None-Match: "x"\r\nUser-Agent: x\r\n`;
  await guest.ask(get('/packages/a.tar', fields, 'origin.auklet'), 'origin.auklet');
  const [{ url, mode, credentials, headers }] = fetch.calls;
  assert.deepEqual(
    [url, mode, credentials, headers],
    ['https://page.example:8443/packages/a.tar', 'same-origin', 'omit', { 'if-none-match': '"x"' }],
  );
  const post = (host) => `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`;
  assert.match((await guest.ask(post('origin.auklet'), 'origin.auklet')).text, /^HTTP\/1.1 403 .*can only be read/);
  // Nor by its public name.
  const other = new Guest(fetch, { origin: 'https://page.example' });
  assert.match((await other.ask(post('page.example'), 'page.example')).text, /^HTTP\/1.1 403 /);
  assert.equal(fetch.calls.length, 1);
  // The gateway is what this computer has for the guest.
  for (const address of ['10.0.2.2', 'fd00::2']) {
    const connection = await guest.start(address).until(({ state }) => state === 'opened');
    connection.send('GET /b HTTP/1.0\r\n\r\n');
    await connection.until(({ state }) => state === 'finished');
    assert.equal(fetch.calls.pop().url, 'https://page.example:8443/b');
  }
  // Without a page there is none.
  assert.equal(await new Guest(fetch).backend.resolve('origin.auklet', false), undefined);
  assert.match((await new Guest(fetch).ask(get('/', '', 'origin.auklet'))).text, /^HTTP\/1.1 404 /);
});

test('requests that fetch() cannot send get a page that says why', async () => {
  const fetch = recorder();
  const post = (fields) => `POST / HTTP/1.1\r\nHost: example.org\r\n${fields}\r\n`;
  for (const [text, expected] of [
    ['nonsense\r\n', /^HTTP\/1.1 400 this is no request of HTTP\/1.1\r\n/],
    [get('/', 'A : b\r\n'), /^HTTP\/1.1 400 /],
    ['GET / HTTP/3.0\r\n', /^HTTP\/1.1 505 /],
    [post('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), /^HTTP\/1.1 400 /],
    [`${post('Transfer-Encoding: chunked\r\n')}x\r\n`, /^HTTP\/1.1 400 /],
    ['CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n', /^HTTP\/1.1 501 .*CONNECT/],
    ['trace / HTTP/1.1\r\nHost: example.org\r\n\r\n', /^HTTP\/1.1 501 .*TRACE/],
    [get('/', 'Content-Length: 1\r\n'), /^HTTP\/1.1 501 .*no body/],
    [post('Expect: miracles\r\n'), /^HTTP\/1.1 417 /],
    ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1.1 400 /],
    [get('/a#b'), /^HTTP\/1.1 400 /],
    [get('https://example.org/'), /^HTTP\/1.1 400 /],
    ...['', 'a@b.org', 'a b', 'a/b', 'a:b', '[::1', 'a?b', '%61.org', 'a..org', '-'].map((host) => [
      get('/', '', host),
      /^HTTP\/1.1 (400|403) /,
    ]),
    [get('/', '', 'example.org:8080'), /^HTTP\/1.1 421 .*port 80/],
    [get('http://example.org:8080/'), /^HTTP\/1.1 421 .*port 80/],
    ...[
      ...[
        'localhost',
        'LOCALHOST.',
        'a.localhost',
        'printer.local',
        'router',
        'db.internal',
        '127.0.0.1',
        '2130706433',
      ],
      ...[
        '0x7f.1',
        '127.1',
        '017700000001',
        '8.8.8.8',
        '[::1]',
        '[2606:4700::1111]',
        'x.home.arpa',
        '169.254.169.254.',
      ],
    ].map((host) => [get('/', '', host), /^HTTP\/1.1 403 This machine may not reach/]),
    [get('http://localhost/'), /^HTTP\/1.1 403 /],
  ]) {
    const { state, text: page } = await new Guest(fetch).ask(text);
    assert.equal(state, 'finished');
    assert.match(page, expected, JSON.stringify(text));
    const [head, body] = page.split('\r\n\r\n');
    assert.match(head, new RegExp(`content-length: ${body.length}\r\nconnection: close`));
  }
  assert.deepEqual(fetch.calls, []);
});

test('hosts are those of the request, of the target, or of the connection', async () => {
  for (const [text, url] of [
    [get('/a', last, 'other.example'), 'https://other.example/a'],
    [get('http://third.example?x', last, 'other.example'), 'https://third.example/?x'],
    [get('//evil.example/', last), 'https://example.org//evil.example/'],
    ['GET /a HTTP/1.0\r\n\r\n', 'https://example.org/a'],
  ]) {
    const fetch = recorder();
    await new Guest(fetch).ask(text);
    assert.equal(fetch.calls[0].url, url);
  }
  // With an address, the owner decides.
  const fetch = recorder();
  const guest = new Guest(fetch, { permits: async (host) => host === '9.9.9.9' || host === '[2620:fe::fe]' });
  for (const address of ['9.9.9.9', '2620:fe::fe', '9.9.9.10']) {
    const connection = await guest.start(address).until(({ state }) => state === 'opened');
    connection.send('GET / HTTP/1.0\r\n\r\n');
    await connection.until(({ state }) => state === 'finished');
  }
  assert.deepEqual(
    fetch.calls.map(({ url }) => url),
    ['https://9.9.9.9/', 'https://[2620:fe::fe]/'],
  );
});

test('a request that fails is a page that says why, and what to do', async () => {
  const fail = (error) => async () => {
    throw error;
  };
  const { text, state } = await new Guest(fail(new TypeError('Failed to fetch'))).ask(get('/x'));
  assert.equal(state, 'finished');
  assert.match(text, /^HTTP\/1.1 502 https:\/\/example.org\/x could not be fetched: Failed to fetch\r\n/);
  assert.match(text, /CORS[^]*https[^]*Access-Control-Allow-Origin[^]*origin\.auklet[^]*relay/);
  const cause = new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND\r\nexample.org') });
  // A reason that would break the head is not in it.
  assert.match((await new Guest(fail(cause)).ask(get('/x'))).text, /^HTTP\/1.1 502 \r\n[^]*getaddrinfo ENOTFOUND/);
  const head = await new Guest(fail(cause)).ask('HEAD / HTTP/1.1\r\nHost: example.org\r\n\r\n');
  assert(head.text.endsWith('connection: close\r\n\r\n'));
  // So is a response that cannot be sent on.
  const odd = { ...{ status: 200, statusText: '', body: null }, headers: [['a b', 'c']] };
  assert.match((await new Guest(async () => odd).ask(get())).text, /^HTTP\/1.1 500 the field "a b"/);
});

test('framing is that of the decoded body', async () => {
  const answers = {
    '/known': () => new Response('12345', { headers: { 'Content-Length': '5' } }),
    '/coded': () => new Response('12345', { headers: { 'Content-Length': '3', 'Content-Encoding': 'br' } }),
    '/cors': () => asFetched(new Response('12345', { headers: { 'Content-Length': '3' } }), { type: 'cors' }),
    '/none': () => new Response(null, { status: 204 }),
    '/same': () => new Response(null, { status: 304, headers: { etag: '"x"' } }),
    '/empty': () => new Response(null),
    '/hop': () =>
      new Response('x', { headers: { Connection: 'X-Hop', 'X-Hop': '1', 'Alt-Svc': 'x', 'Keep-Alive': 'x' } }),
  };
  const guest = new Guest(recorder((url) => answers[new URL(url).pathname]()));
  const tail = async (request) =>
    (await guest.ask(request)).text
      .replace(/^HTTP\/1.1 (\d+).*\r\n/, '$1 ')
      .replace('content-type: text/plain;charset=UTF-8\r\n', '')
      .replace('connection: close\r\n', '');
  assert.equal(await tail(get('/known', last)), '200 content-length: 5\r\n\r\n12345');
  for (const path of ['/coded', '/cors'])
    assert.equal(await tail(get(path, last)), '200 transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n');
  assert.equal(await tail(get('/none', last)), '204 \r\n');
  assert.equal(await tail(get('/same', last)), '304 etag: "x"\r\n\r\n');
  assert.equal(await tail(get('/empty', last)), '200 content-length: 0\r\n\r\n');
  assert.equal(await tail(get('/hop', last)), '200 transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n');
  const head = (path) => `HEAD ${path} HTTP/1.1\r\nHost: example.org\r\n${last}\r\n`;
  assert.equal(await tail(head('/known')), '200 content-length: 5\r\n\r\n');
  assert.equal(await tail(head('/coded')), '200 transfer-encoding: chunked\r\n\r\n');
  // Those who do not know chunks read until the end.
  assert.equal(await tail('GET /coded HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'), '200 \r\n12345');
});

test('a body that is not what its head says cuts the connection off', async () => {
  for (const [body, length] of [
    ['1234', 5],
    ['123456', 5],
  ]) {
    const answer = () => new Response(body, { headers: { 'Content-Length': String(length) } });
    assert.equal((await new Guest(recorder(answer)).ask(get())).state, 'aborted');
  }
  const broken = () =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(bytesOf('half')),
        pull: (controller) => controller.error(new TypeError('network error')),
      }),
    );
  const { state, text } = await new Guest(recorder(broken)).ask(get());
  assert.equal(state, 'aborted');
  assert.match(text, /\r\n\r\n(4\r\nhalf\r\n)?$/);
});

test('redirects are followed by fetch(), and not out of what is permitted', async () => {
  const to = (url) => recorder(() => asFetched(new Response('x'), { redirected: true, url }));
  assert.match(
    (await new Guest(to('https://b.example/c')).ask(get('/', last))).text,
    /content-location: https:\/\/b.ex/,
  );
  assert.match((await new Guest(to('http://127.0.0.1/')).ask(get('/', last))).text, /^HTTP\/1.1 403 /);
});

test('requests on one connection are answered in their order, one at a time', async () => {
  const open = [];
  const fetch = recorder((url) => new Promise((resolve) => void open.push(() => resolve(new Response(url)))));
  const connection = await new Guest(fetch).open();
  const post =
    'POST /2 HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n';
  // In pieces of one byte.
  for (const character of `${get('/1')}${post}\r\n${get('/3', last)}${get('/4')}`) connection.send(character);
  for (let count = 1; count <= 3; ++count) {
    await settled();
    assert.equal(fetch.calls.length, count);
    assert(!connection.text.includes(`/${count}\r\n`));
    open.shift()();
    await connection.until(({ text }) => text.includes(`/${count}\r\n`));
  }
  await connection.until(({ state }) => state === 'finished');
  assert.deepEqual(
    fetch.calls.map(({ url, body }) => `${url} ${body === undefined ? '' : Buffer.from(body)}`),
    ['https://example.org/1 ', 'https://example.org/2 abc', 'https://example.org/3 '],
  );
  assert.equal(connection.text.match(/HTTP\/1.1 200/g).length, 3);
  // What comes after the last is thrown away.
  assert(connection.room > 100_000);
  connection.send(new Uint8Array(connection.room));
  assert(connection.room > 100_000);
  connection.close();
  await settled();
  assert.equal(fetch.calls.length, 3);
});

test('a guest that sends on after its last request has room for that', async () => {
  let answer;
  const fetch = recorder(() => new Promise((resolve) => void (answer = () => resolve(new Response('x')))));
  const connection = await new Guest(fetch).open();
  connection.send(get('/', last));
  await settled();
  while (connection.room > 0) connection.send(new Uint8Array(Math.min(connection.room, 65_536)));
  await settled();
  assert.equal(connection.room, 0);
  answer();
  await connection.until(({ state, room }) => state === 'finished' && room > 100_000);
});

test('a guest that sends no more still gets its answers', async () => {
  const connection = await new Guest(recorder()).open();
  connection.send(get('/1') + get('/2'));
  connection.finish();
  await connection.until(({ state }) => state === 'finished');
  assert.equal(connection.text.match(/2\r\nhi\r\n0/g).length, 2);
  // Half of a request is wrong, nothing is not.
  const half = await new Guest(recorder()).open();
  half.send('GET / HT');
  half.finish();
  assert.match((await half.until(({ state }) => state === 'finished')).text, /^HTTP\/1.1 400 .*middle/);
  const none = await new Guest(recorder()).open();
  none.finish();
  assert.equal((await none.until(({ state }) => state === 'finished')).text, '');
});

test('a guest that waits for a word before its body gets it', async () => {
  const fetch = recorder();
  const connection = await new Guest(fetch).open();
  connection.send('PUT / HTTP/1.1\r\nHost: example.org\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n');
  await connection.until(({ text }) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
  connection.send('abc');
  await connection.until(({ text }) => text.endsWith('0\r\n\r\n'));
  assert.equal(Buffer.from(fetch.calls[0].body).toString(), 'abc');
  assert.deepEqual(fetch.calls[0].headers, {});
  // Not where there is nothing to fetch.
  const { text } = await new Guest(fetch).ask(
    'PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
  );
  assert.match(text, /^HTTP\/1.1 403 /);
});

test('all but http is refused at once', async () => {
  const guest = new Guest(recorder());
  const { addresses } = await guest.backend.resolve('example.org', false);
  for (const each of [
    guest.start(addresses[0], 443),
    guest.start('10.0.2.3', 53),
    guest.start(addresses[0], 80, 'datagrams'),
    guest.start('198.18.99.99'),
    guest.start('198.19.255.255'),
  ]) {
    assert.equal(
      guest.translator.call(() => guest.backend.send(each.end.id, bytesOf('x'))),
      0,
    );
    assert.equal((await each.until(({ state }) => state !== undefined)).state, 'failed refused');
  }
  // One that has gone before it hears of that hears nothing.
  const gone = guest.start(addresses[0], 443);
  gone.close();
  guest.translator.nextId = gone.end.id;
  await guest.start(addresses[0]).until(({ state }) => state === 'opened');
});

test('connections have a bound', async () => {
  const guest = new Guest(recorder());
  const all = Array.from({ length: 1025 }, () => guest.start('9.9.9.9'));
  await settled();
  assert.equal(all.filter(({ state }) => state === 'opened').length, 1024);
  assert.equal(all.at(-1).state, 'failed refused');
  all[0].close();
  await guest.start('9.9.9.9').until(({ state }) => state === 'opened');
});

test('a network has the origin of its page', async (suite) => {
  const { openPageFetch } = await source('network/fetch-network.ts');
  const urls = [];
  suite.mock.method(globalThis, 'fetch', async (url) => {
    urls.push(url);
    return new Response('x');
  });
  suite.after(() => void delete globalThis.location);
  for (const origin of [undefined, 'null', 'http://localhost:8080', 'https://page.example']) {
    globalThis.location = origin === undefined ? undefined : { origin };
    const translator = new FakeTranslator();
    const network = openPageFetch({ type: 'fetch', plain: true }, translator.events);
    translator.backend = network.flows;
    await network.ready;
    assert(!network.reachesIpv6);
    for (const name of ['origin.auklet', 'a.example']) {
      const end = translator.open('10.0.2.2', 80);
      await end.event('opened');
      await end.send(bytesOf(get('/', last, name)));
      await end.event('finished');
    }
    network.close();
  }
  assert.deepEqual(urls, [
    ...['http://a.example/', 'http://a.example/'],
    ...['http://localhost:8080/', 'http://a.example/'],
    ...['https://page.example/', 'https://a.example/'],
  ]);
});
