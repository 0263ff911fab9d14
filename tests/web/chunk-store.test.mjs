// SPDX-License-Identifier: MIT
// The cache of chunks in one file: full, torn, wrong, and in use by two machines.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { source } from './source.mjs';

const { ChunkStore, PLACE } = await source('storage/chunk-store.ts');
const { ChunkedDisk } = await source('storage/chunked-disk.ts');

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const TABLE = 64;

/** A file that one at a time has open, and others read as it is at a moment. */
class StoreFile {
  bytes = new Uint8Array(0);
  isOpen = false;
  room = Infinity;
  throws = true;
  opened = 0;

  async open() {
    if (this.isOpen) throw new DOMException('in use', 'NoModificationAllowedError');
    this.isOpen = true;
    ++this.opened;
    return {
      read: (view, { at }) => {
        const part = this.bytes.subarray(at, at + view.length);
        view.set(part);
        return part.length;
      },
      write: (view, { at }) => {
        const end = Math.min(at + view.length, this.room);
        if (end < at + view.length && this.throws) throw new DOMException('full', 'QuotaExceededError');
        const count = Math.max(0, end - at);
        const all = new Uint8Array(Math.max(this.bytes.length, at + count));
        all.set(this.bytes);
        all.set(view.subarray(0, count), at);
        this.bytes = all;
        return count;
      },
      close: () => (this.isOpen = false),
    };
  }

  async look() {
    const seen = this.bytes;
    const blob = new Blob([seen]);
    const slice = blob.slice.bind(blob);
    blob.slice = (begin, end) => {
      const part = slice(begin, end);
      if (this.bytes !== seen)
        part.arrayBuffer = async () => {
          throw new DOMException('changed', 'NotReadableError');
        };
      return part;
    };
    return blob;
  }
}

const chunk = (length = 1000) => {
  const bytes = new Uint8Array(randomBytes(length));
  return { name: sha256(bytes), bytes };
};

const get = (store, { name, bytes }) => store.get(name, bytes.length);

test('what was put is there for the next machine', async () => {
  const file = new StoreFile();
  const [one, other, large] = [chunk(), chunk(PLACE), chunk(PLACE + 1)];
  const store = new ChunkStore(file, 4);
  assert.equal(await get(store, one), undefined);
  await Promise.all([one, other, large].map(({ name, bytes }) => store.put(name, bytes)));
  assert.deepEqual(await get(store, one), one.bytes);
  assert.equal(await store.get(one.name, 999), undefined, 'an image that lies about the length');
  await store.close();
  assert.equal(file.isOpen, false);
  const next = new ChunkStore(file, 4);
  assert.deepEqual(await get(next, one), one.bytes);
  assert.deepEqual(await get(next, other), other.bytes);
  assert.equal(await get(next, large), undefined);
  await next.close();
});

test('what was not used for longest makes room, and the file does not grow', async () => {
  const file = new StoreFile();
  const chunks = Array.from({ length: 5 }, () => chunk());
  const store = new ChunkStore(file, 4);
  for (const { name, bytes } of chunks.slice(0, 4)) await store.put(name, bytes);
  const next = new ChunkStore(file, 4);
  await store.close();
  await get(next, chunks[0]);
  await next.put(chunks[4].name, chunks[4].bytes);
  await next.close();
  const last = new ChunkStore(file, 4);
  const there = await Promise.all(chunks.map(async (each) => (await get(last, each)) !== undefined));
  assert.deepEqual(there, [true, false, true, true, true]);
  for (let count = 0; count < 20; ++count) {
    const { name, bytes } = chunk(PLACE);
    await last.put(name, bytes);
  }
  assert(file.bytes.length <= 4 * (TABLE + PLACE));
});

test('two machines: one has the file, the other reads it, and has it later', async () => {
  const file = new StoreFile();
  const [one, other, third] = [chunk(), chunk(), chunk()];
  const first = new ChunkStore(file, 4);
  await first.put(one.name, one.bytes);
  const second = new ChunkStore(file, 4);
  assert.deepEqual(await get(second, one), one.bytes);
  // It keeps nothing, and does no harm.
  await second.put(other.name, other.bytes);
  assert.equal(await get(second, other), undefined);
  await first.put(third.name, third.bytes);
  // The file has changed since the second one has looked.
  assert.deepEqual(await get(second, one), one.bytes);
  await first.close();
  await Promise.all([other, third].map(({ name, bytes }) => second.put(name, bytes)));
  assert.equal(file.opened, 2);
  for (const each of [one, other, third]) assert.deepEqual(await get(second, each), each.bytes);
  await second.close();
});

