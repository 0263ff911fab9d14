// SPDX-License-Identifier: MIT
// Disks that become larger while they are in use: the backends, what a crash leaves, and who is told in which order.

import assert from 'node:assert/strict';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeFolder } from './fake-folder.mjs';
import { source } from './source.mjs';

const { Disks } = await source('machine/disks.ts');
const { DiskRings } = await source('storage/protocol.ts');
const { FileDisk, makeFile } = await source('storage/file-disk.ts');
const { MemoryDisk } = await source('storage/memory-disk.ts');
const { OverlayDisk } = await source('storage/overlay-disk.ts');
const { SavedDisk } = await source('storage/saved-disk.ts');
const { SEGMENT_SIZE } = await source('storage/segments.ts');
const { Snapshot } = await source('storage/snapshot.ts');
const { StorageServer } = await source('storage/storage-server.ts');

const MIB = 1 << 20;
const GIB = 2 ** 30;
const bytes = (text) => new TextEncoder().encode(text);
const lock = { release: () => {} };

function fileDisk(system, path, size) {
  assert(makeFile(system, path));
  return new FileDisk(system, path, size, false);
}

const openSaved = (folder, size, initialize = () => {}) =>
  SavedDisk.open('home', folder, lock, size, false, initialize);
const described = (folder) => JSON.parse(new TextDecoder().decode(folder.files.get('disk.json')));

async function read(disk, offset, length) {
  const view = new Uint8Array(length);
  await disk.read(offset, [view]);
  return new TextDecoder().decode(view);
}

test('what was there stays, what is added is zero and can be used', async (suite) => {
  const path = files.mkdtempSync(join(tmpdir(), 'auklet-growth-'));
  suite.after(() => files.rmSync(path, { recursive: true }));
  const file = join(path, 'disk');
  for (const disk of [fileDisk(files, file, MIB), new MemoryDisk(MIB, false), await openSaved(new FakeFolder(), MIB)]) {
    await disk.write(MIB - 3, [bytes('end')]);
    await disk.grow(16 * GIB);
    assert.equal(disk.size, 16 * GIB);
    assert.equal(await read(disk, MIB - 3, 6), 'end\0\0\0');
    await disk.write(16 * GIB - 4, [bytes('last')]);
    assert.equal(await read(disk, 16 * GIB - 5, 5), '\0last');
    await disk.close();
  }
  assert.equal(files.statSync(file).size, 16 * GIB);
  assert.equal(new FileDisk(files, file, undefined, false).size, 16 * GIB);
});

test('the length of a file is on the medium before it counts, and a system that refuses it changes nothing', (suite) => {
  const path = files.mkdtempSync(join(tmpdir(), 'auklet-growth-'));
  suite.after(() => files.rmSync(path, { recursive: true }));
  const log = [];
  let disk;
  let isBroken = false;
  const watched = {
    ...files,
    ftruncateSync: (descriptor, size) => {
      log.push(`truncate ${size}, ${disk?.size}`);
      if (size > 4 * MIB) throw new Error('EFBIG: file too large, ftruncate');
      files.ftruncateSync(descriptor, size);
    },
    fsyncSync: (descriptor) => {
      log.push(`sync, ${disk?.size}`);
      if (isBroken) throw new Error('EIO: i/o error, fsync');
      files.fsyncSync(descriptor);
    },
  };
  disk = fileDisk(watched, join(path, 'disk'), MIB);
  log.length = 0;
  disk.grow(2 * MIB);
  assert.deepEqual(log, [`truncate ${2 * MIB}, ${MIB}`, `sync, ${MIB}`]);
  assert.throws(() => disk.grow(8 * MIB), /EFBIG/);
  isBroken = true;
  assert.throws(() => disk.grow(4 * MIB), /EIO/);
  assert.equal(disk.size, 2 * MIB);
  assert.equal(files.statSync(join(path, 'disk')).size, 2 * MIB);
});

test('a saved disk opens with the old or the new size, whatever ends the tab', async () => {
  const folder = new FakeFolder();
  const disk = await openSaved(folder, MIB, (made) => made.write(0, [bytes('kept')]));
  const sizes = new Set();
  /** The folder as it is after each change of a file. */
  folder.changed = async () => {
    const left = folder.copy();
    const size = disk.size;
    const next = await openSaved(left, undefined, () => assert.fail('it is no new disk'));
    assert(next.size >= size, `${next.size} of ${size}`);
    assert.equal(await read(next, 0, 4), 'kept');
    sizes.add(next.size);
  };
  const checks = [];
  const once = folder.changed;
  folder.changed = () => checks.push(once());
  await disk.grow(16 * GIB);
  folder.changed = undefined;
  await Promise.all(checks);
  assert(checks.length > 0);
  assert.deepEqual([...sizes], [16 * GIB]);
  assert.deepEqual(described(folder), { version: 1, generation: 0, size: 16 * GIB });
});

