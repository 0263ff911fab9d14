// SPDX-License-Identifier: MIT
// https of a guest that ends in the page: clients of Node.js (OpenSSL) that verify, and clients that break the rules.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:tls';
import { test } from 'node:test';
import { FakeTranslator } from './fake-translator.mjs';
import { get, last, recorder, settled, untilAborted } from './fake-guest.mjs';
import { source } from './source.mjs';
import { intercepted, module, openHttps, secure, streamOf, textOf } from './tls-client.mjs';

const { oneMessageEach } = await source('network/tls-records.ts');
const { MachineNetwork } = await source('api/network.ts');
const { HostNetwork } = await source('machine/network.ts');

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What a client is told that is refused: the code of its error. */
async function refusal(connection, options) {
  const socket = connect({ socket: streamOf(connection), servername: 'example.org', ...options });
  return new Promise((resolve) => {
    socket.once('error', ({ code }) => resolve(code));
    socket.once('secureConnect', () => resolve('accepted'));
  });
}

test('a request by https, to a server that the client has verified', async () => {
  const fetch = recorder(() => new Response('hello', { headers: { 'X-A': 'b' } }));
  const { guest, ca } = await intercepted(fetch);
  for (const [ciphers, name] of [
    [undefined, 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ]) {
    const connection = await openHttps(guest);
    const socket = await secure(connection, { ca, ciphers, ALPNProtocols: ['h2', 'http/1.1'] });
    assert(socket.authorized);
    assert.deepEqual(
      [socket.alpnProtocol, socket.getProtocol(), socket.getCipher().name],
      ['http/1.1', 'TLSv1.2', name],
    );
    socket.write(get('/a', last));
    assert.match(await textOf(socket), /^HTTP\/1.1 200 [^]*x-a: b\r\n[^]*\r\n5\r\nhello\r\n0\r\n\r\n$/);
    const { url, credentials } = fetch.calls.pop();
    assert.deepEqual([url, credentials], ['https://example.org/a', 'omit']);
    connection.close();
  }
});

test('what is encrypted is sent so, and the own origin is there', async () => {
  const fetch = recorder();
  const { guest, ca } = await intercepted(fetch, { plain: true, origin: 'http://localhost:8000' });
  const ask = async (name, text) => {
    const connection = await openHttps(guest, name);
    const socket = await secure(connection, { ca, servername: name });
    socket.write(text);
    const answer = await textOf(socket);
    connection.close();
    return answer;
  };
  await ask('example.org', get('/', last));
  await ask('example.org', get('/', last, 'example.org:443'));
  await ask('example.org', get('https://example.org/b', last));
  await ask('origin.auklet', get('/about.html', last, 'origin.auklet'));
  assert.deepEqual(
    fetch.calls.map(({ url }) => url),
    ['https://example.org/', 'https://example.org/', 'https://example.org/b', 'http://localhost:8000/about.html'],
  );
  assert.match(await ask('example.org', get('/', last, 'example.org:80')), /^HTTP\/1.1 421 .*only port 443 for https/);
  assert.match(await ask('example.org', get('http://example.org/', last)), /^HTTP\/1.1 400 /);
  assert.match(await ask('example.org', get('/', last, '127.0.0.1')), /^HTTP\/1.1 403 /);
  assert.equal(fetch.calls.length, 4);
});

test('each message of the handshake has a record, whatever room there is', async () => {
  // BusyBox sees the first message of a record only.
  const record = (type, ...messages) => {
    const length = messages.reduce((sum, each) => sum + each.length, 0);
    return [type, 3, 3, length >> 8, length & 0xff, ...messages.flat()];
  };
  const [first, second] = [
    [2, 0, 0, 3, 7, 8, 9],
    [14, 0, 0, 0],
  ];
  const split = (bytes) => [...oneMessageEach(Uint8Array.from(bytes))];
  assert.deepEqual(split(record(22, first, second)), [...record(22, first), ...record(22, second)]);
  assert.deepEqual(split([...record(22, first), ...record(20, [1])]), [...record(22, first), ...record(20, [1])]);
  for (const whole of [[], record(21, [2, 40]), record(22, first.slice(0, 5)), record(22, first, [14, 0, 0])])
    assert.deepEqual(split(whole), whole);
  const cut = record(22, first, second);
  for (let length = 1; length < cut.length; ++length)
    assert.deepEqual(split(cut.slice(0, length)), cut.slice(0, length));

  const { guest, ca } = await intercepted(recorder());
  const connection = await openHttps(guest, 'example.org', 1);
  const stream = streamOf(connection);
  const socket = connect({ socket: stream, servername: 'example.org', ca });
  // Byte by byte, to the end.
  socket.once('secureConnect', () => socket.write(get('/', last)));
  const text = textOf(socket);
  while (connection.state !== 'finished') {
    await settled();
    connection.end.read(1);
  }
  assert.match(await text, /^HTTP\/1.1 200 /);
  const all = Buffer.concat(connection.end.received);
  const messages = [];
  for (let at = 0; all[at] === 22; at += 5 + all.readUInt16BE(at + 3)) {
    assert.equal(all.readUIntBE(at + 6, 3) + 4, all.readUInt16BE(at + 3));
    messages.push(all[at + 5]);
  }
  // ServerHello, Certificate, ServerKeyExchange, ServerHelloDone.
  assert.deepEqual(messages, [2, 11, 12, 14]);
});

test('several requests on one connection', async () => {
  const { guest, ca } = await intercepted(recorder(() => new Response('#'.repeat(40_000))));
  const socket = await secure(await openHttps(guest), { ca });
  socket.write(get('/1') + get('/2') + get('/3', last));
  const text = await textOf(socket);
  assert.equal(text.split('HTTP/1.1 200').length, 4);
  assert.equal(text.match(/#/g).length, 120_000);
});

test('clients that are refused get an alert', async () => {
  const { guest, ca, interceptor } = await intercepted(recorder());
  const alerts = {
    handshake: 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    protocol: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  };
  for (const [options, expected] of [
    // Without a name (SNI), and with another one.
    [{ servername: '' }, alerts.handshake],
    [{ servername: 'www.example.org' }, alerts.handshake],
    [{ servername: 'example.or' }, alerts.handshake],
    [{ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }, alerts.handshake],
    [{ ecdhCurve: 'X25519', maxVersion: 'TLSv1.2' }, alerts.handshake],
    // It offers none of the ciphers of version 1.2.
    [{ minVersion: 'TLSv1.3' }, alerts.handshake],
    [{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }, 'ERR_SSL_WRONG_VERSION_NUMBER'],
    [{ ALPNProtocols: ['h2'] }, alerts.protocol],
    [{ servername: 'EXAMPLE.org' }, 'accepted'],
  ]) {
    const connection = await openHttps(guest);
    assert.equal(await refusal(connection, { ca, ...options }), expected, JSON.stringify(options));
    connection.close();
  }
  // One that does not trust the authority, as it should not.
  assert.equal(await refusal(await openHttps(guest), {}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert(interceptor.hasRoom);
});

test('connections without a name are refused at once, and all without interception', async () => {
  const { guest } = await intercepted(recorder(), { origin: 'https://page.example' });
  for (const address of ['10.0.2.2', 'fd00::2', '8.8.8.8', '198.18.77.77']) {
    const connection = guest.start(address, 443);
    await connection.until(({ state }) => state !== undefined);
    assert.equal(connection.state, 'failed refused', address);
  }
  const { guest: other } = await intercepted(recorder());
  other.backend.intercept(undefined);
  assert.equal((await openHttps(other)).state, 'failed refused');
});

test('many bytes each way', async () => {
  const content = randomBytes(8 << 20);
  let received;
  const fetch = async (_, { method, body }) => {
    if (method === 'GET') return new Response(content);
    received = body instanceof ReadableStream ? Buffer.from(await new Response(body).arrayBuffer()) : body.slice();
    return new Response('got it');
  };
  const { guest, ca } = await intercepted(fetch);
  const down = await secure(await openHttps(guest), { ca });
  down.write(get('/', last));
  // Its chunks have heads of their own.
  const text = await textOf(down);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  const parts = [];
  for (let at = 0; ;) {
    const line = body.slice(at, body.indexOf('\r\n', at));
    const length = Number.parseInt(line, 16);
    if (length === 0) break;
    at += line.length + 2;
    parts.push(body.slice(at, at + length));
    at += length + 2;
  }
  assert.equal(sha256(Buffer.from(parts.join(''), 'latin1')), sha256(content));

  const up = await secure(await openHttps(guest), { ca });
  up.write(`POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: ${content.length}\r\n${last}\r\n`);
  up.write(content);
  assert.match(await textOf(up), /^HTTP\/1.1 200 /);
  assert.equal(sha256(received), sha256(content));
});

test('a guest that does not read stops the response, and one whose request is not read stops', async () => {
  let pulled = 0;
  const endless = () =>
    new Response(
      new ReadableStream(
        {
          pull(controller) {
            ++pulled;
            controller.enqueue(new Uint8Array(65_536));
          },
        },
        { highWaterMark: 0 },
      ),
    );
  const { guest, ca } = await intercepted(endless);
  const connection = await openHttps(guest);
  const socket = await secure(connection, { ca });
  connection.end.window = 100_000;
  socket.write(get());
  await connection.until(() => connection.end.refused > 0);
  await settled();
  const before = pulled;
  await settled();
  assert.equal(pulled, before);
  assert(pulled <= 4, `${pulled}`);
  // It goes on where it was.
  connection.end.read(1 << 20);
  await connection.until(() => pulled > before + 8);
  connection.close();
  await settled();

  const { guest: other, ca: trusted } = await intercepted((_, init) => untilAborted(_, init), { streams: true });
  const slow = await openHttps(other);
  const up = await secure(slow, { ca: trusted });
  up.write('POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 104857600\r\n\r\n');
  up.write(new Uint8Array(32 << 20));
  // What is collected, the room of each layer, and no more: 8 MiB and some.
  await slow.until(() => slow.room === 0 && slow.end.received.length > 0);
  await settled();
  assert.equal(slow.room, 0);
  slow.close();
});

test('a response that breaks off has no close_notify, and is a reset', async () => {
  const half = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(100));
        },
        pull(controller) {
          controller.error(new Error('gone'));
        },
      }),
    );
  const { guest, ca, interceptor } = await intercepted(half);
  const connection = await openHttps(guest);
  const socket = await secure(connection, { ca });
  socket.write(get('/', last));
  await assert.rejects(textOf(socket), { code: 'ECONNRESET' });
  assert.equal(connection.state, 'aborted');
  assert.equal(interceptor.count, 0);
});

