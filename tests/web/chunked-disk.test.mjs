// SPDX-License-Identifier: MIT
// Disks in chunks: a host and a manifest that lie, caches, and what is loaded how often.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { source } from './source.mjs';

const { ChunkedDisk } = await source('storage/chunked-disk.ts');
const { chunkSource, FolderCache, FolderSource, HttpSource } = await source('storage/chunk-sources.ts');
const { parseManifest } = await source('storage/manifest.ts');

const CHUNK = 4096;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** An image of five chunks: the fourth is zero, and the last is short. */
function image() {
  const content = randomBytes(4 * CHUNK + 512);
  content.fill(0, 3 * CHUNK, 4 * CHUNK);
  const chunks = new Map();
  const names = [];
  for (let at = 0; at < content.length; at += CHUNK) {
    const piece = content.subarray(at, at + CHUNK);
    const name = piece.every((byte) => byte === 0) ? null : sha256(piece);
    names.push(name);
    if (name !== null) chunks.set(name, new Uint8Array(piece));
  }
  const manifest = { version: 1, size: content.length, chunkSize: CHUNK, sha256: names };
  return { content, chunks, names, manifest };
}

/** A source that counts, and answers as `answer` says. */
function sourceOf({ manifest, chunks }, answer = (name) => chunks.get(name)) {
  const asked = [];
  return {
    asked,
    manifest: async () => JSON.stringify(manifest),
    chunk: async (name, length, fresh) => {
      asked.push(name);
      return answer(name, length, fresh, asked.length);
    },
  };
}

async function read(disk, offset, ...lengths) {
  const views = lengths.map((length) => new Uint8Array(new SharedArrayBuffer(length)));
  await disk.read(offset, views);
  return Buffer.concat(views);
}

test('bytes at any place, each chunk loaded once', async () => {
  const made = image();
  const from = sourceOf(made);
  const disk = await ChunkedDisk.open(from);
  assert.equal(disk.size, made.content.length);
  assert.deepEqual(from.asked, []);
  for (const [offset, ...lengths] of [
    [0, 1],
    [CHUNK - 1, 2],
    [100, CHUNK, 3, 2 * CHUNK],
    [3 * CHUNK, CHUNK],
    [0, made.content.length],
  ]) {
    const length = lengths.reduce((sum, each) => sum + each);
    assert.deepEqual(await read(disk, offset, ...lengths), made.content.subarray(offset, offset + length));
  }
  assert.equal(disk.read(0, [new Uint8Array(1)]), undefined, 'what is in memory is there at once');
  assert.deepEqual(from.asked.toSorted(), made.names.filter((name) => name !== null).toSorted());
  assert.throws(() => disk.write(0, [new Uint8Array(1)]), /only read/);

  const again = sourceOf(made);
  const other = await ChunkedDisk.open(again);
  const results = await Promise.all([read(other, 0, 10), read(other, 5, 10), read(other, CHUNK, 1)]);
  assert.deepEqual(results[1], made.content.subarray(5, 15));
  assert.deepEqual(again.asked.length, 2);
});

test('memory has a bound', async () => {
  const made = image();
  const from = sourceOf(made);
  const disk = await ChunkedDisk.open(from, { memory: 2 * CHUNK });
  for (const index of [0, 1, 0, 2, 0, 1]) await read(disk, index * CHUNK, 1);
  assert.deepEqual(
    from.asked.map((name) => made.names.indexOf(name)),
    [0, 1, 2, 1],
  );
});

test('what the manifest lists is loaded before it is asked for', async () => {
  const made = image();
  made.manifest.prefetch = [4, 3, 1];
  const arrived = [];
  let all;
  const both = new Promise((resolve) => (all = resolve));
  const from = sourceOf(made, (name) => {
    arrived.push(made.names.indexOf(name));
    if (arrived.length === 2) all();
    return made.chunks.get(name);
  });
  const disk = await ChunkedDisk.open(from);
  await both;
  assert.deepEqual(arrived, [4, 1]);
  assert.deepEqual(await read(disk, CHUNK, CHUNK), made.content.subarray(CHUNK, 2 * CHUNK));
  assert.equal(arrived.length, 2);
});

