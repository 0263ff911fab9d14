// SPDX-License-Identifier: MIT
// The guest's side of uploads and downloads.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { source } from '../web/source.mjs';
import { bootSession } from './machines.mjs';
import { PROMPT } from './session.mjs';

const { takeDownloads } = await source('api/downloads.ts');
const { encodeUploads } = await source('api/uploads.ts');

const text = (bytes) => new TextDecoder().decode(bytes);

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function boot(suite, options = {}) {
  const { machine, session } = await bootSession(suite, { exec: true, login: true, ...options });
  await session.waitFor(PROMPT);
  return { machine, session };
}

/** An entry of `transfer take`; `length` and `size` may be lies. */
function entry(
  kind,
  path,
  content = '',
  { length = Buffer.byteLength(path), size = content.length, changed = 0 } = {},
) {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(length, 4);
  head.writeBigUInt64LE(BigInt(size), 8);
  head.writeBigInt64LE(BigInt(changed), 16);
  return Buffer.concat([head, Buffer.from(path), Buffer.from(content)]);
}
const END = entry(0, '');

test('transfer take', async (suite) => {
  const { machine, session } = await boot(suite);
  await session.run('mkdir /root/w; cd /root/w');
  const take = (...parts) => machine.exec(['/sbin/transfer', 'take'], { stdin: Buffer.concat(parts) });

  await suite.test('files as they were sent', async () => {
    const uploads = [
      { path: 'd' },
      { path: 'd/é\n"', file: new File(['x'.repeat(200_000)], '', { lastModified: 1_600_000_000_000 }) },
      { path: 'a', file: new File(['a\n'], '') },
    ];
    const { status, stdout, stderr } = await machine.exec(['/sbin/transfer', 'take'], {
      stdin: encodeUploads(uploads),
    });
    assert.deepEqual([status, text(stderr)], [0, '']);
    const [folder, ...names] = text(stdout).split('\0');
    assert.equal(folder, '/root/w');
    assert.deepEqual(names.sort(), ['', 'a', 'a', 'd', 'd']);
    assert.equal(await session.run('cat a; cat d/* | wc -c; stat -c %Y d/*; ls -A1'), 'a\n200000\n1600000000\na\nd\n');
    await session.run('rm -r /root/w/*');
  });

  await suite.test('what is no upload leaves nothing', async () => {
    for (const [parts, message] of [
      [[entry(1, '../x'), END], /this is no path of a file/],
      [[entry(1, '/x'), END], /this is no path of a file/],
      [[entry(1, 'a//b'), END], /this is no path of a file/],
      [[entry(1, 'a/'), END], /this is no path of a file/],
      [[entry(1, '.'), END], /this is no path of a file/],
      [[entry(1, 'a/../../b'), END], /this is no path of a file/],
      [[entry(1, ''), END], /this is no path of a file/],
      [[entry(1, 'a\0b'), END], /this is no path of a file/],
      [[entry(1, 'x'.repeat(256)), END], /the name is too long/],
      [[entry(1, 'a', '', { length: 4096 }), Buffer.alloc(8192)], /a path is too long/],
      [[entry(1, 'a', '', { length: 0xffff_ffff })], /a path is too long/],
      [[entry(3, 'a'), END], /no list of files/],
      [[entry(1, 'a'), entry(1, 'a'), END], /File exists/],
      [[entry(1, 'a'), entry(1, 'a/b'), END], /Not a directory/],
      [[entry(1, 'none/b'), END], /there is no such file or folder/],
    ]) {
      const { status, stderr } = await take(...parts);
      assert.equal(status, 1, parts[0].toString());
      assert.match(text(stderr), message);
    }
    const whole = Buffer.concat([entry(2, 'd'), entry(1, 'd/a', 'content', { changed: -5 }), END]);
    for (let length = 0; length < whole.length; length += 7)
      assert.equal((await take(whole.subarray(0, length))).status, 2, `${length} bytes`);
    const endless = await take(entry(1, 'a', 'abc', { size: 2n ** 64n - 1n }));
    assert.equal(endless.status, 2);
    assert.equal(await session.run('ls -A1'), '');
  });

  await suite.test('a signal leaves nothing', async () => {
    let go;
    const going = new Promise((resolve) => (go = resolve));
    const stdin = async function* () {
      yield entry(1, 'a', 'abc', { size: 1000 });
      await going;
    };
    const result = machine.exec(['/sbin/transfer', 'take'], { stdin: stdin() });
    await session.run('until [ -e .auklet-upload-*/a ]; do :; done');
    await session.run('kill $(pidof transfer)');
    assert.equal((await result).status, 2);
    go();
    assert.equal(await session.run('ls -A1'), '');
  });

  await suite.test('a name that is taken, and as long as a name can be', async () => {
    for (const [name, given] of [
      ['x'.repeat(255), `${'x'.repeat(251)} (1)`],
      [`${'x'.repeat(248)}.tar.gz`, `${'x'.repeat(244)} (1).tar.gz`],
      ['é'.repeat(127), `${'é'.repeat(125)} (1)`],
      [`é${'x'.repeat(248)}.txt`, `é${'x'.repeat(245)} (1).txt`],
      [`a.${'x'.repeat(253)}`, `a.${'x'.repeat(249)} (1)`],
    ]) {
      for (const expected of [name, given]) {
        const { status, stdout, stderr } = await take(entry(1, name), END);
        assert.deepEqual([status, text(stderr)], [0, '']);
        assert.deepEqual(text(stdout).split('\0'), ['/root/w', name, expected, '']);
      }
      assert.equal(await session.run('ls -A1 | wc -l; rm /root/w/*'), '2\n');
    }
  });

  await suite.test('without a folder, and without an end', async () => {
    await session.run('mkdir gone; cd gone; rmdir ../gone');
    const { status, stderr } = await take(END);
    assert.deepEqual([status, text(stderr)], [1, 'transfer: the working directory: there is no such file or folder\n']);
    await session.run('cd ..');
    assert.equal((await machine.exec(['/sbin/transfer', 'nonsense'])).status, 2);
  });
});