test('ends of the guest', async () => {
  const fetch = recorder();
  const { guest, ca, interceptor } = await intercepted(fetch);
  // FIN without close_notify, as of BusyBox's wget: the request is answered.
  let connection = await openHttps(guest);
  let socket = await secure(connection, { ca });
  socket.write(get());
  await connection.until(() => fetch.calls.length === 1);
  connection.finish();
  assert.match(await textOf(socket), /^HTTP\/1.1 200 /);
  assert.equal(connection.state, 'finished');

  // close_notify: it gets one back, and the request that is under way ends.
  const { guest: other, ca: trusted, interceptor: others } = await intercepted(untilAborted);
  connection = await openHttps(other);
  socket = await secure(connection, { ca: trusted });
  socket.write(get());
  await settled();
  socket.end();
  assert.equal(await textOf(socket), '');
  assert.equal(connection.state, 'finished');
  assert.equal(others.count, 0);

  // FIN in front of, and in the middle of, a handshake.
  for (const bytes of [[], [0x16, 3, 1]]) {
    connection = await openHttps(guest);
    if (bytes.length > 0) connection.send(Uint8Array.from(bytes));
    connection.finish();
    await connection.until(({ state }) => state === 'finished');
    assert.equal(connection.text, '');
    // Bytes that come all the same find room, and nobody.
    assert.equal(connection.room, 65_536);
  }
  // A reset, at any time.
  connection = await openHttps(guest);
  connection.close();
  const { addresses } = await guest.backend.resolve('example.org', false);
  const early = guest.start(addresses[0], 443);
  early.close();
  await settled();
  assert.equal(early.state, 'closed');
  assert.equal(interceptor.count, 0);
});

