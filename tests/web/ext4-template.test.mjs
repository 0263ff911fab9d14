// SPDX-License-Identifier: MIT
// The empty file system of new disks, as e2fsck of this computer sees it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { source } from './source.mjs';

const { writeExt4Template, isUnfinished, LEAST_EXT4_SIZE } = await source('storage/ext4-template.ts');
const { openDisk } = await source('storage/open-disk.ts');
const { MemoryDisk } = await source('storage/memory-disk.ts');

function folder(suite) {
  const path = files.mkdtempSync(join(tmpdir(), 'auklet-ext4-'));
  suite.after(() => files.rmSync(path, { recursive: true }));
  return path;
}

/** The first MiB of a file. */
function start(path) {
  const bytes = Buffer.alloc(1 << 20);
  const descriptor = files.openSync(path, 'r');
  files.readSync(descriptor, bytes);
  files.closeSync(descriptor);
  return bytes;
}

test('a new disk has an empty file system, which takes little', async (suite) => {
  const file = join(folder(suite), 'new.img');
  (await openDisk({ name: 'new', readOnly: false, file, size: LEAST_EXT4_SIZE, format: 'ext4' })).close();
  const check = spawnSync('e2fsck', ['-fn', file], { encoding: 'utf8' });
  assert.equal(check.status, 0, check.stdout + check.stderr);
  assert.match(check.stdout, /: 11\/16384 files /);
  const status = files.statSync(file);
  assert.equal(status.size, LEAST_EXT4_SIZE);
  assert(status.blocks * 512 < 512 * 1024, `${status.blocks} blocks`);
  const names = execFileSync('debugfs', ['-R', 'ls -p /', file], { encoding: 'utf8', stdio: 'pipe' });
  assert.deepEqual(
    names.match(/\/[^/]+\/0\/0\/[^/]+/g).map((entry) => entry.split('/').at(-1)),
    ['.', '..', 'lost+found'],
  );
});

test('the template is made alike each time', (suite) => {
  const path = folder(suite);
  const tool = new URL('../../tools/ext4-template', import.meta.url).pathname;
  for (const name of ['a.ts', 'b.ts']) execFileSync(tool, [join(path, name)]);
  const made = files.readFileSync(join(path, 'a.ts'), 'utf8');
  assert.equal(files.readFileSync(join(path, 'b.ts'), 'utf8'), made);
  assert.equal(files.readFileSync(new URL('../../web/src/generated/ext4-template.ts', import.meta.url), 'utf8'), made);
});

test('the superblock is written when all else is on the medium', async () => {
  const order = [];
  await writeExt4Template({
    size: LEAST_EXT4_SIZE,
    write: async (offset) => void order.push(offset),
    flush: async () => void order.push('flush'),
  });
  assert.deepEqual(order.slice(-3), ['flush', 0, 'flush']);
  assert.equal(order.indexOf(0), order.length - 2);
  assert.equal(order.indexOf('flush'), order.length - 3);
});

test('only a disk that is new gets it', async (suite) => {
  const path = folder(suite);
  const file = join(path, 'old.img');
  files.writeFileSync(file, 'mine'.padEnd(512));
  (await openDisk({ name: 'old', readOnly: false, file, size: LEAST_EXT4_SIZE, format: 'ext4' })).close();
  const old = start(file);
  assert.equal(old.subarray(0, 4).toString(), 'mine');
  assert.equal(
    old.subarray(512).every((byte) => byte === 0),
    true,
  );

  files.writeFileSync(file, '');
  (await openDisk({ name: 'empty', readOnly: false, file, size: LEAST_EXT4_SIZE, format: 'ext4' })).close();
  assert.equal(start(file).readUInt16LE(1080), 0xef53);
});

/** What a program leaves that is killed after so many writes of a file system. */
async function makeUntilKilled(file, writes) {
  files.writeFileSync(file, '');
  files.truncateSync(file, LEAST_EXT4_SIZE);
  const descriptor = files.openSync(file, 'r+');
  let left = writes;
  const killed = writeExt4Template({
    size: LEAST_EXT4_SIZE,
    write: (offset, [block]) => {
      if (left-- === 0) throw new Error('killed');
      files.writeSync(descriptor, block, 0, block.length, offset);
    },
    flush: () => {},
  });
  await killed.catch(() => {});
  files.closeSync(descriptor);
  return left < 0;
}

