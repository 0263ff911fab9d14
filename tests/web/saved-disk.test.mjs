// SPDX-License-Identifier: MIT
// Disks of segments, snapshots and overlays, with a folder that can lie, be full and be slow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeFolder as Folder } from './fake-folder.mjs';
import { source } from './source.mjs';

const { SegmentDisk } = await source('storage/segment-disk.ts');
const { SavedDisk } = await source('storage/saved-disk.ts');
const { SEGMENT_SIZE, segmentName, segmentOf } = await source('storage/segments.ts');
const { Snapshot } = await source('storage/snapshot.ts');
const { OverlayDisk } = await source('storage/overlay-disk.ts');
const { MemoryDisk } = await source('storage/memory-disk.ts');

const bytes = (text) => new TextEncoder().encode(text);
const text = (view) => new TextDecoder().decode(view);

async function read(disk, offset, ...lengths) {
  const views = lengths.map((length) => new Uint8Array(length));
  await disk.read(offset, views);
  return views.map(text).join('|');
}

const lock = () => ({
  released: 0,
  release: function () {
    ++this.released;
  },
});

const openSaved = (folder, { size, initialize = () => {}, held = lock() } = {}) =>
  SavedDisk.open('home', folder, held, size, false, initialize);

test('names of segments', () => {
  assert.equal(segmentName(0, 7), '0007.raw');
  assert.equal(segmentName(12, 9999), '12-9999.raw');
  assert.deepEqual(segmentOf('0007.raw'), { generation: 0, index: 7 });
  assert.deepEqual(segmentOf('12-0001.raw'), { generation: 12, index: 1 });
  for (const name of ['7.raw', '00007.raw', '0-0001.raw', '01-0001.raw', '0001.raw.tmp', 'disk.json', '../0001.raw'])
    assert.equal(segmentOf(name), undefined, name);
});

test('a segment is made at its first write, and not longer than what was written', async () => {
  const folder = new Folder();
  const disk = await SegmentDisk.open(folder, 0, 4 * SEGMENT_SIZE, false);
  assert.equal(await read(disk, 0, 4, 4), '\0\0\0\0|\0\0\0\0');
  assert.deepEqual(await folder.names(), []);
  await disk.write(2 * SEGMENT_SIZE + 512, [bytes('abc'), bytes('def')]);
  assert.deepEqual(await folder.names(), ['0002.raw']);
  assert.equal(disk.usage, 518);
  assert.equal(await read(disk, 2 * SEGMENT_SIZE + 511, 4, 6), '\0abc|def\0\0\0');
  // Over the border of two segments, of which one exists.
  await disk.write(2 * SEGMENT_SIZE - 3, [bytes('12'), bytes('3456')]);
  assert.equal(await read(disk, 2 * SEGMENT_SIZE - 4, 3, 5), '\x0012|3456\0');
  assert.deepEqual((await folder.names()).toSorted(), ['0001.raw', '0002.raw']);
  assert.equal(disk.nextData(0), SEGMENT_SIZE);
  assert.equal(disk.nextData(2 * SEGMENT_SIZE + 518), 4 * SEGMENT_SIZE);
  disk.flush();
  assert.deepEqual(folder.flushed.toSorted(), ['0001.raw', '0002.raw']);
  disk.flush();
  assert.equal(folder.flushed.length, 2);
  await disk.close();
  assert.equal(folder.open_.size, 0);

  const again = await SegmentDisk.open(folder, 0, 4 * SEGMENT_SIZE, false);
  assert.equal(again.usage, SEGMENT_SIZE + 518);
  // Both wait for the same segment.
  assert.deepEqual(await Promise.all([read(again, 2 * SEGMENT_SIZE, 4), read(again, 2 * SEGMENT_SIZE + 512, 3, 3)]), [
    '456\0',
    'abc|def',
  ]);
  await again.close();
});