test('a saved disk that cannot write its description stays as it was', async () => {
  for (const throws of [true, false]) {
    const folder = new FakeFolder();
    const disk = await openSaved(folder, MIB);
    Object.assign(folder, { room: folder.sum - 512, throws });
    await assert.rejects(disk.grow(2 * MIB));
    assert.equal(disk.size, MIB);
    folder.room = Infinity;
    await assert.rejects(disk.grow(10_001 * SEGMENT_SIZE), /it cannot be larger than 625 GiB/);
    await disk.grow(2 * MIB);
    assert.equal(disk.size, 2 * MIB);
    assert.equal(described(folder).size, 2 * MIB);
    await disk.close();
  }
});

test('the next content of a saved disk is as large, and stays the next one', async () => {
  const folder = new FakeFolder();
  let disk = await openSaved(folder, MIB);
  const replacement = await disk.replacement();
  await replacement.write(0, bytes('imported'));
  await disk.grow(2 * MIB);
  assert.deepEqual(described(folder), { version: 1, generation: 0, size: 2 * MIB });
  await replacement.commit(MIB);
  assert.deepEqual(described(folder), { version: 1, generation: 1, size: 2 * MIB });
  await disk.grow(3 * MIB);
  assert.deepEqual(described(folder), { version: 1, generation: 1, size: 3 * MIB });
  await disk.close();
  disk = await openSaved(folder);
  assert.equal(disk.size, 3 * MIB);
  assert.equal(await read(disk, 0, 8), 'imported');
  // Two changes of the description at a time.
  await Promise.all([disk.reset(), disk.grow(4 * MIB)]);
  assert.deepEqual(described(folder), { version: 1, generation: 2, size: 4 * MIB, isNew: true });
  await disk.close();
});

test('a snapshot has the size of its moment', async () => {
  const disk = new MemoryDisk(MIB, false);
  disk.write(0, [bytes('old')]);
  const snapshot = new Snapshot(disk);
  disk.grow(3 * MIB);
  await snapshot.keep(2 * MIB, 512);
  disk.write(2 * MIB, [bytes('new')]);
  assert.equal((await snapshot.next()).bytes.length, MIB);
  assert.equal(await snapshot.next(), undefined);
  assert.equal(snapshot.size, MIB);
});

/** A server of these disks, with the host's side of it; `hear` is called when the guest would be told. */
async function serverOf(suite, disks, sources, hear) {
  const { port1, port2 } = new MessageChannel();
  const rings = DiskRings.create();
  let opened;
  const ready = new Promise((resolve) => (opened = resolve));
  const server = new StorageServer(
    (message) => {
      if (message.type === 'opened') opened();
      if (message.type === 'closed') server.isClosed = true;
    },
    async ({ name }) => disks[name],
  );
  server.handle({ type: 'open', sources, rings });
  await ready;
  server.handle({ type: 'host', port: port2 });
  const host = new Disks({ disks: [], rings }, port1, hear);
  suite.after(async () => {
    server.handle({ type: 'close' });
    while (!server.isClosed) await new Promise(setImmediate);
    port1.close();
  });
  /** The size, or the message of the error. */
  const grow = (disk, size) =>
    new Promise((resolve) => {
      const channel = new MessageChannel();
      suite.after(() => channel.port1.close());
      channel.port1.onmessage = ({ data }) => resolve(data.type === 'end' ? data.length : data.message);
      server.handle({ type: 'grow', disk, size, port: channel.port2 });
    });
  return { server, host, grow };
}

/** A disk that has room for 8 MiB. It has grown when `end` is called. */
function slowDisk(log) {
  const { promise: ended, resolve: end } = Promise.withResolvers();
  const { promise: begun, resolve: begin } = Promise.withResolvers();
  const disk = new MemoryDisk(MIB, false);
  disk.grow = async (size) => {
    log.push(`medium ${size}`);
    if (size > 8 * MIB) throw new Error('no room');
    begin();
    await ended;
    disk.size = size;
    log.push('done');
  };
  return { disk, begun, end };
}