test('a chunk that is not what its name says is asked for again, and never used', async () => {
  const made = image();
  for (const wrong of [
    (bytes) => Uint8Array.from(bytes, (byte, index) => (index === 7 ? byte ^ 1 : byte)),
    (bytes) => bytes.subarray(1),
    () => new Uint8Array(0),
    () => new TextEncoder().encode('<!doctype html>'.padEnd(CHUNK)),
  ]) {
    const fresh = [];
    const once = sourceOf(made, (name, _length, isFresh, count) => {
      fresh.push(isFresh);
      return count === 1 ? wrong(made.chunks.get(name)) : made.chunks.get(name);
    });
    const disk = await ChunkedDisk.open(once, { delays: [0, 0] });
    assert.deepEqual(await read(disk, 0, 9), made.content.subarray(0, 9));
    assert.deepEqual(fresh, [false, true]);
    const always = await ChunkedDisk.open(
      sourceOf(made, (name) => wrong(made.chunks.get(name))),
      { delays: [0, 0] },
    );
    await assert.rejects(read(always, 0, 9), /chunk [0-9a-f]{64} is not what its name says/);
  }
});

test('a cache may lose and change what it has', async (suite) => {
  const made = image();
  const folder = mkdtempSync(join(tmpdir(), 'auklet-cache-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const cache = new FolderCache(join(folder, 'new', 'cache'));
  const first = await ChunkedDisk.open(sourceOf(made), { cache });
  await read(first, 0, made.content.length);
  await first.close();
  assert.deepEqual(readdirSync(join(folder, 'new', 'cache')).toSorted(), [...made.chunks.keys()].toSorted());

  const none = sourceOf(made, () => assert.fail('it is in the cache'));
  assert.deepEqual(await read(await ChunkedDisk.open(none, { cache }), 0, made.content.length), made.content);

  writeFileSync(join(folder, 'new', 'cache', made.names[0]), 'x');
  truncateSync(join(folder, 'new', 'cache', made.names[1]), CHUNK - 1);
  const some = sourceOf(made);
  const second = await ChunkedDisk.open(some, { cache });
  assert.deepEqual(await read(second, 0, made.content.length), made.content);
  assert.deepEqual(some.asked.toSorted(), made.names.slice(0, 2).toSorted());
  await second.close();

  const broken = { get: () => Promise.reject(new Error('no')), put: () => Promise.reject(new Error('no')) };
  const third = await ChunkedDisk.open(sourceOf(made), { cache: broken });
  assert.deepEqual(await read(third, 0, 5), made.content.subarray(0, 5));
});

test('a manifest that lies is refused', () => {
  const { manifest } = image();
  for (const [change, reason] of [
    [{ version: 2 }, /has version 2/],
    [{ size: -512 }, /its size/],
    [{ size: 0 }, /its size/],
    [{ size: 1000 }, /its size/],
    [{ size: 2 ** 60 }, /its size/],
    [{ size: '4096' }, /its size/],
    [{ size: manifest.size + CHUNK }, /array of 6 names/],
    [{ chunkSize: 0 }, /chunkSize/],
    [{ chunkSize: 5000 }, /chunkSize/],
    [{ chunkSize: 2 ** 30 }, /chunkSize/],
    [{ sha256: {} }, /array of 5 names/],
    [{ sha256: manifest.sha256.with(0, '../../etc/passwd') }, /64 hexadecimal/],
    [{ sha256: manifest.sha256.with(0, manifest.sha256[0].toUpperCase()) }, /64 hexadecimal/],
    [{ sha256: manifest.sha256.with(0, 7) }, /64 hexadecimal/],
    [{ prefetch: [5] }, /prefetch/],
    [{ prefetch: [0.5] }, /prefetch/],
    [{ prefetch: [0, 0, 0, 0, 0, 0] }, /prefetch/],
    [{ prefetch: 'all' }, /prefetch/],
  ])
    assert.throws(() => parseManifest(JSON.stringify({ ...manifest, ...change })), reason, JSON.stringify(change));
  assert.throws(() => parseManifest('<!doctype html><title>404'), /it is no JSON, but begins with "<!doctype html>/);
  assert.throws(() => parseManifest('null'), /no object/);
  assert.equal(parseManifest(JSON.stringify(manifest)).chunks.length, 5);
});

test('a server that answers in every wrong way', async (suite) => {
  const made = image();
  let behave;
  const server = createServer((request, response) => behave(request, response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  suite.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = `http://127.0.0.1:${server.address().port}/some/root.json`;
  const right = (request, response) => {
    const name = request.url.match(/^\/some\/chunks\/([0-9a-f]{64})$/)?.[1];
    if (request.url === '/some/root.json') response.end(JSON.stringify(made.manifest));
    else if (made.chunks.has(name)) response.end(made.chunks.get(name));
    else response.writeHead(404).end();
  };
  behave = right;
  const disk = await ChunkedDisk.open(chunkSource(address), { delays: [0] });
  assert.deepEqual(await read(disk, 0, made.content.length), made.content);

  const isChunk = ({ url }) => url.includes('/chunks/');
  let count;
  for (const [wrong, reason, times] of [
    [(_, response) => response.writeHead(404).end('none'), /root\.json.*|chunks\/.*: the server answers 404/, 1],
    [(_, response) => response.writeHead(403).end(), /the server answers 403/, 1],
    [(_, response) => response.writeHead(500).end(), /the server answers 500/, 2],
    [(_, response) => response.writeHead(429).end(), /the server answers 429/, 2],
    [(_, response) => response.end('<!doctype html>'), /is not what its name says: 15 bytes of 4096/, 2],
    [(_, response) => response.end(), /is not what its name says: 0 bytes/, 2],
    [(request) => request.socket.destroy(), /chunks\//, 2],
    [
      (_, response) => {
        response.writeHead(200, { 'content-length': CHUNK });
        response.write('x', () => response.destroy());
      },
      /chunks\//,
      2,
    ],
    [
      (_, response) => {
        // Without end, as fast as it is read.
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65536)));
        };
        response.on('drain', more);
        more();
      },
      /the server sends more than 4096 bytes/,
      2,
    ],
    [() => {}, /the download takes too long/, 2],
  ]) {
    count = 0;
    behave = (request, response) => {
      if (!isChunk(request)) return right(request, response);
      ++count;
      return wrong(request, response);
    };
    const other = await ChunkedDisk.open(new HttpSource(address, 500), { delays: [0] });
    await assert.rejects(read(other, 0, 1), reason);
    assert.equal(count, times, String(reason));
    // The next request of the guest is a new try.
    behave = right;
    assert.deepEqual(await read(other, 0, 1), made.content.subarray(0, 1));
  }
  behave = (_, response) => response.writeHead(404).end();
  await assert.rejects(ChunkedDisk.open(chunkSource(address)), /root\.json: the server answers 404/);
  behave = (_, response) => response.end('<html>');
  await assert.rejects(ChunkedDisk.open(chunkSource(address)), /no JSON, but begins with "<html>"/);
});

test('a folder that is not as it should be', async (suite) => {
  const made = image();
  const folder = mkdtempSync(join(tmpdir(), 'auklet-image-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'chunks'));
  writeFileSync(join(folder, 'root.json'), JSON.stringify(made.manifest));
  for (const [name, bytes] of made.chunks) writeFileSync(join(folder, 'chunks', name), bytes);
  const open = () => ChunkedDisk.open(new FolderSource(join(folder, 'root.json')), { delays: [] });
  assert.deepEqual(await read(await open(), 0, made.content.length), made.content);
  const path = join(folder, 'chunks', made.names[0]);
  rmSync(path);
  await assert.rejects(read(await open(), 0, 1), /ENOENT/);
  mkdirSync(path);
  await assert.rejects(read(await open(), 0, 1), /is no regular file/);
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
  truncateSync(path, 1 << 30);
  await assert.rejects(read(await open(), 0, 1), /has more than 4096 bytes/);
});
