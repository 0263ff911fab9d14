// SPDX-License-Identifier: MIT
// The browser's own folder, with an engine that forgets who is collected.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openFolder } from '../../web/src/storage/opfs.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const turn = () => new Promise(setImmediate);

/** Resolves after garbage was collected, if `handle` is still there; else never, as Chromium. */
async function answered(handle) {
  await turn();
  collect();
  await turn();
  if (handle.deref() === undefined) await new Promise(() => {});
}

class FileSystemFileHandle {
  createSyncAccessHandle() {
    return answered(new WeakRef(this)).then(() => 'an open file');
  }
}

const directory = {
  getDirectoryHandle: async () => directory,
  getFileHandle: async () => new FileSystemFileHandle(),
};

test('a file is opened whatever is collected meanwhile', async (suite) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  suite.after(() => Object.defineProperty(globalThis, 'navigator', before));
  Object.defineProperty(globalThis, 'navigator', {
    value: { storage: { getDirectory: async () => directory } },
    configurable: true,
  });
  Object.assign(globalThis, { FileSystemFileHandle });
  const folder = await openFolder('home');
  const opened = folder.open('0000.raw');
  for (let count = 0; count < 10; ++count) await turn();
  assert.equal(await Promise.race([opened, Promise.resolve('nothing')]), 'an open file');
});