test('what is no TLS', async () => {
  const { guest, interceptor } = await intercepted(recorder());
  for (const bytes of [
    Buffer.from(get('/', last)),
    Buffer.alloc(64),
    Buffer.alloc(20_000, 0xff),
    // A record that is longer than any, one of an unknown type, one without a handshake, SSL 2.
    Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Buffer.alloc(5000)]),
    Buffer.from([0x99, 3, 3, 0, 1, 0]),
    Buffer.from([0x17, 3, 3, 0, 1, 0]),
    Buffer.from([0x16, 3, 3, 0, 4, 20, 0, 0, 0]),
    Buffer.from([0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10]),
  ]) {
    const connection = await openHttps(guest);
    void connection.sendAll(bytes);
    await connection.until(({ state }) => state === 'finished');
    // An alert, or nothing.
    assert.match(connection.text.slice(0, 1), /^\x15?$/);
    connection.close();
  }
  assert.equal(interceptor.count, 0);
});

test('renegotiation is refused by a warning', async () => {
  const { guest, ca } = await intercepted(recorder());
  const socket = await secure(await openHttps(guest), { ca, maxVersion: 'TLSv1.2' });
  // OpenSSL gives up at the warning.
  const error = await new Promise((resolve) => {
    socket.once('error', resolve);
    socket.renegotiate({}, () => {});
  });
  assert.equal(error.code, 'ERR_SSL_NO_RENEGOTIATION');
});