/** Opens a disk of which nothing was kept by its name. */
async function openExt4(file) {
  (await openDisk({ name: 'disk', readOnly: false, file, size: LEAST_EXT4_SIZE, format: 'ext4' })).close();
}

test('a file system whose making was killed is made again', async (suite) => {
  const file = join(folder(suite), 'killed.img');
  for (const writes of [0, 1, 20]) {
    assert(await makeUntilKilled(file, writes));
    await openExt4(file);
    const check = spawnSync('e2fsck', ['-fn', file], { encoding: 'utf8' });
    assert.equal(check.status, 0, `${writes}: ${check.stdout}${check.stderr}`);
  }
});

test('one byte that may be a user’s keeps a disk from being made again', async (suite) => {
  const file = join(folder(suite), 'used.img');
  // The superblock's own block, a block of the template's, one of no template's, the last byte.
  for (const [writes, offset] of [
    [0, 1080],
    [0, 4095],
    [20, 4096 + 100],
    [20, 100 << 20],
    [0, LEAST_EXT4_SIZE - 1],
  ]) {
    await makeUntilKilled(file, writes);
    const descriptor = files.openSync(file, 'r+');
    files.writeSync(descriptor, Uint8Array.of(0x55), 0, 1, offset);
    files.closeSync(descriptor);
    const before = files.readFileSync(file);
    await openExt4(file);
    assert(before.equals(files.readFileSync(file)), `a byte at ${offset} after ${writes} writes`);
  }
});

test('a disk in use costs one read of a block', async () => {
  const reads = [];
  const disk = {
    size: LEAST_EXT4_SIZE,
    read: (offset, [view]) => {
      reads.push([offset, view.length]);
      view[1080] = 0x53;
    },
  };
  assert.equal(await isUnfinished(disk, true), false);
  assert.deepEqual(reads, [[0, 4096]]);
});

test('of a large file that was never written only the beginning is read', async () => {
  const size = 4 * LEAST_EXT4_SIZE;
  for (const [isHole, end] of [
    [true, LEAST_EXT4_SIZE],
    [false, size],
  ]) {
    let last = 0;
    const read = (offset, [view]) => void (last = Math.max(last, offset + view.length));
    assert.equal(await isUnfinished({ size, read }, isHole), true);
    assert.equal(last, end);
  }
});

test('who makes a file leaves it to another one who was faster to lock it', async (suite) => {
  const file = join(folder(suite), 'new.img');
  const options = { name: 'new', readOnly: false, file, size: LEAST_EXT4_SIZE, format: 'ext4' };
  // Between the making and the lock.
  const faster = [];
  const { openSync } = files.default;
  suite.mock.method(files.default, 'openSync', (path, flags) => {
    const descriptor = openSync(path, flags);
    if (path === file && faster.length === 0) faster.push(openDisk(options));
    return descriptor;
  });
  await assert.rejects(openDisk(options), { message: /^in use by another program/ });
  const [disk] = await Promise.all(faster);
  disk.close();
  assert.equal(files.statSync(file).size, LEAST_EXT4_SIZE);
  assert.equal(start(file).readUInt16LE(1080), 0xef53);
});

test('a disk that is too small is not made', async (suite) => {
  const file = join(folder(suite), 'small.img');
  const options = { name: 'small', readOnly: false, file, size: LEAST_EXT4_SIZE - 512, format: 'ext4' };
  const reason = /^ext4 needs a disk of 256 MiB at least, and it has 268434944 bytes$/;
  await assert.rejects(openDisk(options), { message: reason });
  assert.equal(files.existsSync(file), false);
  files.writeFileSync(file, '');
  await assert.rejects(openDisk(options), { message: reason });
  assert.equal(files.statSync(file).size, 0);
  await assert.rejects(writeExt4Template(new MemoryDisk(1 << 20, false)), /^Error: ext4 needs a disk of 256 MiB/);
});
