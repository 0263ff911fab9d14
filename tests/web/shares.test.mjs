// SPDX-License-Identifier: MIT
// Shares without a guest: what a hostile one could ask of a folder, and of files in memory.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeSystem, has } from './fake-directory.mjs';
import { useAll } from './share-owner.mjs';
import { source } from './source.mjs';

const { DirectoryShare } = await source('storage/directory-share.ts');
const { FolderShare } = await source('storage/folder-share.ts');
const { MemoryShare } = await source('storage/memory-share.ts');
const { ShareFiles } = await source('storage/share-files.ts');
const { ShareSession } = await source('storage/share-session.ts');
const { AnswerWords, requestOf } = await source('storage/share-protocol.ts');
const { FileError, numberOf } = await source('storage/file-error.ts');

const READ_WRITE = 2;
const ROOT_OWNER = { user: 0, group: 0 };
const bytes = (text) => new TextEncoder().encode(text);
const fails = (code) => (error) => error.code === code;

/** A folder with a share in it, and a file outside of the share. */
function folderShare(suite, readOnly = false) {
  const outside = files.mkdtempSync(join(tmpdir(), 'auklet-shares-'));
  const inside = join(outside, 'share');
  files.mkdirSync(inside);
  files.writeFileSync(join(outside, 'secret'), 'secret');
  files.writeFileSync(join(inside, 'file'), 'content');
  const share = new FolderShare(files, inside, readOnly);
  suite.after(() => {
    share.end();
    files.rmSync(outside, { recursive: true });
  });
  return { share, inside, outside };
}

const textIn = (share, open) => {
  const view = new Uint8Array(100);
  return new TextDecoder().decode(view.subarray(0, share.read(open, 0, [view])));
};