test('the guest is told when the medium has the size, and the owner when the guest is told', async (suite) => {
  const log = [];
  const { disk, begun, end } = slowDisk(log);
  const { grow } = await serverOf(
    suite,
    { other: new MemoryDisk(MIB, false), a: disk },
    [{ name: 'other' }, { name: 'a' }],
    (index, size) => log.push(`guest ${index} ${size}`),
  );
  const done = grow('a', 2 * MIB).then((size) => log.push(`owner ${size}`));
  await begun;
  assert.deepEqual(log, [`medium ${2 * MIB}`]);
  end();
  await done;
  assert.deepEqual(log, [`medium ${2 * MIB}`, 'done', `guest 1 ${2 * MIB}`, `owner ${2 * MIB}`]);
  log.length = 0;
  assert.equal(await grow('a', 9 * MIB), 'disk a: no room');
  // It has that size.
  assert.equal(await grow('a', 2 * MIB), 2 * MIB);
  assert.equal(await grow('a', MIB), `disk a: it has ${2 * MIB} bytes already, and a disk does not shrink`);
  assert.deepEqual(log, [`medium ${9 * MIB}`, `guest 1 ${2 * MIB}`]);
});

test('growths of one disk at a time never make it smaller', async (suite) => {
  const disk = await openSaved(new FakeFolder(), MIB);
  const told = [];
  const { grow } = await serverOf(suite, { a: disk }, [{ name: 'a', saved: true }], (_index, size) => told.push(size));
  assert.deepEqual(await Promise.all([grow('a', 4 * MIB), grow('a', 2 * MIB), grow('a', 8 * MIB)]), [
    8 * MIB,
    `disk a: it has ${4 * MIB} bytes already, and a disk does not shrink`,
    8 * MIB,
  ]);
  assert.equal(disk.size, 8 * MIB);
  assert.deepEqual(
    told.toSorted((a, b) => a - b),
    told,
  );
});

test('disks that cannot grow say why', async (suite) => {
  const disks = {
    fixed: { ...new MemoryDisk(MIB, false), readOnly: false, size: MIB, unit: 0 },
    read: new MemoryDisk(MIB, true),
    over: new OverlayDisk(new MemoryDisk(MIB, true)),
    copy: new MemoryDisk(MIB, false),
  };
  const { grow } = await serverOf(
    suite,
    disks,
    [
      { name: 'fixed' },
      { name: 'read', readOnly: true },
      { name: 'over', overlay: true },
      { name: 'copy', saved: true },
    ],
    () => assert.fail('nothing has grown'),
  );
  for (const [name, reason] of [
    ['fixed', 'it cannot grow: this kind of disk has a fixed size'],
    ['read', 'it cannot grow: it is only read'],
    ['over', 'it cannot grow: its changes are in memory, over a disk that is only read'],
    ['copy', 'it cannot grow: it is a copy of the disk of another tab'],
    ['none', 'it is closed'],
  ])
    assert.equal(await grow(name, 2 * MIB), `disk ${name}: ${reason}`);
  for (const disk of Object.values(disks)) assert.equal(disk.size, MIB);
});

test('a machine that has ended changes the size of no file, which another may have', async (suite) => {
  const log = [];
  const { disk, begun, end } = slowDisk(log);
  disk.release = () => log.push('free');
  const { host, grow } = await serverOf(suite, { a: disk }, [{ name: 'a' }], () => {});
  const before = grow('a', 2 * MIB);
  await begun;
  const settled = host.settle();
  for (let turn = 0; turn < 10; ++turn) await new Promise(setImmediate);
  // Its file is not free yet.
  log.push('used');
  end();
  assert.equal(await settled, undefined);
  assert.equal(await before, 2 * MIB);
  assert.equal(await grow('a', 6 * MIB), 'disk a: it cannot grow: the machine has ended');
  assert.deepEqual(log, [`medium ${2 * MIB}`, 'used', 'done', 'free']);
});

test('a disk is closed when its medium has grown', async (suite) => {
  const log = [];
  const { disk, begun, end } = slowDisk(log);
  disk.close = () => log.push('closed');
  const { server, grow } = await serverOf(suite, { a: disk }, [{ name: 'a' }], () => {});
  void grow('a', 2 * MIB);
  await begun;
  server.handle({ type: 'close' });
  for (let turn = 0; turn < 10; ++turn) await new Promise(setImmediate);
  assert.deepEqual(log, [`medium ${2 * MIB}`]);
  end();
  while (!server.isClosed) await new Promise(setImmediate);
  assert.deepEqual(log, [`medium ${2 * MIB}`, 'done', 'closed']);
});
