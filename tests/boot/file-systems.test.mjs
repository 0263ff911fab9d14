// SPDX-License-Identifier: MIT
// File systems on disks in Node.js: ext4, squashfs, overlayfs of both, direct transfers, and little memory.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkExt4 } from './ext4.mjs';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const MIB = 1 << 20;
const text = (bytes) => new TextDecoder().decode(bytes);
const program = (name) => join(build, 'tests/programs', name);

function folder(suite) {
  const path = mkdtempSync(join(tmpdir(), 'auklet-file-systems-'));
  suite.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** An image with an empty ext4 of this size (bytes). */
function ext4(file, size, ...options) {
  writeFileSync(file, '');
  truncateSync(file, size);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', ...options, file]);
  return file;
}

/** A machine and a function that runs a script of the shell, which must succeed, and returns what it printed. */
async function start(suite, disks, options = {}) {
  const machine = await startMachine({ exec: true, disks, ...options });
  suite.after(() => machine.dispose());
  await machine.started;
  const run = async (script) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-e', '-c', script]);
    assert.equal(status, 0, `${script}\n${text(stdout)}\n${text(stderr)}`);
    return text(stdout);
  };
  return { machine, run };
}

const put = (...names) =>
  names.map((name) => ({ path: `/root/${name}`, mode: 0o755, content: readFileSync(program(name)) }));

/** The image of a squashfs that has a tree with a program, links, folders, and an extended attribute. */
function squashfs(path) {
  const tree = join(path, 'tree');
  mkdirSync(join(tree, 'folder/deep'), { recursive: true });
  mkdirSync(join(tree, 'hidden'));
  copyFileSync(program('hello'), join(tree, 'hello'));
  chmodSync(join(tree, 'hello'), 0o755);
  writeFileSync(join(tree, 'file'), 'lower\n');
  writeFileSync(join(tree, 'gone'), 'gone\n');
  writeFileSync(join(tree, 'folder/deep/leaf'), 'leaf\n');
  writeFileSync(join(tree, 'hidden/old'), 'old\n');
  writeFileSync(join(tree, 'big'), Buffer.alloc(3 * MIB, 'squashed '));
  linkSync(join(tree, 'file'), join(tree, 'link'));
  const image = join(path, 'base.squashfs');
  const options = ['-noappend', '-quiet', '-no-progress', '-comp', 'zstd', '-b', '128K', '-all-root'];
  execFileSync('mksquashfs', [tree, image, ...options, '-p', 'file x user.colour=grey'], { stdio: 'ignore' });
  return image;
}

const MOUNT_OVERLAY = `
  mkdir -p /tmp/lower /tmp/disk /tmp/all
  mount -t squashfs -o ro /dev/disk/by-id/virtio-base /tmp/lower
  mount -t ext4 /dev/disk/by-id/virtio-home /tmp/disk
  mkdir -p /tmp/disk/upper /tmp/disk/work
  mount -t overlay -o lowerdir=/tmp/lower,upperdir=/tmp/disk/upper,workdir=/tmp/disk/work overlay /tmp/all
  cd /tmp/all
`;

