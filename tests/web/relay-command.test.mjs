// SPDX-License-Identifier: MIT
// The command `auklet relay` (node/relay.ts), as a process of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { echo, guestFor, serverFor } from './network-wisp-peers.mjs';

const main = fileURLToPath(new URL('../../web/src/node/main.ts', import.meta.url));
const hooks = new URL('source.mjs', import.meta.url).href;

function start(words, environment = {}) {
  const { AUKLET_RELAY_TOKEN: _, ...rest } = process.env;
  return spawn(process.execPath, ['--import', hooks, main, 'relay', ...words], {
    env: { ...rest, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A relay that runs: its first line. */
async function running(t, words, environment) {
  const relay = start(['--port', '0', ...words], environment);
  t.after(() => relay.kill('SIGKILL'));
  const [first] = await once(createInterface(relay.stdout), 'line');
  return { relay, line: first };
}

async function output(relay) {
  const parts = [];
  relay.stderr.on('data', (bytes) => parts.push(bytes));
  const [status] = await once(relay, 'close');
  return { status, stderr: Buffer.concat(parts).toString() };
}

test('a new token each time, and the internet only', async (t) => {
  const { relay, line } = await running(t, []);
  const [, url] = /^the relay is at (ws:\/\/127\.0\.0\.1:\d+\/[A-Za-z0-9_-]{24}\/) \(Ctrl-C ends it\)$/.exec(line);
  const guest = guestFor(t, url);
  const port = await serverFor(t, echo);
  await guest.open(port).has('failed prohibited');
  await guest.open(port, { address: '10.0.2.2' }).has('failed prohibited');
  relay.kill('SIGTERM');
  assert.deepEqual(await output(relay), { status: 0, stderr: '' });
});

test('a token of the user is not shown, and the computer itself is allowed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-relay-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'token');
  writeFileSync(file, 'the-token-of-this-test\n');
  const port = await serverFor(t, echo);
  for (const [words, environment] of [
    [['--token-file', file], {}],
    [[], { AUKLET_RELAY_TOKEN: 'the-token-of-this-test' }],
  ]) {
    const { relay, line } = await running(t, ['--network-allow', `host:${port}`, ...words], environment);
    assert.match(line, /^the relay is at ws:\/\/127\.0\.0\.1:\d+\/TOKEN\/ /);
    const url = /ws:\S+/.exec(line)[0].replace('TOKEN', 'the-token-of-this-test');
    const guest = guestFor(t, url);
    await guest.open(port, { address: '10.0.2.2' }).has('opened');
    await guest.open(port).has('failed prohibited');
    relay.kill('SIGINT');
    assert.deepEqual(await output(relay), { status: 0, stderr: '' });
    guest.close();
  }
});

test('options that are wrong', async () => {
  const cases = [
    [['--host', 'localhost'], '--host must be an address, not localhost'],
    [['--port', '70000'], '--port must be a whole number from 0 to 65535, not 70000'],
    [['--idle', '1'], '--idle must be a whole number from 60 to 1000000 s, not 1'],
    [['--origin', 'example.org'], '--origin example.org: write https://HOST or https://HOST:PORT, or * for all pages'],
    [['--listen', '80'], '--listen 80: write [ADDRESS:]FIRST-LAST, such as 20000-20099'],
    [['--listen', '90-80'], '--listen 90-80: write [ADDRESS:]FIRST-LAST, such as 20000-20099'],
    [['--network-allow', '10.0.0.1/8'], 'relay: "10.0.0.1/8" has bits after the first 8; write 10.0.0.0/8'],
    [['--token-file', '/nowhere'], "--token-file /nowhere: ENOENT: no such file or directory, open '/nowhere'"],
    [['word'], 'relay: usage: ./auklet relay [OPTIONS]; ./auklet relay --help lists them'],
  ];
  const results = await Promise.all(cases.map(([words]) => output(start(words))));
  cases.forEach(([words, message], index) =>
    assert.deepEqual(results[index], { status: 2, stderr: `auklet: ${message}\n` }, words.join(' ')),
  );
  const short = await output(start([], { AUKLET_RELAY_TOKEN: 'short' }));
  assert.equal(short.stderr, 'auklet: AUKLET_RELAY_TOKEN: a token has at least 16 characters\n');
});
