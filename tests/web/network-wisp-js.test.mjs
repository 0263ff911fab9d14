// SPDX-License-Identifier: MIT
// Wisp with a peer that others have written, @mercuryworkshop/wisp-js: our client and its server, its client and our relay.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { datagramsFor, echo, FakeTimers, guestFor, relayFor, serverFor, urlOf } from './network-wisp-peers.mjs';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const theirs = require('@mercuryworkshop/wisp-js/server');
const { client: theirClient, extensions } = require('@mercuryworkshop/wisp-js/client');
theirs.logging.set_level(theirs.logging.NONE);

const MIB = 1 << 20;
const LARGE = 8 * MIB;
/** More than a stream may queue in our client. */
const TOO_MUCH = 48 * MIB;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Answers with the hash of the first `length` bytes, and ends after the client. */
const hashes = (length) => (socket) => {
  const hash = createHash('sha256');
  let count = 0;
  socket.on('data', (bytes) => {
    hash.update(bytes);
    count += bytes.length;
    if (count === length) socket.write(hash.digest('hex'));
  });
  socket.on('end', () => socket.end());
};

/** Sends all, and goes on: wisp-js loses what it has not sent when a server ends. */
const sends = (content) => (socket) => {
  socket.write(content);
  socket.on('end', () => socket.end());
};

async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// ---- their server ----------------------------------------------------------

/** Its options are the same for all of its servers. */
async function theirServer(t, version, changed = {}) {
  const before = { ...theirs.server.options };
  Object.assign(theirs.server.options, { wisp_version: version, allow_loopback_ips: true, ...changed });
  const server = createHttpServer().on('upgrade', (...words) => theirs.server.routeRequest(...words));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
    Object.assign(theirs.server.options, before);
  });
  return `ws://127.0.0.1:${server.address().port}/`;
}

for (const version of [1, 2]) {
  const named = (name) => `their server of version ${version}: ${name}`;

  test(named('bytes and datagrams there and back'), async (t) => {
    const guest = guestFor(t, await theirServer(t, version));
    const flow = guest.open(await serverFor(t, echo));
    await flow.has('opened');
    assert.equal(guest.line.traits.version, version);
    assert.equal(guest.line.traits.abilities, undefined);
    await flow.send(Buffer.from('hello'));
    await flow.until(() => flow.text === 'hello');
    const datagrams = guest.open(await datagramsFor(t, (bytes) => bytes), { kind: 'datagrams' });
    guest.backend.send(datagrams.id, Buffer.from('one'));
    await datagrams.until(() => datagrams.text === 'one');
    guest.backend.send(datagrams.id, Buffer.alloc(1400, 'x'));
    await datagrams.until(() => datagrams.bytes === 1403);
    flow.close();
    datagrams.close();
  });

  test(named('much, each way'), async (t) => {
    const content = randomBytes(LARGE);
    const guest = guestFor(t, await theirServer(t, version));
    const down = guest.open(await serverFor(t, sends(content)));
    await down.until(() => down.bytes === LARGE);
    assert.equal(sha256(Buffer.concat(down.received)), sha256(content));
    down.close();
    const up = guest.open(await serverFor(t, hashes(LARGE)));
    await up.has('opened');
    await up.send(content);
    await up.until(() => up.text === sha256(content));
    up.close();
  });

  test(named('refused, unknown, not allowed'), async (t) => {
    // Time does not pass: streams that it does not confirm count as open after a while.
    const options = { timers: new FakeTimers() };
    const guest = guestFor(t, await theirServer(t, version), options);
    const refused = guest.open(await closedPort());
    await refused.has('failed');
    // It has one reason for all of these.
    assert.deepEqual(refused.log, ['failed refused']);
    await guest.open(80, { address: 'no-such-name.invalid' }).has('failed refused');
    const strict = guestFor(t, await theirServer(t, version, { allow_loopback_ips: false }), options);
    await strict.open(80).has('failed prohibited');
  });

  test(named('ends'), async (t) => {
    const guest = guestFor(t, await theirServer(t, version));
    const ended = guest.open(await serverFor(t, (socket) => socket.end('all')));
    await ended.has('finished');
    assert.equal(ended.text, 'all');
    // Our end of a stream ends the connection there.
    const told = Promise.withResolvers();
    const flow = guest.open(
      await serverFor(t, (socket) => socket.on('close', told.resolve).on('end', () => socket.end())),
    );
    await flow.has('opened');
    flow.close();
    await told.promise;
  });

  test(named('a guest that does not read loses its stream, and only that'), async (t) => {
    const guest = guestFor(t, await theirServer(t, version));
    const slow = guest.open(await serverFor(t, sends(Buffer.alloc(TOO_MUCH))));
    slow.paused = true;
    const other = guest.open(await serverFor(t, echo));
    await other.has('opened');
    await slow.has('aborted');
    assert.equal(guest.line.held, 0);
    await other.send(Buffer.from('still here'));
    await other.until(() => other.text === 'still here');
  });
}

