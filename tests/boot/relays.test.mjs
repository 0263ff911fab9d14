// SPDX-License-Identifier: MIT
// The network by a relay: resolvers that lie, a relay that dies and comes back, a computer that sleeps.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { answerTo, FAILURE, NO_SUCH_NAME, resolverFor, TRUNCATED, V6 } from '../web/fake-resolver.mjs';
import { relayFor, serverFor, urlOf } from '../web/network-wisp-peers.mjs';
import { source } from '../web/source.mjs';
import { build, cli } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const { parseRules, Policy } = await source('network/policy.ts');
const MIB = 1 << 20;
const GATEWAY = '10.0.2.2';
const hostOnly = new Policy(parseRules(['host']));

async function start(suite, url, options = {}) {
  const machine = await startMachine({ exec: true, memory: 256, network: { type: 'wisp', url, ...options } });
  suite.after(() => machine.dispose());
  await machine.started;
  const result = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    return { status, text: Buffer.concat([stdout, stderr]).toString() };
  };
  const run = async (line) => {
    const { status, text } = await result(line);
    assert.equal(status, 0, `${line}: ${text}`);
    return text;
  };
  return { machine, run, result };
}

test('what programs of a guest hear of names', async (suite) => {
  const here = ['A', 60, [10, 0, 2, 2]];
  const many = Array.from({ length: 2000 }, (_, index) => ['A', 60, [192, 0, index >> 8, index & 255]]);
  const answers = {
    'none.example': (question) => answerTo(question, [], NO_SUCH_NAME),
    'fails.example': (question) => answerTo(question, [], FAILURE),
    'other.example': (question) => answerTo(question, [['AAAA', 60, V6]]),
    'loop.example': (question) =>
      answerTo(
        question,
        Array.from({ length: 50 }, () => ['CNAME', 60, [0xc0, 12]]),
      ),
    'home.example': (question) => answerTo(question, [['A', 0, [192, 168, 0, 1]]]),
    'meta.example': (question) => answerTo(question, [['A', 0, [169, 254, 169, 254]]]),
    'here.example': (question) => answerTo(question, [here]),
  };
  const resolver = await resolverFor(suite, (name, question, way) => {
    if (name === 'long.example') return [answerTo(question, way === 'udp' ? [] : many, way === 'udp' ? TRUNCATED : {})];
    const right = (answers[name] ?? answers['none.example'])(question);
    const lie = right.slice();
    lie[0] ^= 1;
    return [lie, right];
  });
  const port = await serverFor(suite, (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
  // The relay asks for the names of its connections itself.
  const addresses = { 'home.example': '192.168.0.1', 'meta.example': '169.254.169.254', 'here.example': GATEWAY };
  const lookup = (name, _options, done) => done(null, [{ address: addresses[name], family: 4 }]);
  const relay = await relayFor(suite, { resolver, lookup, filter: hostOnly });
  const { result, run } = await start(suite, urlOf(relay));
  const lookUp = async (name) => (await result(`nslookup ${name}`)).text;
  assert.match(await lookUp('none.example'), /NXDOMAIN/);
  assert.match(await lookUp('fails.example'), /SERVFAIL/);
  // Nothing outside is reached by IPv6, so that there are no such addresses.
  assert.doesNotMatch(await lookUp('other.example'), /NXDOMAIN|SERVFAIL|2001:/);
  assert.doesNotMatch(await lookUp('loop.example'), /NXDOMAIN|SERVFAIL|Address: \d+\.\d/);
  assert.match(await lookUp('home.example'), /192\.168\.0\.1/);
  assert.match(await lookUp('long.example'), /192\.0\.0\.20/);
  assert.ok(resolver.asked.includes('long.example tcp'));
  for (const name of ['home.example', 'meta.example']) {
    const { status, text } = await result(`wget -O - http://${name}:${port}/`);
    assert.equal(status, 1);
    assert.match(text, /unreachable|Permission denied/i, name);
  }
  const unknown = await result(`wget -O - http://none.example:${port}/`);
  assert.match(unknown.text, /bad address 'none.example/);
  assert.match(await run(`wget -q -O - http://${GATEWAY}:${port}/`), /^hello/);
});

test('a relay that dies in the middle, and comes back', async (suite) => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: published } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const ports = { host: '127.0.0.1', least: published, most: published };
  const first = await relayFor(suite, { ports });
  const { run, result } = await start(suite, urlOf(first), { publish: [`${published}:80`] });
  const ask = async () => (await fetch(`http://127.0.0.1:${published}/`)).text();
  await run('mkdir /tmp/www; echo hello > /tmp/www/index.html; httpd -p 80 -h /tmp/www');
  assert.equal(await ask(), 'hello\n');
  const sent = Promise.withResolvers();
  const endless = await serverFor(suite, (socket) => {
    const chunk = Buffer.alloc(MIB);
    let count = 0;
    const more = () => {
      while (socket.write(chunk)) if (++count === 8) sent.resolve();
      if (++count >= 8) sent.resolve();
    };
    socket.on('drain', more);
    more();
  });
  const silent = await serverFor(suite, () => {});
  const uploading = Promise.withResolvers();
  const sink = await serverFor(suite, (socket) => socket.once('data', uploading.resolve).resume());
  const broken = [
    result(`nc ${GATEWAY} ${endless} < /dev/null > /dev/null`),
    result(`cat /dev/zero | nc ${GATEWAY} ${sink}`),
    result(`wget -O - http://${GATEWAY}:${silent}/`),
  ];
  await Promise.all([sent.promise, uploading.promise]);
  await first.close();
  // All of them end, and say that something was wrong.
  for (const { status } of await Promise.all(broken.slice(1))) assert.notEqual(status, 0);
  await broken[0];
  const content = randomBytes(4 * MIB);
  const server = await serverFor(suite, (socket) => socket.end(content));
  const { status } = await result(`nc ${GATEWAY} ${server} < /dev/null`);
  assert.notEqual(status, 0);
  await relayFor(suite, { port: first.address.port, ports });
  const sum = createHash('sha256').update(content).digest('hex');
  await run(`until [ "$(nc ${GATEWAY} ${server} < /dev/null | sha256sum)" = "${sum}  -" ]; do :; done`);
  assert.equal(await ask(), 'hello\n');
});

test('a computer that sleeps while a guest receives', async (suite) => {
  const content = randomBytes(32 * MIB);
  const stopped = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    // As much as there is room for on the way, before the program sleeps.
    socket.write(content.subarray(0, MIB));
    stopped.emit('taken', socket);
  });
  stopped.listen(0, '127.0.0.1');
  await once(stopped, 'listening');
  suite.after(() => stopped.close());
  const { port } = stopped.address();
  const words = [
    'exec',
    '--network=nat',
    '--network-allow=host',
    '--',
    'sh',
    '-c',
    `nc ${GATEWAY} ${port} | sha256sum`,
  ];
  const child = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  suite.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes));
  const [socket] = await once(stopped, 'taken');
  suite.after(() => socket.destroy());
  child.kill('SIGSTOP');
  // The system has stopped all of its threads.
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) await new Promise(setImmediate);
  socket.end(content.subarray(MIB));
  // Nothing more is taken: the buffers of the system are full.
  await new Promise((resolve) => {
    let before = -1;
    const look = () => {
      if (socket.bytesWritten > MIB && socket.writableLength === before) return resolve();
      before = socket.writableLength;
      setImmediate(look);
      return undefined;
    };
    look();
  });
  assert.ok(socket.writableLength > 0);
  assert.equal(output, '');
  child.kill('SIGCONT');
  const [status] = await once(child, 'close');
  assert.equal(status, 0);
  assert.equal(output, `${createHash('sha256').update(content).digest('hex')}  -\n`);
});
