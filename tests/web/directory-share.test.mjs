// SPDX-License-Identifier: MIT
// Shares that are directories of a browser, both with synchronous handles and with streams.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSystem, has, put } from './fake-directory.mjs';
import { source } from './source.mjs';

const { DirectoryShare } = await source('storage/directory-share.ts');
const { codeOf } = await source('storage/file-error.ts');
const { ShareFiles } = await source('storage/share-files.ts');

const READ = 0;
const WRITE = 1;
const TRUNCATE = 0o1000;
const bytes = (text) => new TextEncoder().encode(text);
const text = (view) => new TextDecoder().decode(view);
const fails = (code) => (error) => codeOf(error) === code;

async function contentOf(share, open, length = 1000) {
  // A guest's places are not contiguous.
  const views = [new Uint8Array(3), new Uint8Array(length)];
  const count = await share.read(open, 0, views);
  return text(Buffer.concat(views)).slice(0, count);
}

async function makeOpen(share, folder, name) {
  return (await share.create(folder, name, WRITE, 0o644, { user: 0, group: 0 })).open;
}

for (const synchronous of [true, false])
  test(`a directory ${synchronous ? 'with synchronous handles' : 'with streams'}`, async (suite) => {
    const prepare = (options = {}) => {
      const system = Object.assign(new FakeSystem(), { synchronous }, options);
      return { system, share: new DirectoryShare(system.root, false, synchronous) };
    };

    await suite.test('files are made, written, read, and closed', async () => {
      const { system, share } = prepare();
      const folder = await share.makeFolder(share.root, 'd');
      const open = await makeOpen(share, folder, 'a');
      assert.equal(await share.write(open, 2, [bytes('he'), bytes('llo')]), 5);
      assert.equal((await share.attributes(open.node)).size, 7);
      assert.equal(await contentOf(share, open), '\0\0hello');
      assert.equal(has(system, 'd', 'a'), '\0\0hello', 'who reads sees it in the file');
      await share.write(open, 0, [bytes('ab')]);
      await share.flush?.(open);
      assert.equal(has(system, 'd', 'a'), 'abhello');
      await share.write(open, 7, [bytes('!')]);
      await share.sync(open);
      assert.equal(has(system, 'd', 'a'), 'abhello!');
      await share.setAttributes(open.node, { size: 3 });
      await share.close(open);
      assert.equal(has(system, 'd', 'a'), 'abh');
      assert.equal(system.at(['d', 'a']).locks, 0, 'a file that nobody has open is the page’s again');
      await share.setAttributes(open.node, { size: 5 });
      assert.equal(has(system, 'd', 'a'), 'abh\0\0');
      assert.equal(system.at(['d', 'a']).locks, 0);
      const again = await share.open(open.node, WRITE | TRUNCATE);
      await share.close(again);
      assert.equal(has(system, 'd', 'a'), '');
      const attributes = await share.attributes(open.node);
      assert.equal(attributes.mode, 0o100755);
      assert.equal((await share.attributes(folder)).mode, 0o040755);
      assert.deepEqual(await share.list(share.root), [{ name: 'd', type: 0o040000 }]);
    });

    await suite.test('many openers of one file see the same', async () => {
      const { share } = prepare();
      const one = await makeOpen(share, share.root, 'a');
      const other = await share.open(await share.lookup(share.root, 'a'), READ);
      assert.equal(one.node, other.node);
      // Without waiting for each.
      const written = [...'abcdef'].map((letter, index) => share.write(one, index, [bytes(letter)]));
      assert.equal(await contentOf(share, other), 'abcdef');
      await Promise.all(written);
      await share.close(one);
      assert.equal(await contentOf(share, other), 'abcdef');
      // It is the same one for who comes later, though the guest has forgotten it.
      share.forget(other.node, 2);
      assert.equal(await share.lookup(share.root, 'a'), other.node);
      share.forget(other.node);
      await share.close(other);
      assert.notEqual(await share.lookup(share.root, 'a'), other.node);
    });

    await suite.test('what the page changes is seen', async () => {
      const { system, share } = prepare();
      await put(system, 'a', 'old');
      const node = await share.lookup(share.root, 'a');
      const before = await share.attributes(node);
      await put(system, 'a', 'newer');
      const after = await share.attributes(node);
      assert.equal(after.size, 5);
      assert.notDeepEqual(after.modified, before.modified);
      const open = await share.open(node, READ);
      assert.equal(await contentOf(share, open), 'newer');
      await share.close(open);
      await system.root.removeEntry('a');
      await assert.rejects(async () => share.lookup(share.root, 'a'), fails('ENOENT'));
      await assert.rejects(async () => share.open(node, READ), fails('ENOENT'));
      await system.root.getDirectoryHandle('a', { create: true });
      assert.equal((await share.attributes(await share.lookup(share.root, 'a'))).mode, 0o040755);
    });

    for (const moves of [true, false])
      await suite.test(`renames ${moves ? 'that move' : 'that copy'}`, async () => {
        const { system, share } = prepare({ moves });
        await put(system, 'a', 'first');
        await put(system, 'b', 'second');
        const a = await share.lookup(share.root, 'a');
        const b = await share.lookup(share.root, 'b');
        const openA = await share.open(a, WRITE);
        const openB = await share.open(b, READ);
        await assert.rejects(async () => share.rename(share.root, 'a', share.root, 'b', 1), fails('EEXIST'));
        await assert.rejects(async () => share.rename(share.root, 'a', share.root, 'c', 2), fails('EINVAL'));
        await share.write(openA, 0, [bytes('F')]);
        await share.rename(share.root, 'a', share.root, 'b', 0);
        assert.equal(has(system, 'b'), 'First');
        assert.equal(has(system, 'a'), undefined);
        assert.equal(await share.lookup(share.root, 'b'), a);
        // The file that was replaced is still there for who has it open.
        assert.equal(await contentOf(share, openB), 'second');
        await share.write(openA, 0, [bytes('f')]);
        await share.close(openA);
        await share.close(openB);
        assert.equal(has(system, 'b'), 'first');

        const folder = await share.makeFolder(share.root, 'd');
        const inner = await share.makeFolder(folder, 'e');
        const open = await makeOpen(share, inner, 'x');
        await share.write(open, 0, [bytes('deep')]);
        await put(system, 'unknown', 'u', await system.root.getDirectoryHandle('d'));
        await assert.rejects(async () => share.rename(share.root, 'd', inner, 'y', 0), fails('EINVAL'));
        await assert.rejects(async () => share.rename(share.root, 'd', share.root, 'b', 0), fails('ENOTDIR'));
        await assert.rejects(async () => share.rename(share.root, 'b', share.root, 'd', 0), fails('EISDIR'));
        await share.makeFolder(share.root, 'full');
        await put(system, 'z', '', await system.root.getDirectoryHandle('full'));
        await assert.rejects(async () => share.rename(share.root, 'd', share.root, 'full', 0), fails('ENOTEMPTY'));
        await share.makeFolder(share.root, 'empty');
        await share.rename(share.root, 'd', share.root, 'empty', 0);
        assert.equal(system.at(['d']), undefined);
        assert.equal(has(system, 'empty', 'unknown'), 'u');
        await share.write(open, 4, [bytes('er')]);
        await share.close(open);
        assert.equal(has(system, 'empty', 'e', 'x'), 'deeper');
        assert.equal(await share.lookup(share.root, 'empty'), folder);
        assert.equal(await share.lookup(await share.lookup(folder, 'e'), 'x'), open.node);
      });

    await suite.test('a rename that fails loses nothing', async () => {
      const { system, share } = prepare({ moves: false });
      await put(system, 'a', 'first');
      await put(system, 'b', 'second');
      system.room = 12;
      for (const target of ['b', 'c'])
        await assert.rejects(async () => share.rename(share.root, 'a', share.root, target, 0), fails('ENOSPC'));
      assert.deepEqual([has(system, 'a'), has(system, 'b'), has(system, 'c')], ['first', 'second', undefined]);
      const open = await share.open(await share.lookup(share.root, 'b'), READ);
      assert.equal(await contentOf(share, open), 'second');
      await share.close(open);
    });

    await suite.test('a file without a name', async () => {
      const { system, share } = prepare();
      const open = await makeOpen(share, share.root, 'a');
      await share.write(open, 0, [bytes('kept')]);
      await share.remove(share.root, 'a');
      assert.equal(has(system, 'a'), undefined);
      await share.write(open, 4, [bytes(' on')]);
      assert.equal(await contentOf(share, open), 'kept on');
      assert.equal((await share.attributes(open.node)).size, 7);
      await share.setAttributes(open.node, { size: 4 });
      assert.equal(await contentOf(share, open), 'kept');
      // Another one of its name is another one.
      const other = await makeOpen(share, share.root, 'a');
      assert.notEqual(other.node, open.node);
      await share.close(open);
      await share.close(other);
      const { node } = other;
      await share.remove(share.root, 'a');
      await put(system, 'a', 'page');
      await assert.rejects(async () => share.open(node, READ), fails('ESTALE'));
    });

    await suite.test('what cannot be is the right error', async () => {
      const { system, share } = prepare();
      await put(system, 'a', 'x');
      const a = await share.lookup(share.root, 'a');
      const folder = await share.makeFolder(share.root, 'd');
      for (const [act, code] of [
        [() => share.makeLink(share.root, 'l', 'a'), 'EPERM'],
        [() => share.link(a, share.root, 'l'), 'EPERM'],
        [() => share.readLink(a), 'EINVAL'],
        [() => share.setAttributes(a, { mode: 0o100600 }), 'EPERM'],
        [() => share.setAttributes(a, { user: 1000 }), 'EPERM'],
        [() => share.setAttributes(a, { modified: { seconds: 1, nanoseconds: 0 } }), 'EPERM'],
        [() => share.setAttributes(folder, { size: 0 }), 'EISDIR'],
        [() => share.create(share.root, 'a', WRITE, 0o644), 'EEXIST'],
        [() => share.create(share.root, 'd', WRITE, 0o644), 'EEXIST'],
        [() => share.create(share.root, 'back\\slash', WRITE, 0o644), 'EINVAL'],
        [() => share.makeFolder(share.root, 'a'), 'EEXIST'],
        [() => share.remove(share.root, 'd'), 'EISDIR'],
        [() => share.remove(share.root, 'none'), 'ENOENT'],
        [() => share.removeFolder(share.root, 'a'), 'ENOTDIR'],
        [() => share.rename(share.root, 'none', share.root, 'b', 0), 'ENOENT'],
        [() => share.lookup(a, 'x'), 'ENOTDIR'],
        [() => share.open(folder, READ), 'EISDIR'],
      ])
        await assert.rejects(async () => act(), fails(code), `${act}`);
      await share.setAttributes(a, { mode: 0o100755, user: 0, group: 0 });
      const { modified } = await share.attributes(a);
      await share.setAttributes(a, { modified: 'now', accessed: 'now' });
      assert.notDeepEqual((await share.attributes(a)).modified, modified);
      assert.equal(has(system, 'a'), 'x');
      await put(system, 'inside', '', await system.root.getDirectoryHandle('d'));
      await assert.rejects(async () => share.removeFolder(share.root, 'd'), fails('ENOTEMPTY'));
      system.error = 'NotAllowedError';
      for (const act of [
        () => share.lookup(share.root, 'a'),
        () => share.open(a, READ),
        () => share.remove(share.root, 'a'),
      ])
        await assert.rejects(async () => act(), fails('EACCES'), `${act}`);
      system.error = undefined;
      assert.equal(has(system, 'a'), 'x');
    });

    await suite.test('no room', async () => {
      const { system, share } = prepare();
      const open = await makeOpen(share, share.root, 'a');
      await share.write(open, 0, [bytes('old')]);
      await share.sync(open);
      system.room = 5;
      await assert.rejects(async () => share.write(open, 3, [bytes('too much')]), fails('ENOSPC'));
      assert.equal(has(system, 'a'), 'old');
      system.room = Infinity;
      // With a stream, the program hears of it once more when it closes the file.
      if (!synchronous) await assert.rejects(async () => share.flush(open), fails('ENOSPC'));
      await share.write(open, 3, [bytes('er')]);
      await share.close(open);
      assert.equal(has(system, 'a'), 'older');
    });

    await suite.test('no room for a larger size', async () => {
      const { system, share } = prepare();
      const open = await makeOpen(share, share.root, 'a');
      await share.write(open, 0, [bytes('old')]);
      await share.sync(open);
      system.room = 5;
      await assert.rejects(async () => share.setAttributes(open.node, { size: 9 }), fails('ENOSPC'));
      assert.equal((await share.attributes(open.node)).size, 3);
      system.room = Infinity;
      // What a stream had is lost with it.
      if (!synchronous) await assert.rejects(async () => share.flush(open), fails('ENOSPC'));
      await share.write(open, 3, [bytes('er')]);
      await share.close(open);
      assert.equal(has(system, 'a'), 'older');
      // If nobody has it open, nobody hears of it later.
      system.room = 5;
      await assert.rejects(async () => share.setAttributes(open.node, { size: 9 }), fails('ENOSPC'));
      const reader = await share.open(open.node, READ);
      await share.flush(reader);
      await share.close(reader);
      assert.equal(has(system, 'a'), 'older');
    });

    await suite.test('only read', async () => {
      const { system } = prepare();
      await put(system, 'a', 'content');
      const share = new DirectoryShare(system.root, true, synchronous);
      const node = await share.lookup(share.root, 'a');
      const open = await share.open(node, READ);
      for (const act of [
        () => share.open(node, WRITE),
        () => share.open(node, TRUNCATE),
        () => share.write(open, 0, [bytes('x')]),
        () => share.setAttributes(node, { size: 0 }),
        () => share.setAttributes(node, { modified: 'now' }),
        () => share.create(share.root, 'new', WRITE, 0o644),
        () => share.makeFolder(share.root, 'new'),
        () => share.remove(share.root, 'a'),
        () => share.removeFolder(share.root, 'a'),
        () => share.rename(share.root, 'a', share.root, 'new', 0),
      ])
        await assert.rejects(async () => act(), fails('EROFS'), `${act}`);
      assert.equal(await contentOf(share, open), 'content');
      assert.deepEqual([...system.rootContent.folder.keys()], ['a']);
    });

    await suite.test('the end gives all back', async () => {
      const { system, share } = prepare();
      const open = await makeOpen(share, share.root, 'a');
      await share.write(open, 0, [bytes('last')]);
      await share.end();
      assert.equal(has(system, 'a'), 'last');
      assert.equal(system.at(['a']).locks, 0);
    });

    await suite.test('for the owner, by paths', async () => {
      const { system, share } = prepare();
      const changes = [];
      const files = new ShareFiles(share, '/mnt/s', (_, name) => changes.push(name));
      await files.do({ operation: 'mkdir', path: 'x/y', recursive: true, mode: 0o755 });
      await files.do({ operation: 'watch', path: 'x/y' });
      const handle = await files.do({ operation: 'open', path: 'x/y/z', write: true, mode: 0o644 });
      await files.do({ operation: 'write', handle, offset: 0, bytes: bytes('owner’s') });
      await files.do({ operation: 'close', handle });
      assert.equal(has(system, 'x', 'y', 'z'), 'owner’s');
      assert(changes.includes('z'));
      assert.equal((await files.do({ operation: 'stat', path: 'x/y/z' })).size, bytes('owner’s').length);
      await files.do({ operation: 'rename', path: 'x/y', to: 'w' });
      assert.equal(has(system, 'w', 'z'), 'owner’s');
      await files.do({ operation: 'rm', path: 'w', recursive: true, force: false });
      await files.do({ operation: 'rm', path: 'w', recursive: true, force: true });
      assert.equal(system.at(['w']), undefined);
    });
  });

