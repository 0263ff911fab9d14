// SPDX-License-Identifier: MIT
// The relay of `auklet serve` (node/page-relay.ts): who is told its token, and whom it serves.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { source } from './source.mjs';

const { relayOf } = await source('network/relay-file.ts');
const main = fileURLToPath(new URL('../../web/src/node/main.ts', import.meta.url));
const hooks = new URL('source.mjs', import.meta.url).href;

function start(words) {
  return spawn(process.execPath, ['--import', hooks, main, 'serve', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A server that runs; resolves with its port. */
async function running(t, words = []) {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-site-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'index.html'), 'the page');
  const server = start(['--port', '0', ...words, folder]);
  t.after(() => server.kill('SIGKILL'));
  server.stderr.pipe(process.stderr);
  const [line] = await Promise.race([once(createInterface(server.stdout), 'line'), once(server, 'exit')]);
  return Number(/:(\d+)\//.exec(line)[1]);
}

/** Status, headers and text of an answer. `headers` replace those of a page of this server. */
async function get(port, path, headers = {}, host = '127.0.0.1') {
  const own = { host: `localhost:${port}`, 'sec-fetch-site': 'same-origin' };
  const sent = request({ host, port, path, headers: { ...own, ...headers } });
  sent.end();
  const [response] = await Promise.race([once(sent, 'response'), once(sent, 'upgrade')]);
  if (response.statusCode === 101) {
    response.socket.destroy();
    return { status: 101 };
  }
  let text = '';
  for await (const part of response) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

/** The status of the answer to a WebSocket of this server's page. */
const upgrade = async (port, path, headers = {}) => {
  const own = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'wisp-v2',
    origin: `http://localhost:${port}`,
  };
  return (await get(port, path, { ...own, ...headers })).status;
};

test('the page is told the token, and nobody else is', async (t) => {
  const port = await running(t);
  const told = await get(port, '/relay.json');
  assert.equal(told.status, 200);
  const { path } = JSON.parse(told.text);
  assert.match(path, /^\/[A-Za-z0-9_-]{24}\/$/);
  assert.equal(told.headers['cache-control'], 'no-store');
  assert.equal(told.headers['cross-origin-resource-policy'], 'same-origin');
  assert.equal(told.headers['access-control-allow-origin'], undefined);
  for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`])
    assert.equal((await get(port, '/relay.json', { host })).text, told.text, host);
  for (const headers of [
    { host: `evil.example:${port}` },
    { host: `8080.localhost:${port}` },
    { host: 'localhost.evil.example' },
    { host: `192.168.1.2:${port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'x-forwarded-for': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1' },
  ]) {
    const answer = await get(port, '/relay.json', headers);
    assert.equal(answer.status, 404, JSON.stringify(headers));
    assert(!answer.text.includes(path));
  }
  assert.equal((await get(port, '/')).text, 'the page');
  const other = await running(t);
  assert.notEqual(JSON.parse((await get(other, '/relay.json')).text).path, path);
});

test('a WebSocket needs the token, and the page’s origin', async (t) => {
  const port = await running(t);
  const { path } = JSON.parse((await get(port, '/relay.json')).text);
  assert.equal(await upgrade(port, path), 101);
  assert.equal(await upgrade(port, path, { host: `[::1]:${port}`, origin: `http://[::1]:${port}` }), 101);
  assert.equal(await upgrade(port, '/'), 404);
  assert.equal(await upgrade(port, `/${'A'.repeat(24)}/`), 404);
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: `https://localhost:${port}` },
    { origin: 'http://localhost' },
    { origin: `http://8080.localhost:${port}` },
    { origin: 'null' },
    { origin: `http://evil.example:${port}`, host: `evil.example:${port}` },
    { 'x-forwarded-for': '10.0.0.1' },
  ])
    assert.equal(await upgrade(port, path, headers), 403, JSON.stringify(headers));
});

test('other computers have no part in it', async (t) => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  if (address === undefined) return t.skip('this computer has no network card');
  const port = await running(t, ['--host', '0.0.0.0']);
  assert.equal((await get(port, '/relay.json')).status, 200);
  // From that address, as from another computer.
  assert.equal((await get(port, '/relay.json', {}, address)).status, 404);
  assert.equal((await get(port, '/', {}, address)).status, 200);
});

test('no relay', async (t) => {
  const port = await running(t, ['--network=none']);
  assert.equal((await get(port, '/relay.json')).status, 404);
});

test('options that are wrong', async () => {
  for (const [words, message] of [
    [['--network', 'nat'], '--network nat: write relay or none'],
    [['--network=none', '--network-allow', 'host'], '--network-allow needs the relay, which --network=none ends'],
    [['--network-deny', '10.0.0.1/8'], 'run: "10.0.0.1/8" has bits after the first 8; write 10.0.0.0/8'],
  ]) {
    const server = start([...words, '.']);
    const parts = [];
    server.stderr.on('data', (bytes) => parts.push(bytes));
    const [status] = await once(server, 'close');
    assert.deepEqual([status, Buffer.concat(parts).toString()], [2, `auklet: ${message}\n`]);
  }
});

test('the file that names the relay', () => {
  const page = new URL('http://localhost:8000/index.html?network=relay');
  assert.equal(relayOf({ path: '/token_-1/' }, page), 'ws://localhost:8000/token_-1/');
  assert.equal(relayOf({ path: '/token/' }, new URL('https://example.org/')), 'wss://example.org/token/');
  for (const file of [null, undefined, 1, 'path', {}, { path: 1 }, { path: '//evil.example/' }, { path: '/a' }])
    assert.equal(relayOf(file, page), undefined, JSON.stringify(file));
});