test('so many connections at a time, and memory that is used again', async () => {
  const { guest, ca, interceptor } = await intercepted(recorder());
  const all = [];
  for (let count = 0; count < 256; ++count) all.push(await openHttps(guest));
  assert(all.every(({ state }) => state === 'opened'));
  assert.equal((await openHttps(guest)).state, 'failed refused');
  const size = interceptor.memorySize;
  assert(size < 11 << 20, `${size}`);
  all.pop().close();
  const socket = await secure(await openHttps(guest), { ca });
  socket.write(get('/', last));
  assert.match(await textOf(socket), /^HTTP\/1.1 200 /);
  for (const connection of all) connection.close();
  for (let count = 0; count < 300; ++count) (await openHttps(guest)).close();
  assert.equal(interceptor.memorySize, size);
  assert.equal(interceptor.count, 0);
  // The machine ends.
  const one = await openHttps(guest);
  guest.backend.close();
  assert.equal(interceptor.count, 0);
  assert.equal(one.state, 'opened');
});

test('random changes of a handshake and of what follows', async () => {
  const { guest, ca, interceptor } = await intercepted(recorder());
  const random = (limit) => randomBytes(4).readUInt32LE() % limit;
  for (let round = 0; round < 300; ++round) {
    const connection = await openHttps(guest);
    const stream = streamOf(connection);
    const write = stream._write;
    let left = random(700);
    stream._write = (bytes, encoding, done) => {
      const changed = Buffer.from(bytes);
      if (left < changed.length && left >= 0) {
        const at = left;
        if (round % 3 === 0) changed[at] ^= 1 << random(8);
        else if (round % 3 === 1) changed[at] = random(256);
        else changed.fill(random(256), at, at + random(40));
      }
      left -= changed.length;
      write.call(stream, changed, encoding, done);
    };
    const socket = connect({ socket: stream, servername: 'example.org', ca });
    const ended = new Promise((resolve) => {
      socket.once('error', resolve);
      socket.once('close', resolve);
    });
    socket.once('secureConnect', () => void socket.end(get('/', last)));
    socket.resume();
    // A length that was changed makes both sides wait: then the guest gives up.
    await Promise.race([
      ended,
      settled()
        .then(settled)
        .then(settled)
        .then(() => connection.finish()),
    ]).then(() => ended);
    connection.close();
    socket.destroy();
  }
  assert.equal(interceptor.count, 0);
});