test('a file that another tab has open is read, and not written', async () => {
  const system = new FakeSystem();
  await put(system, 'a', 'theirs');
  const theirs = await (await system.root.getFileHandle('a')).createSyncAccessHandle();
  const share = new DirectoryShare(system.root, false, true);
  const node = await share.lookup(share.root, 'a');
  await assert.rejects(async () => share.open(node, WRITE), fails('EBUSY'));
  const open = await share.open(node, READ);
  assert.equal(await contentOf(share, open), 'theirs');
  theirs.write(bytes('T'), { at: 0 });
  assert.equal(await contentOf(share, open), 'Theirs');
  await assert.rejects(async () => share.remove(share.root, 'a'), fails('EBUSY'));
  await assert.rejects(async () => share.rename(share.root, 'a', share.root, 'b', 0), fails('EBUSY'));
  assert.equal(has(system, 'a'), 'Theirs');
  theirs.close();
  const other = await share.open(node, WRITE);
  await share.write(other, 0, [bytes('o')]);
  assert.equal(await contentOf(share, open), 'oheirs');
});

test('a stream is closed some time after its first write, and what fails then is told', async () => {
  const system = Object.assign(new FakeSystem(), { synchronous: false });
  const share = new DirectoryShare(system.root, false, false);
  const open = await makeOpen(share, share.root, 'a');
  const committed = new Promise((resolve) => {
    const { call } = system;
    system.call = (name) => {
      if (name === 'close') resolve();
      return call.call(system, name);
    };
  });
  await share.write(open, 0, [bytes('log')]);
  assert.equal(has(system, 'a'), '');
  await committed;
  assert.equal(await contentOf(share, open), 'log');
  await share.write(open, 3, [bytes('ged')]);
  system.error = 'NotAllowedError';
  await assert.rejects(async () => share.sync(open), fails('EACCES'));
  system.error = undefined;
  assert.equal(has(system, 'a'), 'log');
});