for (const throws of [true, false])
  test(`a file that is full keeps no more (${throws ? 'an exception' : 'a short count'})`, async () => {
    const file = Object.assign(new StoreFile(), { throws });
    const store = new ChunkStore(file, 4);
    const [one, other] = [chunk(PLACE), chunk(PLACE)];
    await store.put(one.name, one.bytes);
    file.room = file.bytes.length + 10;
    const done = store.put(other.name, other.bytes);
    if (throws) await assert.rejects(done, /full/);
    else await done;
    assert.equal(await get(store, other), undefined);
    assert.deepEqual(await get(store, one), one.bytes);
    file.room = Infinity;
    await store.put(other.name, other.bytes);
    assert.deepEqual(await get(store, other), other.bytes);
  });

test('a file that cannot be read is as an empty one, until it can', async () => {
  const file = new StoreFile();
  const [one, other] = [chunk(), chunk()];
  const first = new ChunkStore(file, 4);
  await first.put(one.name, one.bytes);
  const { open, look } = file;
  file.look = async () => {
    throw new DOMException('away', 'NotFoundError');
  };
  const second = new ChunkStore(file, 4);
  assert.equal(await get(second, one), undefined);
  await second.put(other.name, other.bytes);
  await first.close();
  file.open = async () => ({
    ...(await open.call(file)),
    read: () => {
      throw new DOMException('broken', 'InvalidStateError');
    },
  });
  const third = new ChunkStore(file, 4);
  for (const store of [second, third]) {
    assert.equal(await get(store, one), undefined);
    await store.put(other.name, other.bytes);
    assert.equal(file.isOpen, false, 'others may have it');
  }
  Object.assign(file, { open, look });
  for (const store of [second, third]) {
    await store.put(other.name, other.bytes);
    for (const each of [one, other]) assert.deepEqual(await get(store, each), each.bytes);
    await store.close();
  }
});

test('what is torn or wrong is loaded again, never used, and put right', async () => {
  const CHUNK = 4096;
  const content = randomBytes(4 * CHUNK);
  const chunks = new Map();
  for (let at = 0; at < content.length; at += CHUNK) {
    const bytes = new Uint8Array(content.subarray(at, at + CHUNK));
    chunks.set(sha256(bytes), bytes);
  }
  const names = [...chunks.keys()];
  const manifest = { version: 1, size: content.length, chunkSize: CHUNK, sha256: names };
  const open = async (file) => {
    const asked = [];
    const disk = await ChunkedDisk.open(
      {
        manifest: async () => JSON.stringify(manifest),
        chunk: async (name) => {
          asked.push(names.indexOf(name));
          return chunks.get(name);
        },
      },
      { cache: new ChunkStore(file, 8) },
    );
    const view = new Uint8Array(content.length);
    await disk.read(0, [view]);
    assert.deepEqual(Buffer.from(view), content);
    await disk.close();
    return asked.toSorted();
  };
  const table = 8 * TABLE;
  const file = new StoreFile();
  assert.deepEqual(await open(file), [0, 1, 2, 3]);
  assert.deepEqual(await open(file), []);
  const whole = file.bytes;
  /** By the place: which chunk is there. */
  const order = [0, 1, 2, 3].map((place) =>
    names.indexOf(Buffer.from(whole.subarray(place * TABLE, place * TABLE + 32)).toString('hex')),
  );
  for (const [change, missing] of [
    [(bytes) => void (bytes[table + 7] ^= 1), [order[0]]],
    [(bytes) => bytes.subarray(0, table + 3 * PLACE + 100), [order[3]]],
    [(bytes) => bytes.subarray(0, 100), [0, 1, 2, 3].filter((index) => index !== order[0]).concat(order[0])],
    [(bytes) => void bytes.fill(0xff, 0, table), [0, 1, 2, 3]],
    [(bytes) => void bytes.copyWithin(TABLE, 0, TABLE), [order[1], order[0]]],
    [(bytes) => void bytes.set(randomBytes(bytes.length)), [0, 1, 2, 3]],
    [() => new Uint8Array(0), [0, 1, 2, 3]],
  ]) {
    file.bytes = new Uint8Array(whole);
    file.bytes = new Uint8Array(change(file.bytes) ?? file.bytes);
    assert.deepEqual(await open(file), missing.toSorted(), String(change));
    assert.deepEqual(await open(file), [], `after ${change}`);
  }
});