test('writes that wait for a new segment are all done, and have their own bytes', async () => {
  const folder = new Folder();
  const disk = await SegmentDisk.open(folder, 0, 4 * SEGMENT_SIZE, false);
  const views = (letter) => [bytes(letter.repeat(300)), bytes(letter.repeat(212))];
  await Promise.all([
    disk.write(0, views('a')),
    disk.write(512, views('b')),
    disk.write(SEGMENT_SIZE - 512, [...views('c'), ...views('d')]),
    disk.write(3 * SEGMENT_SIZE, views('e')),
  ]);
  assert.equal(await read(disk, 0, 1024), 'a'.repeat(512) + 'b'.repeat(512));
  assert.equal(await read(disk, SEGMENT_SIZE - 512, 1024), 'c'.repeat(512) + 'd'.repeat(512));
  assert.equal(await read(disk, 3 * SEGMENT_SIZE, 512), 'e'.repeat(512));
});

test('zeros and discards give the end of a segment back', async () => {
  const folder = new Folder();
  const disk = await SegmentDisk.open(folder, 0, 2 * SEGMENT_SIZE, false);
  await disk.write(0, [bytes('x'.repeat(4096))]);
  await disk.zero(1024, 512);
  assert.equal(await read(disk, 1023, 514), `x${'\0'.repeat(512)}x`);
  assert.equal(disk.usage, 4096);
  await disk.discard(0, 512);
  assert.equal(await read(disk, 0, 1), 'x');
  await disk.zero(2048, 1 << 20);
  assert.equal(disk.usage, 2048);
  await disk.discard(512, 2 * SEGMENT_SIZE - 512);
  assert.equal(disk.usage, 512);
  assert.equal(await read(disk, 511, 3), 'x\0\0');
});

test('a full browser is an error, whether it throws or writes less', async () => {
  for (const throws of [true, false]) {
    const folder = new Folder();
    const disk = await SegmentDisk.open(folder, 0, 2 * SEGMENT_SIZE, false);
    await disk.write(0, [bytes('a'.repeat(1024))]);
    Object.assign(folder, { room: 1536, throws });
    assert.throws(() => disk.write(1024, [bytes('b'.repeat(1024))]), /gives this site no more room/);
    // What exists can still be changed.
    disk.write(0, [bytes('c'.repeat(1024))]);
    assert.equal(await read(disk, 0, 1024), 'c'.repeat(1024));
    folder.room = Infinity;
    disk.write(1024, [bytes('d'.repeat(1024))]);
    assert.equal(await read(disk, 1023, 1025), `c${'d'.repeat(1024)}`);
  }
});

test('a file that was cut by somebody else is an error, and no zeros', async () => {
  const folder = new Folder();
  const disk = await SegmentDisk.open(folder, 0, SEGMENT_SIZE, false);
  await disk.write(0, [bytes('a'.repeat(1024))]);
  folder.files.set('0000.raw', new Uint8Array(512));
  assert.throws(() => disk.read(0, [new Uint8Array(1024)]), /has read 512 of 1024 bytes/);
});

test('a saved disk is made once, grows, and never shrinks', async () => {
  const folder = new Folder();
  let made = 0;
  const initialize = async (disk) => {
    ++made;
    await disk.write(0, [bytes('new')]);
  };
  const held = lock();
  let disk = await openSaved(folder, { size: 1 << 20, initialize, held });
  assert.equal(disk.size, 1 << 20);
  assert.equal(await read(disk, 0, 3), 'new');
  assert.equal(held.released, 0);
  await disk.close();
  assert.equal(held.released, 1);
  disk = await openSaved(folder, { size: 1 << 21, initialize });
  assert.equal(disk.size, 1 << 21);
  await disk.close();
  for (const size of [undefined, 512]) {
    disk = await openSaved(folder, { ...(size === undefined ? {} : { size }), initialize });
    assert.equal(disk.size, 1 << 21);
    await disk.close();
  }
  assert.equal(made, 1);
  assert.equal((await openSaved(new Folder())).size, 4 * 2 ** 30);
});