test('who writes hears of what is lost, whoever else has heard of it', async () => {
  const acts = [
    (share, other) => contentOf(share, other),
    (share) => share.remove(share.root, 'a'),
    (share) => share.rename(share.root, 'a', share.root, 'b', 0),
    (share) => share.rename(share.root, 'new', share.root, 'a', 0),
  ];
  for (const act of acts) {
    const system = Object.assign(new FakeSystem(), { synchronous: false });
    await put(system, 'new', 'new');
    const share = new DirectoryShare(system.root, false, false);
    const open = await makeOpen(share, share.root, 'a');
    const other = await share.open(open.node, READ);
    await share.write(open, 0, [bytes('lost')]);
    let closes = 0;
    const { call } = system;
    system.call = (name) => {
      if (name === 'close' && ++closes === 1) throw new DOMException('full', 'QuotaExceededError');
      return call.call(system, name);
    };
    await assert.rejects(async () => act(share, other), fails('ENOSPC'), `${act}`);
    assert.equal(has(system, 'a'), '', `${act}`);
    await assert.rejects(async () => share.sync(open), fails('ENOSPC'), `${act}`);
    await share.write(open, 0, [bytes('kept')]);
    await share.sync(open);
    assert.equal(has(system, 'a'), 'kept');
    await act(share, other);
    await share.close(open);
    await share.close(other);
  }
});

