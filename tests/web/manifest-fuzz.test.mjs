// SPDX-License-Identifier: MIT
// Manifests of images (root.json) that are changed at random are refused with a reason, or make a disk that keeps to them.
//
// AUKLET_SEED is the first seed, AUKLET_ROUNDS how many there are. A failure names its seed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers } from '../crash/crash-images.mjs';
import { source } from './source.mjs';

const { parseManifest } = await source('storage/manifest.ts');
const { ChunkedDisk } = await source('storage/chunked-disk.ts');
const { NoSuchChunk } = await source('storage/chunk-sources.ts');

const FIRST = Number(process.env.AUKLET_SEED ?? 0);
const ROUNDS = Number(process.env.AUKLET_ROUNDS ?? 3000);
const CHUNK = 4096;
const NAME = 'a'.repeat(64);
const GOOD = {
  version: 1,
  size: 4 * CHUNK + 512,
  chunkSize: CHUNK,
  prefetch: [0, 4],
  sha256: [NAME, null, NAME, NAME, NAME],
};
const VALUES = [
  undefined,
  null,
  true,
  -1,
  0,
  0.5,
  1e308,
  2 ** 53,
  CHUNK,
  512,
  16 << 20,
  '',
  '../../etc/passwd',
  NAME.toUpperCase(),
  `${NAME}0`,
  `${NAME.slice(1)}\n`,
  [],
  {},
  [[]],
  { length: 5 },
];

/** A value of JSON with one change somewhere in it. */
function changed(value, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  if (typeof value !== 'object' || value === null || random() < 0.05) return pick(VALUES);
  if (Array.isArray(value)) {
    const place = Math.floor(random() * (value.length + 1));
    const kind = random();
    if (kind < 0.2) return value.toSpliced(place, 1);
    if (kind < 0.4 || value.length === 0) return value.toSpliced(place, 0, pick([...VALUES, ...value]));
    return value.with(Math.min(place, value.length - 1), changed(value.at(place) ?? null, random));
  }
  const key = pick(Object.keys(value));
  return { ...value, [key]: changed(value[key], random) };
}

/** The text with one to three changes of letters. */
function changedText(text, random) {
  let result = text;
  for (let count = 1 + Math.floor(random() * 3); count > 0; --count) {
    const at = Math.floor(random() * result.length);
    const letter = '{}[]",:0-9eE.\\u\0'.charAt(Math.floor(random() * 16));
    result = result.slice(0, at) + letter + result.slice(at + Math.floor(random() * 4));
  }
  return result;
}

/** What must be true of a manifest that was taken. */
function assertSound({ size, chunkSize, chunks, prefetch }) {
  assert(Number.isSafeInteger(size) && size > 0 && size % 512 === 0);
  assert(Number.isSafeInteger(chunkSize) && chunkSize >= 4096 && chunkSize <= 16 << 20 && chunkSize % 4096 === 0);
  assert.equal(chunks.length, Math.ceil(size / chunkSize));
  assert(chunks.every((name) => name === null || /^[0-9a-f]{64}$/.test(name)));
  assert(prefetch.every((index) => Number.isSafeInteger(index) && index >= 0 && index < chunks.length));
}

test('a manifest that is changed at random', async () => {
  let taken = 0;
  let refused = 0;
  for (let seed = FIRST; seed < FIRST + ROUNDS; ++seed) {
    const random = randomNumbers(seed);
    let value = GOOD;
    for (let count = 1 + Math.floor(random() * 3); count > 0; --count) value = changed(value, random);
    let text = JSON.stringify(value) ?? '';
    if (random() < 0.3) text = changedText(text, random);
    try {
      let manifest;
      try {
        manifest = parseManifest(text);
      } catch (error) {
        ++refused;
        assert.match(error.message, /^the manifest of the image is wrong: .+/);
        assert(error.message.length < 300, error.message);
        continue;
      }
      ++taken;
      assertSound(manifest);
      // What the disk loads are chunks of the list, with their lengths.
      const asked = [];
      const disk = await ChunkedDisk.open({
        manifest: async () => text,
        chunk: async (name, length) => {
          asked.push([name, length]);
          throw new NoSuchChunk('there is none');
        },
      });
      assert.equal(disk.size, manifest.size);
      const last = new Uint8Array(512);
      await Promise.resolve(disk.read(manifest.size - 512, [last])).catch(() => {});
      await disk.close();
      for (const [name, length] of asked) {
        assert(manifest.chunks.includes(name));
        assert(length > 0 && length <= manifest.chunkSize);
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${text.slice(0, 500)}`, { cause: error });
    }
  }
  // Else the changes are too mild, or too wild.
  assert(taken > ROUNDS / 50, `${taken} were taken`);
  assert(refused > ROUNDS / 50, `${refused} were refused`);
});