test('no link leads out of a folder', (suite) => {
  const { share, inside, outside } = folderShare(suite);
  files.symlinkSync('../secret', join(inside, 'file-link'));
  files.symlinkSync('..', join(inside, 'folder-link'));
  files.symlinkSync(`/proc/self/root${outside}`, join(inside, 'magic'));
  for (const name of ['file-link', 'folder-link', 'magic']) {
    const link = share.lookup(share.root, name);
    assert.equal(share.attributes(link).mode & 0o170000, 0o120000);
    assert.throws(
      () => share.open(link, 0),
      (error) => error instanceof FileError || error.code === 'ELOOP',
    );
    assert.throws(() => share.lookup(link, 'secret'));
    assert.throws(() => share.list(link));
    assert.throws(() => share.create(link, 'new', READ_WRITE, 0o644, ROOT_OWNER));
    assert.throws(() => share.setAttributes(link, { size: 0 }));
    assert.throws(() => share.setAttributes(link, { mode: 0o600 }), fails('EOPNOTSUPP'));
    share.setAttributes(link, { modified: { seconds: 1, nanoseconds: 0 } });
  }
  assert.equal(share.readLink(share.lookup(share.root, 'file-link')), '../secret');
  assert.equal(files.readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
  assert.notEqual(files.statSync(join(outside, 'secret')).mtimeMs, 1000);
  // A file is not made through a link that leads to nothing.
  files.symlinkSync('../made', join(inside, 'dangling'));
  assert.throws(() => share.create(share.root, 'dangling', READ_WRITE, 0o644, ROOT_OWNER), fails('EEXIST'));
  assert.equal(files.existsSync(join(outside, 'made')), false);
});

test('what is exchanged for a link behind the back of a share is not followed', (suite) => {
  const { share, inside, outside } = folderShare(suite);
  files.mkdirSync(join(inside, 'a/b'), { recursive: true });
  files.writeFileSync(join(inside, 'a/b/secret'), 'mine');
  files.mkdirSync(join(outside, 'b'));
  files.writeFileSync(join(outside, 'b/secret'), 'secret');
  const a = share.lookup(share.root, 'a');
  const b = share.lookup(a, 'b');
  const file = share.lookup(b, 'secret');
  files.renameSync(join(inside, 'a'), join(inside, 'old'));
  files.symlinkSync('..', join(inside, 'a'));
  // On Linux the folders are still the ones that were looked up.
  const open = share.open(file, READ_WRITE);
  assert.equal(textIn(share, open), 'mine');
  share.close(open);
  share.create(b, 'new', READ_WRITE, 0o644, ROOT_OWNER);
  assert.equal(files.existsSync(join(outside, 'b/new')), false);
  assert.equal(files.existsSync(join(inside, 'old/b/new')), true);
  // The file itself.
  files.rmSync(join(inside, 'old/b/secret'));
  files.symlinkSync('../../../secret', join(inside, 'old/b/secret'));
  for (const ask of [
    () => share.open(file, 0),
    () => share.attributes(file),
    () => share.setAttributes(file, { size: 0 }),
    () => share.setAttributes(file, { mode: 0o777 }),
    () => share.link(file, share.root, 'new-link'),
  ])
    assert.throws(ask, (error) => error.code === 'ESTALE');
  assert.equal(files.readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
});

test('what the owner asks for leaves nothing behind', async (suite) => {
  const { share, inside } = folderShare(suite);
  files.symlinkSync('a', join(inside, 'link'));
  files.symlinkSync('loop', join(inside, 'loop'));
  const session = new ShareSession(share, () => []);
  const owner = new ShareFiles(share, '/mnt/s', () => {});
  await useAll(owner, () => assert.equal(share.nodes.size, 1, 'the root'));
  // What the guest knows stays as long as the guest knows it.
  files.mkdirSync(join(inside, 'a'));
  const number = numberIn(session.do(request({ operation: 'lookup', node: 1, text: 'a' })));
  await owner.do({ operation: 'list', path: 'link' });
  assert.equal(share.nodes.size, 2);
  session.forget(request({ node: number, length: 1 }));
  assert.equal(share.nodes.size, 1);
});

test('folders whose descriptors were closed are found again, or are stale', (suite) => {
  const { share, inside } = folderShare(suite);
  const nodes = [];
  for (let count = 0; count < 300; ++count) nodes.push(share.makeFolder(share.root, `d${count}`, 0o755));
  for (const node of nodes) share.create(node, 'x', READ_WRITE, 0o600);
  const open = files.readdirSync('/proc/self/fd').length;
  assert.ok(open < 300 + 256 + 100, `${open} descriptors`);
  files.renameSync(join(inside, 'd0'), join(inside, 'moved'));
  files.mkdirSync(join(inside, 'd0'));
  for (const node of nodes.slice(1)) share.list(node);
  assert.throws(() => share.list(nodes[0]), fails('ESTALE'));
  assert.equal(share.lookup(share.root, 'moved'), nodes[0]);
  assert.deepEqual(
    share.list(nodes[0]).map(({ name }) => name),
    ['x'],
  );
});

test('only regular files are opened', (suite) => {
  const { share, inside } = folderShare(suite);
  execFileSync('mkfifo', [join(inside, 'pipe')]);
  const pipe = share.lookup(share.root, 'pipe');
  // To open it would never end.
  assert.throws(() => share.open(pipe, 0), fails('EACCES'));
  assert.throws(() => share.setAttributes(pipe, { size: 0 }), fails('EACCES'));
  assert.throws(() => share.open(share.root, 0), fails('EISDIR'));
  files.mkdirSync(join(inside, 'folder'));
  assert.throws(() => share.open(share.lookup(share.root, 'folder'), 0), fails('EACCES'));
});

test('a folder gives no set-user-ID files and no other owners', (suite) => {
  const { share, inside } = folderShare(suite);
  const file = share.lookup(share.root, 'file');
  assert.throws(() => share.setAttributes(file, { mode: 0o4755 }), fails('EPERM'));
  assert.throws(() => share.setAttributes(file, { user: 12345 }), fails('EPERM'));
  assert.equal(share.attributes(file).user, 0);
  share.setAttributes(file, { user: 0, group: 0, mode: 0o640 });
  assert.equal(files.statSync(join(inside, 'file')).mode & 0o7777, 0o640);
  share.create(share.root, 'made', READ_WRITE, 0o6777, ROOT_OWNER);
  assert.equal(files.statSync(join(inside, 'made')).mode & 0o7777, 0o777);
  share.makeFolder(share.root, 'folder', 0o1777);
  assert.equal(files.statSync(join(inside, 'folder')).mode & 0o7777, 0o1777);
});

test('a folder that is read-only is not changed, whoever asks', (suite) => {
  const { share, inside } = folderShare(suite, true);
  const file = share.lookup(share.root, 'file');
  const open = share.open(file, 0);
  for (const ask of [
    () => share.open(file, 1),
    () => share.open(file, 2),
    () => share.open(file, 0o1000),
    () => share.write(open, 0, [bytes('x')]),
    () => share.setAttributes(file, { size: 0 }),
    () => share.setAttributes(file, { modified: 'now' }),
    () => share.create(share.root, 'new', READ_WRITE, 0o644, ROOT_OWNER),
    () => share.makeFolder(share.root, 'new', 0o755),
    () => share.makeLink(share.root, 'new', 'file'),
    () => share.link(file, share.root, 'new'),
    () => share.remove(share.root, 'file'),
    () => share.removeFolder(share.root, 'file'),
    () => share.rename(share.root, 'file', share.root, 'new', 0),
  ])
    assert.throws(ask, fails('EROFS'));
  assert.deepEqual(files.readdirSync(inside), ['file']);
  assert.equal(textIn(share, open), 'content');
  share.close(open);
});

test('files without a name, and files that were moved, are still the same', (suite) => {
  const { share, inside } = folderShare(suite);
  const file = share.lookup(share.root, 'file');
  const open = share.open(file, READ_WRITE);
  share.remove(share.root, 'file');
  assert.equal(share.attributes(file).links, 0);
  share.setAttributes(file, { modified: { seconds: 5, nanoseconds: 0 } });
  assert.equal(textIn(share, open), 'content');
  share.close(open);
  assert.throws(() => share.attributes(file), fails('ENOENT'));

  const { node, open: other } = share.create(share.root, 'other', READ_WRITE, 0o644, ROOT_OWNER);
  share.close(other);
  const folder = share.makeFolder(share.root, 'folder', 0o755);
  share.rename(share.root, 'other', folder, 'renamed', 0);
  share.setAttributes(node, { size: 10 });
  assert.equal(files.statSync(join(inside, 'folder/renamed')).size, 10);
  files.writeFileSync(join(inside, 'there'), '');
  assert.throws(() => share.rename(folder, 'renamed', share.root, 'there', 1), fails('EEXIST'));
  assert.throws(() => share.rename(folder, 'renamed', share.root, 'there', 2), fails('EINVAL'));
});

test('files in memory are as files are', () => {
  const share = new MemoryShare(2 ** 20, false);
  const { node, open } = share.create(share.root, 'a', READ_WRITE, 0o644, ROOT_OWNER);
  assert.equal(share.write(open, 70000, [bytes('end')]), 3);
  assert.equal(share.attributes(node).size, 70003);
  const view = new Uint8Array(10).fill(7);
  assert.equal(share.read(open, 69998, [view.subarray(0, 4), view.subarray(4)]), 5);
  assert.deepEqual([...view], [0, 0, ...bytes('end'), 7, 7, 7, 7, 7]);
  share.setAttributes(node, { size: 70001 });
  share.setAttributes(node, { size: 70005 });
  assert.equal(share.read(open, 69999, [view]), 6);
  assert.deepEqual([...view.subarray(0, 6)], [0, bytes('e')[0], 0, 0, 0, 0]);

  const folder = share.makeFolder(share.root, 'd', 0o755, ROOT_OWNER);
  const inner = share.makeFolder(folder, 'e', 0o755, ROOT_OWNER);
  assert.throws(() => share.rename(share.root, 'd', inner, 'x', 0), fails('EINVAL'));
  assert.throws(() => share.removeFolder(share.root, 'd'), fails('ENOTEMPTY'));
  assert.throws(() => share.remove(share.root, 'd'), fails('EISDIR'));
  assert.throws(() => share.lookup(node, 'x'), fails('ENOTDIR'));
  assert.throws(() => share.link(folder, share.root, 'x'), fails('EPERM'));
  share.link(node, folder, 'b');
  share.rename(folder, 'b', share.root, 'a', 0);
  assert.equal(share.attributes(node).links, 2);
  share.removeFolder(folder, 'e');
  assert.throws(() => share.create(inner, 'x', READ_WRITE, 0o644, ROOT_OWNER), fails('ENOENT'));
  assert.equal(share.attributes(share.root).links, 3);
});

test('a share in memory has its size, and gets room back', () => {
  const share = new MemoryShare(2 ** 20, false);
  const free = share.space().free;
  const { open } = share.create(share.root, 'a', READ_WRITE, 0o644, ROOT_OWNER);
  const data = new Uint8Array(2 ** 20);
  assert.throws(() => share.write(open, 0, [data]), fails('ENOSPC'));
  assert.ok(share.attributes(open.node).size <= 2 ** 20);
  share.remove(share.root, 'a');
  assert.throws(() => share.makeFile?.() ?? share.write(open, 2 ** 40, [data]), fails('ENOSPC'));
  share.close(open);
  assert.equal(share.space().free, free);
  for (let count = 0; ; ++count) {
    assert.ok(count < 1024);
    try {
      share.makeFolder(share.root, `${count}`, 0o755, ROOT_OWNER);
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
      break;
    }
  }
});

/** The words of a request, as exports.cpp writes them. */
function request(fields) {
  const empty = requestOf(new Int32Array(34));
  return { ...empty, id: 0, name: bytes(fields.text ?? ''), ...fields };
}

const numberIn = ({ words }) => words[0] + words[1] * 2 ** 32;

test('a session knows what it gave, and forgets what the guest forgets', () => {
  const share = new MemoryShare(2 ** 20, false);
  let uses = 0;
  const { lookup: found } = share;
  share.lookup = (...place) => {
    ++uses;
    return found.apply(share, place);
  };
  share.forget = (_, count = 1) => (uses -= count);
  share.makeFolder(share.root, 'd', 0o755, ROOT_OWNER);
  const session = new ShareSession(share, () => []);
  const lookup = () => numberIn(session.do(request({ operation: 'lookup', node: 1, text: 'd' })));
  const number = lookup();
  assert.equal(lookup(), number);
  session.forget(request({ node: number, length: 1 }));
  // A third answer is on its way while the guest forgets the second.
  lookup();
  session.forget(request({ node: number, length: 1 }));
  assert.ok(session.do(request({ operation: 'getAttributes', node: number })) instanceof AnswerWords);
  assert.equal(uses, 1);
  // A guest that lies takes no more back than it has.
  session.forget(request({ node: number, length: 100 }));
  assert.equal(uses, 0);
  assert.throws(() => session.do(request({ operation: 'getAttributes', node: number })), fails('ESTALE'));
  session.forget(request({ node: 1, length: 100 }));
  assert.ok(session.do(request({ operation: 'getAttributes', node: 1 })) instanceof AnswerWords);
  assert.throws(() => session.do(request({ operation: 'read', node: 1, handle: 5 })), fails('EBADF'));
  assert.throws(
    () => session.do(request({ operation: 'lookup', node: 1, name: Uint8Array.of(0xff) })),
    fails('EILSEQ'),
  );
});

test('a session gives back what it could not hand on', () => {
  const share = new MemoryShare(2 ** 20, false);
  let uses = 0;
  let opened = 0;
  for (const [name, count] of [
    ['lookup', () => ++uses],
    ['makeFolder', () => ++uses],
    ['create', () => ++uses + ++opened],
    ['open', () => ++opened],
    ['close', () => --opened],
  ]) {
    const act = share[name];
    share[name] = (...values) => {
      const result = act.apply(share, values);
      count();
      return result;
    };
  }
  share.forget = (_, count = 1) => (uses -= count);
  const session = new ShareSession(share, () => []);
  const file = numberIn(session.do(request({ operation: 'makeFile', node: 1, text: 'f' })));
  session.do(request({ operation: 'link', node: 1, otherNode: file, text: 'l' }));
  assert.deepEqual([uses, opened], [2, 0]);
  share.attributes = () => {
    throw new FileError('EIO');
  };
  for (const operation of ['lookup', 'makeFolder', 'makeFile', 'create', 'open'])
    for (const text of ['f', operation]) assert.throws(() => session.do(request({ operation, node: file, text })));
  for (const operation of ['lookup', 'makeFolder', 'makeFile', 'create'])
    for (const text of ['f', operation]) assert.throws(() => session.do(request({ operation, node: 1, text })));
  assert.deepEqual([uses, opened], [2, 0]);
  session.end();
  assert.deepEqual([uses, opened], [0, 0]);
});

test('what the guest could not ask to close any more is closed with its share', async () => {
  const system = new FakeSystem();
  const share = new DirectoryShare(system.root, false, false);
  const session = new ShareSession(share, () => [bytes('written')]);
  const { words } = await session.do(request({ operation: 'create', node: 1, text: 'f', flags: READ_WRITE }));
  // The handle is behind the node's number and attributes.
  const handle = words.at(-3);
  await session.do(request({ operation: 'write', node: numberIn({ words }), handle }));
  assert.equal(has(system, 'f'), '', 'a stream has it');
  session.end();
  await share.end();
  assert.equal(has(system, 'f'), 'written');
  assert.equal(share.used.size, 0);
});

test('a listing goes on where it stopped, and counts no name twice', () => {
  const share = new MemoryShare(2 ** 20, false);
  for (let count = 0; count < 100; ++count) share.makeFolder(share.root, `name-${count}`, 0o755, ROOT_OWNER);
  const session = new ShareSession(share, () => []);
  const handle = numberIn(session.do(request({ operation: 'openFolder', node: 1 })));
  const names = [];
  for (let offset = 0; ;) {
    const { words } = session.do(
      request({ operation: 'list', node: 1, handle, offset, length: 4096, flags: 1, mode: 152 }),
    );
    if (words.length === 0) break;
    for (let at = 0; at < words.length;) {
      offset = words[at + 24];
      const length = words[at + 27];
      names.push(
        Buffer.from(
          Int32Array.from(words.slice(at + 28, at + 28 + Math.ceil(length / 4))).buffer,
          0,
          length,
        ).toString(),
      );
      at += 28 + Math.ceil(length / 4);
    }
  }
  assert.deepEqual(names, ['.', '..', ...Array.from({ length: 100 }, (_, count) => `name-${count}`)]);
  assert.throws(
    () => session.do(request({ operation: 'list', node: 1, handle, offset: 0, length: 10, flags: 1, mode: 152 })),
    fails('EINVAL'),
  );
});

test('a file that is as it was when it was opened last keeps its pages', () => {
  const share = new MemoryShare(2 ** 20, false);
  const { node, open } = share.create(share.root, 'a', READ_WRITE, 0o644, ROOT_OWNER);
  node.changed = { seconds: 1, nanoseconds: 0 };
  const session = new ShareSession(share, () => []);
  const number = numberIn(session.do(request({ operation: 'lookup', node: 1, text: 'a' })));
  const isKept = () => session.do(request({ operation: 'open', node: number })).words[2] === 1;
  assert.deepEqual([isKept(), isKept(), isKept()], [false, true, true]);
  share.write(open, 0, [bytes('x')]);
  // It has just changed, and might change once more in the same moment.
  assert.deepEqual([isKept(), isKept()], [false, false]);
});

test('errors have the numbers of Linux', () => {
  assert.equal(numberOf(Object.assign(new Error(), { code: 'ENOTEMPTY' })), 39);
  assert.equal(numberOf(Object.assign(new Error(), { code: 'ENOTSUP' })), 95);
  assert.equal(numberOf(new RangeError()), 28);
  assert.equal(numberOf(new Error('else')), 5);
  assert.equal(numberOf(new FileError('ESTALE')), 116);
});
