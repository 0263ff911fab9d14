// SPDX-License-Identifier: MIT
// The storage worker's parts: rings, sizes, disks in memory and in files.

import assert from 'node:assert/strict';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { source } from './source.mjs';

const { Ring } = await source('storage/ring.ts');
const protocol = await source('storage/protocol.ts');
const { DiskRings, DURABLE, FLUSH, READ, WRITE } = protocol;
const { Disks } = await source('machine/disks.ts');
const { MemoryDisk } = await source('storage/memory-disk.ts');
const { FileDisk, makeFile } = await source('storage/file-disk.ts');
const { StorageServer } = await source('storage/storage-server.ts');
const { parseSize } = await source('storage/size.ts');
const { disksOf } = await source('node/disks.ts');

const bytes = (text) => new TextEncoder().encode(text);
const text = (view) => new TextDecoder().decode(view);

test('a ring gives records back in order, also over its end', () => {
  const ring = new Ring(new SharedArrayBuffer(Ring.size(16) + 8), 8, 16);
  assert.equal(ring.shift(), undefined);
  for (let round = 0; round < 100; ++round) {
    assert.equal(ring.push([round, -1]), true);
    assert.equal(ring.push([]), true);
    assert.equal(ring.push([round, 2 ** 31, 3, 4, 5]), true);
    assert.deepEqual([...ring.shift()], [round, -1]);
    assert.deepEqual([...ring.shift()], []);
    assert.deepEqual([...ring.shift()], [round, -(2 ** 31), 3, 4, 5]);
  }
});

test('a ring that is full says so, and takes more when there is room', () => {
  const ring = new Ring(new SharedArrayBuffer(Ring.size(8)), 0, 8);
  assert.equal(ring.push([1, 2, 3]), true);
  assert.equal(ring.push([4, 5, 6, 7]), false);
  assert.equal(ring.push([4, 5, 6]), true);
  assert.equal(ring.push([]), false);
  assert.deepEqual([...ring.shift()], [1, 2, 3]);
  assert.equal(ring.push([7]), true);
  assert.deepEqual([...ring.shift()], [4, 5, 6]);
  assert.deepEqual([...ring.shift()], [7]);
});