test('a folder of ext4 over one of squashfs', async (suite) => {
  const path = folder(suite);
  const disks = [
    { name: 'base', file: squashfs(path), readOnly: true },
    { name: 'home', file: ext4(join(path, 'home.img'), 64 * MIB) },
  ];
  const first = await start(suite, disks, { files: put('shared-disk') });
  assert.equal(
    await first.run(`${MOUNT_OVERLAY}
      ./hello
      cat file folder/deep/leaf
      getfattr -n user.colour file | grep -v "^#"
      # Copy-up, by write, by a mode, by an extended attribute, and of a program that is executed.
      echo more >> file; cat file; cat /tmp/lower/file; cat link
      chmod 600 big; ls -l big | cut -c1-10; cmp big /tmp/lower/big
      setfattr -n user.shape -v round hello; ./hello
      # Whiteouts, and a folder that hides another.
      rm gone; ls gone 2> /dev/null || echo no gone; ls -l /tmp/disk/upper/gone | cut -c1
      rm -r hidden; mkdir hidden; ls hidden | wc -l; echo new > hidden/new; ls hidden
      # A folder of the lower layer cannot be renamed without redirect_dir, so mv copies it.
      mv folder renamed; cat renamed/deep/leaf; ls folder 2> /dev/null || echo no folder
      mkdir one; echo x > one/y; mv one two; cat two/y
      ln two/y two/z; echo z >> two/y; cat two/z; stat -c %h two/y
      ln -s file symbolic; cat symbolic
      cp hello /tmp/all/copy; ./copy
      cd /; umount /tmp/all; umount /tmp/disk`),
    [
      'Hello from WebAssembly\nlower\nleaf\nuser.colour="grey"\n\n',
      'lower\nmore\nlower\nlower\n-rw-------\nHello from WebAssembly\n',
      'no gone\nc\n0\nnew\n',
      'leaf\nno folder\nx\nx\nz\n2\nlower\nmore\nHello from WebAssembly\n',
    ].join(''),
  );
  await first.machine.dispose();
  checkExt4(disks[1].file);

  const second = await start(suite, disks, { files: put('shared-disk') });
  assert.equal(
    await second.run(`${MOUNT_OVERLAY}
      cat file renamed/deep/leaf hidden/new; ls; getfattr -n user.shape hello | grep shape
      mkdir shared; /root/shared-disk shared`),
    'lower\nmore\nleaf\nnew\nbig\ncopy\nfile\nhello\nhidden\nlink\nrenamed\nsymbolic\ntwo\nuser.shape="round"\nshared-disk done\n',
  );
});

test('shared mappings of files on ext4', async (suite) => {
  const file = join(folder(suite), 'x.img');
  // With blocks of 1 KiB a page has four.
  for (const block of ['4096', '1024']) {
    const disks = [{ name: 'x', file: ext4(file, 48 * MIB, '-F', '-b', block) }];
    const { machine, run } = await start(suite, disks, { files: put('shared-disk') });
    await run('mount -t ext4 /dev/vda /mnt');
    assert.equal(await run('/root/shared-disk /mnt'), 'shared-disk done\n');
    assert.equal(await run('/root/shared-disk fill /mnt'), 'shared-disk done\n');
    await run('umount /mnt');
    await machine.dispose();
    checkExt4(file);
  }
});

test('twice the memory of dirty pages, near the end of memory', async (suite) => {
  const { run } = await start(suite, [{ name: 'x', file: ext4(join(folder(suite), 'x.img'), 256 * MIB) }], {
    memory: 64,
  });
  await run('mount -t ext4 /dev/vda /mnt; dd if=/dev/zero of=/tmp/filling bs=1M count=42');
  // Kernel stacks and full pipes, which nothing can reclaim.
  await run('for i in $(seq 20); do yes | sleep 100000 & done > /dev/null 2>&1');
  // Four writers at once, of 32 MiB each. No part of a file is like another.
  await run(`for w in 1 2 3 4; do
      seq -s " is a number of $w that must not be lost " 1000000 | head -c ${32 * MIB} | tee /mnt/f$w | sha256sum > /mnt/sum$w &
    done; wait`);
  await run('sync; echo 3 > /proc/sys/vm/drop_caches');
  await run(
    'for w in 1 2 3 4; do sha256sum < /mnt/f$w | cmp - /mnt/sum$w; test $(stat -c %s /mnt/f$w) = 33554432; done',
  );
  await run('killall -9 yes sleep; rm /tmp/filling; umount /mnt');
  assert.doesNotMatch(await run('dmesg'), /page allocation failure|blocked for more than|WARNING/);
});