test('a disk whose making was interrupted is made again', async () => {
  const folder = new Folder();
  const held = lock();
  const fails = async (disk) => {
    await disk.write(100, [bytes('half')]);
    throw new Error('the tab is gone');
  };
  await assert.rejects(openSaved(folder, { size: 4096, initialize: fails, held }), /the tab is gone/);
  assert.equal(held.released, 1);
  const disk = await openSaved(folder, { size: 4096, initialize: (made) => made.write(0, [bytes('whole')]) });
  assert.equal(await read(disk, 0, 5), 'whole');
  assert.equal(await read(disk, 100, 4), '\0\0\0\0');
});

test('a description that cannot be read is an error, and the segments stay', async () => {
  const good = { version: 1, generation: 0, size: 4096 };
  for (const [description, message] of [
    ['{"version":1,"generation":0,"size":4', /description .* is damaged/],
    [{ ...good, size: 0 }, /damaged/],
    [{ ...good, size: 4097 }, /damaged/],
    [{ ...good, size: 1e300 }, /damaged/],
    [{ ...good, generation: -1 }, /damaged/],
    [{ ...good, generation: '0' }, /damaged/],
    [{ ...good, version: 2 }, /made by a newer Auklet \(version 2/],
    ['null', /damaged/],
    ['7', /damaged/],
    [{ ...good, size: 2 ** 50 }, /cannot be larger than 625 GiB/],
  ]) {
    const folder = new Folder();
    folder.files.set('0000.raw', bytes('precious'));
    folder.files.set('disk.json', bytes(typeof description === 'string' ? description : JSON.stringify(description)));
    await assert.rejects(openSaved(folder, { size: 4096 }), message);
    assert.equal(text(folder.files.get('0000.raw')), 'precious');
  }
});

test('a new content counts when it is whole', async () => {
  const folder = new Folder();
  let disk = await openSaved(folder, { size: 1 << 20, initialize: (made) => made.write(0, [bytes('old')]) });
  const abandoned = await disk.replacement();
  await abandoned.write(0, bytes('bad'));
  await abandoned.abandon();
  const first = await disk.replacement();
  await first.write(0, bytes('one'));
  await first.commit(512);
  // One that is not finished takes nothing from the one that is.
  const unfinished = await disk.replacement();
  await unfinished.write(0, bytes('two'));
  assert.equal(await read(disk, 0, 3), 'old');
  disk.write(512, [bytes('late')]);
  await disk.close();
  folder.open_.clear();
  disk = await openSaved(folder);
  assert.equal(await read(disk, 0, 3), 'one');
  assert.equal(await read(disk, 512, 4), '\0\0\0\0');
  assert.equal(disk.size, 1 << 20);
  assert.equal((await folder.names()).length, 2);
  const large = await disk.replacement();
  await large.write((1 << 21) - 3, bytes('end'));
  await large.commit(1 << 21);
  await disk.close();
  disk = await openSaved(folder);
  assert.equal(disk.size, 1 << 21);
  await disk.reset();
  assert.equal(await read(disk, (1 << 21) - 3, 3), 'end');
  await disk.close();
  disk = await openSaved(folder, { initialize: (made) => made.write(0, [bytes('reset')]) });
  assert.equal(await read(disk, 0, 5), 'reset');
  assert.equal(await read(disk, (1 << 21) - 3, 3), '\0\0\0');
  await disk.close();
  disk = await openSaved(folder, { initialize: () => assert.fail('it is no new disk') });
  assert.equal(await read(disk, 0, 5), 'reset');
});

/** A disk whose reads end when the test says so. */
class SlowDisk extends MemoryDisk {
  waiting = [];
  slow = false;

  read(offset, views) {
    if (!this.slow) return super.read(offset, views);
    return new Promise((resolve) => this.waiting.push(resolve)).then(() => super.read(offset, views));
  }
}

async function imageOf(snapshot, size) {
  const image = new Uint8Array(size);
  for (let piece; (piece = await snapshot.next()) !== undefined;) image.set(piece.bytes, piece.offset);
  return image;
}

test('a snapshot has the bytes of its moment', async () => {
  const size = 4 << 20;
  const disk = new MemoryDisk(size, false);
  let state = 1;
  const random = (most) => (state = (state * 48271) % 2147483647) % most;
  const change = async (snapshot) => {
    const offset = random(size / 512 - 40) * 512;
    const length = (1 + random(40)) * 512;
    await snapshot?.keep(offset, length);
    if (random(4) === 0) disk.zero(offset, length);
    else disk.write(offset, [new Uint8Array(length).fill(1 + random(255))]);
  };
  for (let round = 0; round < 200; ++round) await change();
  const expected = new Uint8Array(size);
  disk.read(0, [expected]);
  const snapshot = new Snapshot(disk);
  const image = new Uint8Array(size);
  for (let piece; (piece = await snapshot.next()) !== undefined;) {
    image.set(piece.bytes, piece.offset);
    for (let round = 0; round < 40; ++round) await change(snapshot);
  }
  assert.deepEqual(image, expected);
  assert.notDeepEqual(await imageOf(new Snapshot(disk), size), expected);
});

test('a change waits until a slow disk has said what was there', async () => {
  const disk = new SlowDisk(1 << 20, false);
  disk.write(0, [bytes('old')]);
  disk.slow = true;
  const snapshot = new Snapshot(disk);
  const done = [];
  const first = Promise.resolve(snapshot.keep(0, 512)).then(() => done.push('first'));
  // Another change of the same block waits for the same read.
  const second = Promise.resolve(snapshot.keep(512, 512)).then(() => done.push('second'));
  await new Promise(setImmediate);
  assert.deepEqual(done, []);
  assert.equal(disk.waiting.length, 1);
  const image = imageOf(snapshot, 1 << 20);
  await new Promise(setImmediate);
  for (const resolve of disk.waiting.splice(0)) resolve();
  await Promise.all([first, second]);
  disk.slow = false;
  disk.write(0, [bytes('new')]);
  assert.equal(text((await image).subarray(0, 3)), 'old');
});

test('a disk that cannot be read fails the snapshot, and not who writes', async () => {
  const disk = new MemoryDisk(1 << 20, false);
  disk.write(0, [bytes('old')]);
  const snapshot = new Snapshot(disk);
  disk.read = () => {
    throw new Error('no medium');
  };
  snapshot.keep(0, 512);
  await assert.rejects(snapshot.next(), /no medium/);
});

test('an overlay keeps changes from its base', async () => {
  const base = new SlowDisk(1 << 20, true, bytes('content'));
  const disk = new OverlayDisk(base);
  assert.equal(disk.readOnly, false);
  assert.equal(await read(disk, 0, 7), 'content');
  await disk.write(2, [bytes('N'), bytes('T')]);
  await disk.write(4094, [bytes('abcd')]);
  assert.equal(await read(disk, 0, 3, 4), 'coN|Tent');
  assert.equal(await read(disk, 4090, 12), '\0\0\0\0abcd\0\0\0\0');
  await disk.zero(1, 4096);
  assert.equal(await read(disk, 0, 7), 'c\0\0\0\0\0\0');
  assert.equal(await read(disk, 4096, 3), '\0d\0');
  assert.equal(await read(base, 0, 7), 'content');
  // Two writes that wait for the same page of the base.
  base.slow = true;
  const both = [disk.write(8192, [bytes('one')]), disk.write(8200, [bytes('two')])];
  await new Promise(setImmediate);
  for (const resolve of base.waiting.splice(0)) resolve();
  await Promise.all(both);
  base.slow = false;
  assert.equal(await read(disk, 8192, 11), 'one\0\0\0\0\0two');
});