/** A machine's network, from its owner to its guest: what is posted is as workers get it. */
async function machineWith(t, options) {
  const guest = new FakeTranslator();
  const states = [];
  let host;
  let wake = () => {};
  const network = new MachineNetwork(options, (message) => host.request(structuredClone(message)));
  const { files, options: made } = await network.start({ tls: module }, new AbortController().signal);
  const start = structuredClone(made.network);
  host = new HostNetwork(
    start,
    (use) => use({ network: guest.events }),
    (message) => network.handle(structuredClone(message)),
  );
  t.after(() => host.close());
  network.onState((state) => {
    states.push(state);
    wake();
  });
  const bytesOf = (address) => Uint8Array.from([...Array(10).fill(0), 255, 255, ...address.split('.')].map(Number));
  guest.backend = {
    open: (id, kind, address, port) => host.flowOpen(id, kind, bytesOf(address), port),
    send: (id, bytes) => host.flowSend(id, bytes),
    finish: (id) => host.flowFinish(id),
    consumed: (id, count) => host.flowConsumed(id, count),
    closed: (id, reset) => host.flowClosed(id, reset),
  };
  const resolve = (name) =>
    new Promise((done) => {
      guest.events.resolved = (_id, _status, [address]) => done(address);
      host.nameResolve(1, name, false);
    });
  const open = async (name) => {
    const end = guest.open(await resolve(name), 443);
    await end.until(() => end.log.length > 0);
    return end;
  };
  const connected = async (count) => {
    while (states.filter((state) => state === 'connected').length < count) await new Promise((done) => (wake = done));
  };
  const ca = files.find(({ path }) => path.endsWith('/auklet-interception.crt'))?.content;
  return { network, open, connected, ca };
}

test('a machine has the same authority when its network is exchanged, and comes back', async (t) => {
  const { network, open, connected, ca } = await machineWith(t, { type: 'fetch', intercept: true });
  const servername = 'localhost';
  /** This is Node.js, whose policy keeps guests from this computer. */
  const refused = async () => {
    const socket = await secure({ end: await open(servername) }, { ca, servername });
    socket.write(get('/', last, servername));
    return textOf(socket);
  };
  await connected(1);
  assert.match(await refused(), /^HTTP\/1.1 403 [^]*may not reach localhost, port 443/);
  network.exchange({ type: 'fetch' });
  await connected(2);
  assert.deepEqual((await open(servername)).log, ['failed refused']);
  network.exchange({ type: 'fetch', intercept: true });
  await connected(3);
  assert.match(await refused(), /^HTTP\/1.1 403 /);
});

test('a machine that was booted without interception does not get it', async (t) => {
  for (const options of [{ type: 'local' }, { type: 'fetch' }, { type: 'fetch', intercept: false }]) {
    const { network, ca } = await machineWith(t, options);
    assert.equal(ca, undefined);
    assert.throws(() => network.exchange({ type: 'fetch', intercept: true }), {
      code: 'invalid-option',
      message: /intercept is for machines that were booted with it/,
    });
  }
  const network = new MachineNetwork({ type: 'fetch', intercept: true }, () => {});
  await assert.rejects(network.start({}, new AbortController().signal), {
    code: 'invalid-option',
    message: /needs the part tls/,
  });
});