// ---- their client ----------------------------------------------------------

async function theirConnection(t, relay, options) {
  const connection = new theirClient.ClientConnection(urlOf(relay), options);
  t.after(() => connection.close());
  await new Promise((resolve, reject) => {
    connection.onopen = resolve;
    connection.onclose = connection.onerror = () => reject(new Error('the connection has ended'));
  });
  return connection;
}

/** A stream that keeps what comes. until(): as that of a guest's flow. */
function streamOf(connection, port, { host = '127.0.0.1', kind = 'tcp' } = {}) {
  const stream = connection.create_stream(host, port, kind);
  let wake = () => {};
  const seen = { stream, parts: [], bytes: 0, reason: undefined };
  stream.onmessage = (bytes) => {
    seen.parts.push(bytes);
    seen.bytes += bytes.length;
    wake();
  };
  stream.onclose = (reason) => {
    seen.reason = reason;
    wake();
  };
  seen.until = async (holds) => {
    while (!holds()) await new Promise((resolve) => (wake = resolve));
  };
  return seen;
}

const textOf = ({ parts }) => Buffer.concat(parts).toString();

for (const version of [1, 2]) {
  const named = (name) => `their client of version ${version}: ${name}`;

  test(named('bytes and datagrams there and back'), async (t) => {
    const connection = await theirConnection(t, await relayFor(t), { wisp_version: version });
    assert.equal(connection.wisp_version, version);
    const stream = streamOf(connection, await serverFor(t, echo));
    stream.stream.send(Buffer.from('hello'));
    await stream.until(() => textOf(stream) === 'hello');
    const datagrams = streamOf(connection, await datagramsFor(t, (bytes) => bytes), { kind: 'udp' });
    datagrams.stream.send(Buffer.from('one'));
    await datagrams.until(() => textOf(datagrams) === 'one');
  });

  test(named('much, each way'), async (t) => {
    const content = randomBytes(LARGE);
    const connection = await theirConnection(t, await relayFor(t), { wisp_version: version });
    const down = streamOf(connection, await serverFor(t, (socket) => socket.end(content)));
    await down.until(() => down.reason !== undefined);
    assert.equal(sha256(Buffer.concat(down.parts)), sha256(content));
    assert.equal(down.reason, 0x02);
    const up = streamOf(connection, await serverFor(t, hashes(LARGE)));
    for (let at = 0; at < LARGE; at += 16384) up.stream.send(content.subarray(at, at + 16384));
    await up.until(() => textOf(up) === sha256(content));
  });

  test(named('reasons of an end'), async (t) => {
    const filter = { allows: (address) => address === '127.0.0.1' };
    const connection = await theirConnection(t, await relayFor(t, { filter }), { wisp_version: version });
    const endOf = async (port, options) => {
      const stream = streamOf(connection, port, options);
      await stream.until(() => stream.reason !== undefined);
      return stream.reason;
    };
    assert.equal(await endOf(await closedPort()), 0x44);
    assert.equal(await endOf(80, { host: 'no-such-name.invalid' }), 0x42);
    assert.equal(await endOf(80, { host: '127.0.0.2' }), 0x48);
  });

  test(named('its end ends the connection'), async (t) => {
    const connection = await theirConnection(t, await relayFor(t), { wisp_version: version });
    const told = Promise.withResolvers();
    const port = await serverFor(t, (socket) => {
      let text = '';
      socket.on('data', (bytes) => (text += bytes));
      socket.on('end', () => {
        told.resolve(text);
        socket.end();
      });
    });
    const stream = streamOf(connection, port);
    stream.stream.send(Buffer.from('all of it'));
    // As it does when all is well.
    stream.stream.close();
    assert.equal(await told.promise, 'all of it');
  });
}

test('their client with a password, in the form that it has', async (t) => {
  const relay = await relayFor(t, { passwords: new Map([['anna', 'geheim, weil länger']]) });
  const { UDPExtension, PasswordAuthExtension } = extensions;
  const connect = (username, password) =>
    theirConnection(t, relay, {
      wisp_version: 2,
      wisp_extensions: [
        new UDPExtension({ client_config: {} }),
        new PasswordAuthExtension({ client_config: { username, password } }),
      ],
    });
  const stream = streamOf(await connect('anna', 'geheim, weil länger'), await serverFor(t, echo));
  stream.stream.send(Buffer.from('hello'));
  await stream.until(() => textOf(stream) === 'hello');
  await assert.rejects(connect('anna', 'geheim'), /the connection has ended/);
  await assert.rejects(connect('bert', ''), /the connection has ended/);
  assert.match(relay.metrics(), /refused_total\{reason="192"\} 2\n/);
});