test('mappings follow their file while memory ends', async (suite) => {
  const file = join(folder(suite), 'x.img');
  // Twice the memory in one file; and programs that take memory until the kernel kills them, as long as that is written.
  const write = `#!/bin/sh -e
    seq -s ' is a number that must not be lost ' 4000000 | head -c ${128 * MIB} | tee /mnt/big | sha256sum > /mnt/sum
    sync`;
  const hogs = `#!/bin/sh
    while [ -e /tmp/going ]; do /root/pressure hog; echo $? >> /tmp/ends; done`;
  const script = (name, content) => ({ path: `/root/${name}`, mode: 0o755, content });
  const { machine, run } = await start(suite, [{ name: 'x', file: ext4(file, 256 * MIB) }], {
    memory: 64,
    files: [...put('pressure'), script('write', write), script('hogs', hogs)],
  });
  await run('mount -t ext4 /dev/vda /mnt; dd if=/dev/zero of=/tmp/filling bs=1M count=24');
  assert.equal(await run('/root/pressure map /mnt/mapped /root/write'), 'pressure done\n');
  assert.equal(
    // Nothing can be made while memory has ended.
    await run(`: > /tmp/going; /root/hogs > /dev/null 2>&1 &
      while [ ! -s /tmp/ends ]; do usleep 1000; done
      /root/pressure map /mnt/mapped /root/write
      rm /tmp/going; wait $!
      sort -u /tmp/ends`),
    'pressure done\n137\n',
  );
  await run('rm /tmp/filling; echo 3 > /proc/sys/vm/drop_caches; sha256sum < /mnt/big | cmp - /mnt/sum');
  assert.equal(await run('stat -c %s /mnt/big; umount /mnt'), `${128 * MIB}\n`);
  const log = await run('dmesg');
  assert.match(log, /Out of memory: Killed process \d+ \(pressure\)/);
  assert.doesNotMatch(log, /blocked for more than|WARNING|BUG|Killed process \d+ \((?!pressure\))/);
  await machine.dispose();
  checkExt4(file);
});

test('a victim that nobody can reap does not keep memory from the others', async (suite) => {
  const { run } = await start(suite, [], { memory: 64, files: put('pressure') });
  assert.equal(await run('/root/pressure orphan > /dev/null 2>&1 || echo $?'), '137\n');
  assert.equal((await run('dmesg')).match(/Out of memory: Killed process \d+ \(pressure\)/g).length, 2);
});

test('memory in pieces is enough for large file systems', async (suite) => {
  const path = folder(suite);
  const disks = [
    { name: 'large', file: ext4(join(path, 'large.img'), 16384 * MIB) },
    { name: 'base', file: squashfs(path), readOnly: true },
  ];
  const { run } = await start(suite, disks, { memory: 64 });
  // All of it in pages of two files in turn, of which one goes.
  await run(`
    i=0
    while [ $i -lt 44 ]; do
      dd if=/dev/zero of=/tmp/a bs=4k count=128 seek=$((i * 128)) 2> /dev/null || break
      dd if=/dev/zero of=/tmp/b bs=4k count=128 seek=$((i * 128)) 2> /dev/null || break
      i=$((i + 1))
    done
    rm /tmp/b; cat /proc/buddyinfo`);
  await run(`
    mkdir -p /tmp/large /tmp/base
    mount -t ext4 /dev/disk/by-id/virtio-large /tmp/large; mount -t squashfs /dev/disk/by-id/virtio-base /tmp/base
    dd if=/dev/zero of=/tmp/large/file bs=1M count=100; cmp -n 3000000 /tmp/base/big /tmp/base/big; sync
    umount /tmp/large /tmp/base`);
  assert.doesNotMatch(await run('dmesg'), /page allocation failure/);
});

test('direct transfers', async (suite) => {
  const path = folder(suite);
  const { run } = await start(
    suite,
    [
      { name: 'base', file: squashfs(path), readOnly: true },
      { name: 'home', file: ext4(join(path, 'home.img'), 64 * MIB) },
      { name: 'raw', memory: true, size: MIB },
    ],
    { files: put('direct') },
  );
  await run(MOUNT_OVERLAY);
  // Of any place and length, by a program.
  const places = '/tmp/disk/odd /tmp/all/odd /tmp/odd /dev/disk/by-id/virtio-raw';
  assert.equal(await run(`/root/direct ${places}`), 'direct done\n');
  await run('head -c 40000 /dev/urandom > /tmp/data');
  for (const place of ['/tmp/disk/file', '/tmp/all/file', '/tmp/all/new', '/tmp/direct', '/dev/disk/by-id/virtio-raw'])
    await run(`
      dd if=/tmp/data of=${place} bs=4096 count=9 oflag=direct conv=notrunc
      dd if=${place} bs=4096 count=9 iflag=direct of=/tmp/back
      head -c 36864 /tmp/data | cmp - /tmp/back
      dd if=${place} bs=4096 count=9 of=/tmp/back
      head -c 36864 /tmp/data | cmp - /tmp/back`);
  // squashfs has none, and says so at open, as everywhere.
  assert.match(await run('! dd if=/tmp/lower/big iflag=direct of=/dev/null 2>&1'), /Invalid argument/);
});