test('two threads share a ring', async (suite) => {
  const buffer = new SharedArrayBuffer(Ring.size(64));
  const ring = new Ring(buffer, 0, 64);
  const url = new URL('../../web/src/storage/ring.ts', import.meta.url).href;
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     import(workerData.url).then(({ Ring }) => {
       const ring = new Ring(workerData.buffer, 0, 64);
       for (let number = 0; number < 20000;) if (ring.push(Array(number % 7).fill(number))) ++number;
     });`,
    { eval: true, workerData: { buffer, url } },
  );
  suite.after(() => worker.terminate());
  for (let number = 0; number < 20000;) {
    const record = ring.shift();
    if (record === undefined) await ring.wait();
    else assert.deepEqual([...record], Array(number++ % 7).fill(number - 1));
  }
});

test('a request passes the ring as it was', () => {
  const rings = new DiskRings(DiskRings.create());
  const request = {
    disk: 3,
    operation: READ,
    id: 255,
    offset: 2 ** 45 + 512,
    length: 2 ** 33,
    places: Uint32Array.of(0xffff_f000, 4096, 8192, 512),
  };
  assert.equal(rings.ask(request), true);
  assert.deepEqual(rings.take(), request);
  assert.equal(rings.take(), undefined);
});

test('the host blocks for its disks while an answer or the next request is near, and not longer than its turn', () => {
  const { port1, port2 } = new MessageChannel();
  const buffer = DiskRings.create();
  const storage = new DiskRings(buffer);
  const disks = new Disks({ disks: [], rings: buffer }, port1);
  const asked = [];
  const expects = (turn = performance.now()) => {
    asked.length = 0;
    const rung = disks.expects(turn, (milliseconds) => asked.push(milliseconds) > 0);
    assert.equal(rung, asked.length > 0);
    return rung;
  };
  assert.equal(expects(), false);
  disks.submit({ disk: 0, operation: READ, id: 1, offset: 0, length: 512, places: Uint32Array.of(0, 512) });
  assert.equal(expects(), true);
  assert(asked[0] < 1);
  assert.equal(expects(performance.now() - 1000), false);
  storage.answers.push([0, 1, 1]);
  disks.drain(() => {});
  assert.equal(expects(), true);
  // The doorbell was another device's.
  disks.drain(() => {});
  assert.equal(expects(), false);
  port1.close();
  port2.close();
});

test('what found no room in the ring is done, too, when the host ends', async () => {
  const written = [];
  const { server, told, port, rings } = await serverOf({
    size: 1 << 20,
    readOnly: false,
    unit: 0,
    write: (offset) => void written.push(offset / 512),
    flush: () => {},
    close: () => {},
  });
  const disks = new Disks({ disks: [], rings }, port);
  // The server has K then.
  await disks.settle();
  const count = 400;
  const places = Uint32Array.from({ length: 2 * 254 }, (_, index) => (index % 2 === 0 ? 1024 : 512));
  // This thread is the server's, too, which takes none of them meanwhile.
  for (let id = 0; id < count; ++id)
    disks.submit({ disk: 0, operation: WRITE, id: id % 256, offset: id * 512, length: 512, places });
  assert.equal(written.length, 0);
  await disks.submitAll();
  server.handle({ type: 'close' });
  await told('closed');
  assert.deepEqual(
    written,
    Array.from({ length: count }, (_, index) => index),
  );
  port.close();
});

test('operations have the numbers that the C++ host gives them', () => {
  const header = files.readFileSync(new URL('../../host/src/backends/disks.hpp', import.meta.url), 'utf8');
  const names = header.match(/enum class DiskOperation : std::uint8_t \{ (.*) \};/)[1].split(', ');
  assert.equal(names.length, 5);
  names.forEach((name, number) => assert.equal(protocol[name.toUpperCase()], number, name));
  assert(DURABLE >= names.length && Number.isInteger(Math.log2(DURABLE)));
});

test('sizes', () => {
  for (const [given, expected] of [
    ['0', 0],
    ['512', 512],
    ['64K', 65536],
    ['64k', 65536],
    ['1.5M', 1572864],
    ['4G', 2 ** 32],
    ['4GB', 2 ** 32],
    ['4GiB', 2 ** 32],
    ['2T', 2 ** 41],
    ['', undefined],
    ['G', undefined],
    ['-1', undefined],
    ['1e3', undefined],
    ['4 G', undefined],
    ['0.3', undefined],
    ['9999999T', undefined],
  ])
    assert.equal(parseSize(given), expected, given);
});

function behaves(disk) {
  const read = (offset, ...lengths) => {
    const views = lengths.map((length) => new Uint8Array(length));
    disk.read(offset, views);
    return views.map(text);
  };
  assert.equal(disk.size, 1 << 20);
  assert.deepEqual(read(65530, 8), ['\0'.repeat(8)]);
  disk.write(65530, [bytes('abc'), bytes('defghijkl')]);
  assert.deepEqual(read(65529, 1, 6, 7), ['\0', 'abcdef', 'ghijkl\0']);
  disk.zero(65532, 6);
  assert.deepEqual(read(65530, 12), [`ab${'\0'.repeat(6)}ijkl`]);
  disk.write(disk.size - 3, [bytes('end')]);
  assert.deepEqual(read(disk.size - 4, 4), ['\0end']);
  disk.zero(0, disk.size);
  assert.deepEqual(read(65530, 12), ['\0'.repeat(12)]);
  const shared = new Uint8Array(new SharedArrayBuffer(16), 4, 5);
  shared.set(bytes('share'));
  disk.write(100, [shared]);
  shared.fill(0);
  disk.read(100, [shared]);
  assert.equal(text(shared.slice()), 'share');
  disk.flush();
}

test('a disk in memory', () => {
  behaves(new MemoryDisk(1 << 20, false));
  const disk = new MemoryDisk(1024, true, bytes('content'));
  const view = new Uint8Array(9);
  disk.read(0, [view]);
  assert.equal(text(view), 'content\0\0');
});

test('a disk in a file', (suite) => {
  const folder = files.mkdtempSync(join(tmpdir(), 'auklet-storage-'));
  suite.after(() => files.rmSync(folder, { recursive: true }));
  const path = join(folder, 'disk');
  assert.equal(makeFile(files, path), true);
  assert.equal(makeFile(files, path), false);
  const disk = new FileDisk(files, path, 1 << 20, false);
  behaves(disk);
  disk.close();
  assert.equal(new FileDisk(files, path, 2 << 20, false).size, 2 << 20);
  assert.equal(new FileDisk(files, path, undefined, true).size, 2 << 20);
});

test('a system that does a part of it is asked again', (suite) => {
  const folder = files.mkdtempSync(join(tmpdir(), 'auklet-storage-'));
  suite.after(() => files.rmSync(folder, { recursive: true }));
  const some = (act) => (descriptor, views, position) => act(descriptor, [views[0].subarray(0, 3)], position);
  const slow = { ...files, readvSync: some(files.readvSync), writevSync: some(files.writevSync) };
  for (const name of ['slow', 'full']) assert(makeFile(files, join(folder, name)));
  behaves(new FileDisk(slow, join(folder, 'slow'), 1 << 20, false));
  const full = new FileDisk({ ...files, writevSync: () => 0 }, join(folder, 'full'), 4096, false);
  assert.throws(() => full.write(0, [bytes('x')]), /nothing can be written/);
});

test('--disk', () => {
  for (const [value, expected] of [
    ['home.img', { name: 'home', file: 'home.img' }],
    ['/a/b:ro', { name: 'b', file: '/a/b', readOnly: true }],
    ['x.img:name=home:size=4G', { name: 'home', file: 'x.img', size: '4G' }],
    ['x.img:size=4G:ro:name=', { name: 'x', file: 'x.img', size: '4G', readOnly: true }],
    ['x.img:size=4G:ext4', { name: 'x', file: 'x.img', size: '4G', format: 'ext4' }],
    ['C:\\disk.img', { name: 'C--disk', file: 'C:\\disk.img' }],
    ['a:b.img', { name: 'a-b', file: 'a:b.img' }],
    ['./my disk, the second one.img', { name: 'my-disk--the-second-', file: './my disk, the second one.img' }],
  ])
    assert.deepEqual(disksOf([value]), [expected]);
  assert.throws(() => disksOf([':ro']), /^Error: --disk :ro: write FILE\[:ro\]\[:name=NAME\]\[:size=SIZE\]\[:ext4\]$/);
});

/** A server with one disk, whose reads and writes end when the test says so. */
async function serverOf(disk) {
  const { port1, port2 } = new MessageChannel();
  const rings = DiskRings.create();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const heard = [];
  let tell;
  const server = new StorageServer(
    (message) => {
      heard.push(message);
      tell?.();
    },
    async () => disk,
  );
  const told = async (type) => {
    while (!heard.some((message) => message.type === type)) await new Promise((resolve) => (tell = resolve));
    return heard.find((message) => message.type === type);
  };
  server.handle({ type: 'open', sources: [{ name: 'slow' }], rings });
  await told('opened');
  server.handle({ type: 'host', port: port2 });
  port1.postMessage({ type: 'kernel', memory, doorbell: 64, bit: 4 });
  const both = new DiskRings(rings);
  let id = 0;
  const ask = (operation, offset, places) =>
    both.ask({ disk: 0, operation, id: id++, offset, length: 512, places: Uint32Array.from(places) });
  const answer = async () => {
    await both.answers.wait();
    return [...both.answers.shift()];
  };
  return { server, told, ask, answer, bytes: new Uint8Array(memory.buffer), port: port1, rings };
}

test('a request that takes its time stops no other, and is answered before the disk is closed', async () => {
  const ends = [];
  const log = [];
  const {
    server,
    told,
    ask,
    answer,
    bytes: kernel,
    port,
  } = await serverOf({
    size: 4096,
    readOnly: false,
    unit: 0,
    read: (offset, views) =>
      offset === 0
        ? new Promise((resolve, reject) => ends.push({ resolve, reject })).then(() => views[0].fill(7))
        : void views[0].fill(8),
    write: () => new Promise((resolve) => ends.push({ resolve: () => resolve(void log.push('written')) })),
    flush: () => void log.push('flushed'),
    zero: () => {},
    close: () => void log.push('closed'),
  });
  ask(READ, 0, [1024, 512]);
  ask(READ, 512, [2048, 512]);
  assert.deepEqual(await answer(), [0, 1, 1]);
  assert.equal(kernel[2048], 8);
  ends.shift().resolve();
  assert.deepEqual(await answer(), [0, 0, 1]);
  assert.equal(kernel[1024], 7);

  ask(READ, 0, [1024, 512]);
  ask(FLUSH, 0, []);
  assert.deepEqual(await answer(), [0, 3, 1]);
  ends.shift().reject(new Error('no network'));
  assert.deepEqual(await answer(), [0, 2, 0]);
  assert.match((await told('trouble')).message, /disk slow: a read has failed: no network/);

  ask(WRITE | DURABLE, 0, [1024, 512]);
  while (ends.length === 0) await new Promise(setImmediate);
  server.handle({ type: 'close' });
  await new Promise(setImmediate);
  assert.deepEqual(log, ['flushed']);
  ends.shift().resolve();
  assert.deepEqual(await answer(), [0, 4, 1]);
  await told('closed');
  assert.deepEqual(log, ['flushed', 'written', 'flushed', 'flushed', 'closed']);
  port.close();
});

test('a flush in advance, and how the guest hears that it has failed', async () => {
  let flushes = 0;
  let failing = false;
  const { server, told, ask, answer, port } = await serverOf({
    size: 4096,
    readOnly: false,
    unit: 0,
    read: () => {},
    write: () => {},
    flush: () => {
      ++flushes;
      if (failing) throw new Error('the medium is broken');
    },
    zero: () => {},
    close: () => {},
  });
  const write = async () => {
    ask(WRITE, 0, [1024, 512]);
    assert.equal((await answer())[2], 1);
  };
  const flush = async () => {
    ask(FLUSH, 0, []);
    return (await answer())[2];
  };
  for (let round = 0; round < 8; ++round) {
    await write();
    assert.equal(await flush(), 1);
  }
  assert.equal(flushes, 8);
  failing = true;
  await write();
  assert.equal(flushes, 9);
  failing = false;
  assert.equal(await flush(), 0);
  assert.match((await told('trouble')).message, /disk slow: a flush has failed: the medium is broken/);
  assert.equal(await flush(), 1);
  server.handle({ type: 'close' });
  await told('closed');
  port.close();
});
