// SPDX-License-Identifier: MIT
// Disk images as gzip of many members: written for all that reads gzip, and read with any lie in them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { source } from './source.mjs';

const { compressMembers, decompress } = await source('api/gzip.ts');

const MEBIBYTE = 1 << 20;

async function collect(generator) {
  const parts = [];
  for await (const part of generator) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** The image in pieces of 1 MiB, without those that are zero. */
async function* piecesOf(image) {
  for (let offset = 0; offset < image.length; offset += MEBIBYTE) {
    const bytes = new Uint8Array(image.subarray(offset, offset + MEBIBYTE));
    if (bytes.some((byte) => byte !== 0)) yield { offset, bytes };
  }
}

/** A stream of pieces of this size. */
const streamOf = (bytes, size = 65536) =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(new Uint8Array(bytes.subarray(at, at + size)));
      controller.close();
    },
  });

const compress = (image, progress = () => {}) => collect(compressMembers(piecesOf(image), image.length, progress));

function image(size, ...places) {
  const bytes = Buffer.alloc(size);
  for (const place of places)
    for (let at = 0; at < 5000 && place + at < size; ++at) bytes[place + at] = (at * 7919) >> 3;
  return bytes;
}

test('images of any size are the same again, here and by gunzip', async () => {
  for (const bytes of [
    image(512, 0),
    image(4 * MEBIBYTE),
    image(4 * MEBIBYTE, 100),
    image(4 * MEBIBYTE + 512, 4 * MEBIBYTE),
    image(13 * MEBIBYTE + 1024, 5 * MEBIBYTE - 100, 9 * MEBIBYTE),
    image(33 * MEBIBYTE, 0, 20 * MEBIBYTE, 33 * MEBIBYTE - 4096),
  ]) {
    const progress = [];
    const file = await compress(bytes, (done) => progress.push(done));
    assert(gunzipSync(file).equals(bytes));
    assert((await collect(decompress(streamOf(file)))).equals(bytes));
    assert((await collect(decompress(streamOf(file, 7)))).equals(bytes));
    assert.equal(progress.at(-1), bytes.length);
    assert.deepEqual(
      progress,
      progress.toSorted((one, other) => one - other),
    );
  }
});

test('what others have made is read as well', async () => {
  const bytes = image(3 * MEBIBYTE, 100);
  for (const file of [bytes, gzipSync(bytes)])
    for (const size of [1, 65536].slice(file.length > MEBIBYTE ? 1 : 0))
      assert((await collect(decompress(streamOf(file, size)))).equals(bytes));
  assert.equal((await collect(decompress(streamOf(Buffer.alloc(0))))).length, 0);
  assert.equal((await collect(decompress(streamOf(Buffer.from([0x1f]))))).length, 1);
});

test('files that lie are errors', async () => {
  const file = await compress(image(9 * MEBIBYTE, 100, 5 * MEBIBYTE));
  const length = file.readUInt32LE(16);
  const changed = (change) => {
    const copy = Buffer.from(file);
    change(copy);
    return copy;
  };
  for (const [bad, message] of [
    [file.subarray(0, file.length - 1), /ends in the middle/],
    [file.subarray(0, length + 3), /between the parts/],
    [Buffer.concat([file.subarray(0, length), Buffer.from('x'), file.subarray(length)]), /between the parts/],
    [Buffer.concat([file, gzipSync('more')]), /between the parts/],
    [changed((copy) => copy.writeUInt32LE(length + 1, 16)), /./],
    [changed((copy) => copy.writeUInt32LE(length - 1, 16)), /./],
    [changed((copy) => copy.writeUInt32LE(0xffff_ffff, length + 16)), /between the parts/],
    [changed((copy) => copy.writeUInt32LE(0, length + 16)), /between the parts/],
    [changed((copy) => (copy[length - 8] ^= 1)), /./],
    [changed((copy) => (copy[40] ^= 1)), /./],
    [gzipSync('more').subarray(0, 15), /./],
  ])
    await assert.rejects(collect(decompress(streamOf(bad))), message);
});

test('a stream that is left is cancelled', async () => {
  let cancelled = false;
  const file = await compress(image(9 * MEBIBYTE, 100));
  const stream = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(file)),
    cancel: () => void (cancelled = true),
  });
  for await (const bytes of decompress(stream)) {
    assert(bytes.length > 0);
    break;
  }
  assert(cancelled);
});