test('download', async (suite) => {
  const { machine, session } = await boot(suite);
  await session.run('mkdir /root/w; cd /root/w; echo a > a; mkdir -p t/u; echo b > t/u/b; printf %70000s > "l l"');
  await suite.test('where nobody takes it', async () => {
    assert.equal(
      await session.run('download a t; echo $?'),
      'download: nobody takes downloads here\n1\n',
      'the others are not tried',
    );
  });
  const taken = [];
  let act = async ({ content, ...download }) => void taken.push({ ...download, bytes: await collect(content) });
  takeDownloads(machine, (download) => act(download));
  await suite.test('files and folders', async () => {
    assert.equal(
      await session.run('download a "l l" /proc/version -- . ../w/t/; echo $?'),
      'a: saved\nl l: saved\n/proc/version: saved\ndownload: --: there is no such file or folder\n.: saved\n../w/t/: saved\n1\n',
    );
    assert.deepEqual(
      taken.map(({ name, folder, size }) => [name, folder, folder || size]),
      [
        ['a', false, 2],
        ['l l', false, 70000],
        ['version', false, undefined],
        ['w.tar', true, true],
        ['t.tar', true, true],
      ],
    );
    assert.equal(taken[1].bytes.length, 70000);
    assert.match(text(taken[2].bytes), /^Linux version 6/);
    const [, , , whole, part] = taken.splice(0);
    assert(whole.size > 70000 && whole.size <= whole.bytes.length, `${whole.size} of ${whole.bytes.length}`);
    const read = (bytes, path) => execFileSync('tar', ['-xOf', '-', path], { input: bytes }).toString();
    assert.equal(read(whole.bytes, 'w/t/u/b'), 'b\n');
    assert.equal(read(part.bytes, 't/u/b'), 'b\n');
  });
  await suite.test('what has no end', async () => {
    await session.run('mkfifo pipe');
    // A reader of it has what the kernel has said, then waits for more.
    assert.equal(
      await session.run('download pipe /dev/null /proc/kmsg /proc/filesystems; echo $?; rm pipe'),
      'download: pipe: this is neither a file nor a folder\n' +
        'download: /dev/null: this is neither a file nor a folder\n' +
        'download: /proc/kmsg: this file has no end, only more later\n' +
        '/proc/filesystems: saved\n1\n',
    );
    const [{ name, size, bytes }] = taken.splice(0);
    assert.deepEqual([name, size], ['filesystems', undefined]);
    assert.equal(text(bytes), (await session.run('cat /proc/filesystems')).replaceAll('\r', ''));
  });
  await suite.test('what a tar leaves out', async () => {
    await session.run('chmod 711 /root; chown -R nobody /root/w; echo x > t/secret; chmod 600 t/secret');
    const output = await session.run('su -s /bin/sh nobody -c "download t"; echo $?');
    assert.match(output, /tar: .*secret.*\n/);
    assert.match(output, /t: saved\n1\n$/);
    const [{ bytes }] = taken.splice(0);
    assert.equal(execFileSync('tar', ['-xOf', '-', 't/u/b'], { input: bytes }).toString(), 'b\n');
  });
  await suite.test('a no, and a program that is killed', async () => {
    act = async ({ content }) => {
      await content.cancel();
      throw new Error('not today');
    };
    await session.run('truncate -s 1G sparse');
    assert.equal(
      await session.run('download sparse a; echo $?'),
      'download: sparse: not today\ndownload: a: not today\n1\n',
    );
    const failed = new Promise((resolve) => {
      act = async ({ content, signal }) => {
        const reader = content.getReader();
        await reader.read();
        await session.write('\x03');
        signal.addEventListener('abort', () => resolve('gone'));
        while (!(await reader.read()).done);
      };
    });
    await session.write('download sparse\r');
    assert.equal(await failed, 'gone');
    await session.waitFor(PROMPT);
  });
});