test('the end waits for a stream that takes long to close', async () => {
  const system = Object.assign(new FakeSystem(), { synchronous: false });
  const share = new DirectoryShare(system.root, false, false);
  const open = await makeOpen(share, share.root, 'a');
  await share.write(open, 0, [bytes('last')]);
  const { promise: closing, resolve: close } = Promise.withResolvers();
  system.beforeClose = () => closing;
  // As when a machine ends.
  const closed = share.close(open);
  share.forget(open.node);
  const log = [];
  const ended = share.end().then(() => log.push(has(system, 'a')));
  for (let turn = 0; turn < 10; ++turn) await new Promise(setImmediate);
  log.push('closes');
  close();
  await Promise.all([ended, closed]);
  assert.deepEqual(log, ['closes', 'last']);
  assert.equal(share.closing.size, 0);
  // What fails then was told to who closes.
  const other = await makeOpen(share, share.root, 'b');
  await share.write(other, 0, [bytes('lost')]);
  system.beforeClose = async () => {
    throw new DOMException('full', 'QuotaExceededError');
  };
  const failed = assert.rejects(async () => share.close(other), fails('ENOSPC'));
  await share.end();
  await failed;
});

test('many writes to a stream are one copy of the file', async () => {
  const system = Object.assign(new FakeSystem(), { synchronous: false });
  const share = new DirectoryShare(system.root, false, false);
  const open = await makeOpen(share, share.root, 'a');
  for (let count = 0; count < 100; ++count) await share.write(open, count, [bytes('x')]);
  await share.flush(open);
  assert.equal(has(system, 'a'), 'x'.repeat(100));
  assert.equal(system.calls.createWritable, 1);
});
