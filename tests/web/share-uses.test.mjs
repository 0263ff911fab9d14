// SPDX-License-Identifier: MIT
// What a directory of a browser keeps of its files: each once, and as long as somebody needs it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSystem, has, put } from './fake-directory.mjs';
import { useAll } from './share-owner.mjs';
import { source } from './source.mjs';

const { DirectoryShare } = await source('storage/directory-share.ts');
const { ShareFiles } = await source('storage/share-files.ts');

const WRITE = 1;
const bytes = (text) => new TextEncoder().encode(text);

const makeOpen = async (share, folder, name) => (await share.create(folder, name, WRITE)).open;

for (const synchronous of [true, false])
  test(`a directory ${synchronous ? 'with synchronous handles' : 'with streams'}`, async (suite) => {
    const prepare = (options = {}) => {
      const system = Object.assign(new FakeSystem(), { synchronous }, options);
      return { system, share: new DirectoryShare(system.root, false, synchronous) };
    };

    await suite.test('what nobody needs any more is not kept', async () => {
      const { share } = prepare();
      const files = new ShareFiles(share, '/mnt/s', () => {});
      for (let count = 0; count < 20; ++count) {
        const handle = await files.do({ operation: 'open', path: `f${count}`, write: true, mode: 0o644 });
        await files.do({ operation: 'close', handle });
      }
      const folder = await share.makeFolder(share.root, 'd');
      const open = await makeOpen(share, folder, 'x');
      // As a guest forgets, in any order.
      share.forget(folder);
      share.forget(open.node);
      assert.equal(await share.lookup(share.root, 'd'), folder, 'a folder with an open file');
      assert.equal(await share.lookup(folder, 'x'), open.node);
      share.forget(folder);
      share.forget(open.node);
      await share.close(open);
      assert.equal(share.used.size, 0);
      assert.equal(share.root.children.size, 0);
    });

    await suite.test('what the owner asks for leaves nothing behind', async () => {
      const { share } = prepare();
      await useAll(new ShareFiles(share, '/mnt/s', () => {}), () => {
        assert.equal(share.used.size, 0);
        assert.equal(share.root.children.size, 0);
      });
    });

    await suite.test('whoever looks a file up while it is being closed adds to what was written', async () => {
      const { system, share } = prepare({ exclusive: false });
      const gate = Promise.withResolvers();
      system.beforeClose = () => gate.promise;
      const first = await makeOpen(share, share.root, 'a');
      await share.write(first, 0, [bytes('first,')]);
      const closed = share.close(first);
      await new Promise(setImmediate);
      share.forget(first.node);
      const node = await share.lookup(share.root, 'a');
      const append = async () => {
        const second = await share.open(node, WRITE);
        const { size } = await share.attributes(node);
        await share.write(second, size, [bytes('second')]);
        await share.close(second);
      };
      const appended = append();
      await new Promise(setImmediate);
      gate.resolve();
      await Promise.all([closed, appended]);
      assert.equal(has(system, 'a'), 'first,second');
      share.forget(node);
      assert.equal(share.used.size, 0);
    });

    await suite.test('whoever looks a file up while its size changes finds the same one', async () => {
      const { system, share } = prepare({ exclusive: false });
      await put(system, 'a', 'longer');
      const gate = Promise.withResolvers();
      system.beforeClose = () => gate.promise;
      const node = await share.lookup(share.root, 'a');
      const changed = share.setAttributes(node, { size: 4 });
      share.forget(node);
      assert.equal(await share.lookup(share.root, 'a'), node);
      gate.resolve();
      await changed;
      share.forget(node);
      assert.equal(has(system, 'a'), 'long');
      assert.equal(share.used.size, 0);
    });

    await suite.test('a guest that forgets a folder in which it asks for something loses nothing', async () => {
      const { system, share } = prepare();
      await put(system, 'a', 'content', await system.root.getDirectoryHandle('d', { create: true }));
      const folder = await share.lookup(share.root, 'd');
      const asked = share.lookup(folder, 'a');
      share.forget(folder);
      const file = await asked;
      assert.equal(await share.lookup(share.root, 'd'), folder);
      assert.equal(await share.lookup(folder, 'a'), file);
      const renamed = share.rename(folder, 'a', share.root, 'b', 0);
      share.forget(folder);
      await renamed;
      share.forget(file, 2);
      assert.equal(has(system, 'b'), 'content');
      assert.equal(share.used.size, 0);
    });

    await suite.test('one who needs a file no more takes it from no other', async () => {
      const { system, share } = prepare();
      await put(system, 'a', 'content');
      const files = new ShareFiles(share, '/mnt/s', () => {});
      const stat = () => files.do({ operation: 'stat', path: 'a' });
      const open = () => files.do({ operation: 'open', path: 'a', write: false, mode: 0 });
      const [, handle] = await Promise.all([stat(), open(), stat()]);
      const node = await share.lookup(share.root, 'a');
      assert.equal(node.file.opened, 1, 'it is the file that is open');
      share.forget(node);
      await files.do({ operation: 'close', handle });
      assert.equal(share.used.size, 0);
    });

    await suite.test('a watch goes on when nobody else needs the file', async () => {
      const { share } = prepare();
      const changes = [];
      const files = new ShareFiles(share, '/mnt/s', (handle, name) => changes.push([handle, name]));
      const open = async (write) => files.do({ operation: 'open', path: 'd/a', write, mode: 0o644 });
      await files.do({ operation: 'mkdir', path: 'd', recursive: false, mode: 0o755 });
      await files.do({ operation: 'close', handle: await open(true) });
      const watches = [];
      for (const path of ['d', 'd/a']) watches.push(await files.do({ operation: 'watch', path }));
      for (const path of ['d/a', 'd']) await files.do({ operation: 'stat', path });
      const handle = await open(true);
      changes.length = 0;
      await files.do({ operation: 'write', handle, offset: 0, bytes: bytes('x') });
      assert.deepEqual(changes, [
        [watches[1], undefined],
        [watches[0], 'a'],
      ]);
      await files.do({ operation: 'close', handle });
      await files.do({ operation: 'stat', path: 'd' });
      for (const watch of watches) await files.do({ operation: 'close', handle: watch });
      assert.equal(share.used.size, 0);
    });
  });
