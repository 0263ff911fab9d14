// SPDX-License-Identifier: MIT
// Disks that become larger while the guest uses them, and the file system of the disk "home" with them.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClean, assertCleanAfterCrash, field, folder, homeDisk, MIB, start } from './home-disks.mjs';
import { bootSession, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';
import { randomNumbers } from '../crash/crash-images.mjs';

const GIB = 2 ** 30;
const SEED = Number(process.env.AUKLET_SEED ?? Date.now() % 1e6);
/** KiB of the file system of /home, by df. */
const SIZE = "df -k /home | tail -n 1 | awk '{ print $2 }'";

function assertSize(kibibytes, size) {
  const bytes = Number(kibibytes) * 1024;
  assert(bytes > size * 0.9 && bytes < size, `${bytes} of ${size}`);
}

test('home grows from 512 MiB to 16 GiB while a program writes', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const { machine, run, console } = await start(suite, homeDisk(file, '512M'));
  const disk = machine.disk('home');
  assertSize(await run(SIZE), 512 * MIB);
  await run('mkdir /home/u; echo before > /root/before; sync');

  // Each file is written, with its sum, while the file system may be growing; the first one is there before it does.
  const line =
    'cd /home/u; i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); head -c 300000 /dev/urandom > $i; sha256sum $i >> sums; fsync $i; echo $i; done';
  let begun;
  const first = new Promise((resolve) => (begun = resolve));
  const writing = machine.exec(['sh', '-c', line], { onStdout: begun });
  await first;
  await disk.grow('2G');
  assertSize(await run(SIZE), 2 * GIB);
  assert.equal(await disk.size(), 2 * GIB);
  await disk.grow(16 * GIB);
  assertSize(await run(SIZE), 16 * GIB);
  assert.equal(await disk.size(), 16 * GIB);
  assert.equal(statSync(file).size, 16 * GIB);
  assert.equal(await run('blockdev --getsize64 /dev/disk/by-id/virtio-home'), `${16 * GIB}\n`);
  await run('touch /tmp/enough');
  assert.equal((await writing).status, 0);
  assert.match(await run('cd /home/u; wc -l < sums; sha256sum -c sums | grep -c OK'), /^(\d+)\n\1\n$/);
  // More than the disk had at first.
  await run('dd if=/dev/zero of=/home/large bs=1M count=700 2> /dev/null; sync; rm /home/large');
  assert.equal(await run('cat /root/before'), 'before\n');
  assert.match(await run('grep " /home " /proc/mounts'), /,noinit_itable/);
  assert.doesNotMatch(console(), /sysinit|EXT4-fs (error|warning)/);
  assert.equal(await run(WARNINGS.replace(/$/, ' | grep -v "new size" || true')), '');

  // The same size again is no fault, and what cannot be changes nothing.
  await disk.grow('16G');
  const refused = (size, code, reason) =>
    assert.rejects(disk.grow(size), (error) => error.code === code && reason.test(error.message));
  await refused('1G', 'disk', /^disk home: it has 17179869184 bytes already, and a disk does not shrink$/);
  await refused(16 * GIB + 1, 'invalid-option', /^the size of a disk must be a multiple of 512 bytes/);
  await refused('much', 'invalid-option', /must be a multiple of 512 bytes, or text such as 4G, not "much"/);
  await refused(2 ** 52, 'disk', /^disk home: EFBIG/);
  assert.equal(await disk.size(), 16 * GIB);
  assertSize(await run(SIZE), 16 * GIB);

  await run('mount -o remount,ro /root');
  await machine.dispose();
  assertClean(file);
  assert.equal(Number(field(file, 'Block count')) * 4096, 16 * GIB);
  assert(statSync(file).blocks * 512 < 1.5 * GIB, `${statSync(file).blocks} blocks`);
  // Nothing is left to grow.
  const next = await start(suite, { name: 'home', file });
  assertSize(await next.run(SIZE), 16 * GIB);
  assert.equal(await next.run('cat /root/before; dmesg | grep -c "resizing filesystem" || true'), 'before\n0\n');
});

test('several growths at a time end with the largest', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const { machine, run } = await start(suite, homeDisk(file));
  const disk = machine.disk('home');
  await Promise.all([disk.grow('1G'), disk.grow('2G'), disk.grow('3G')]);
  assertSize(await run(SIZE), 3 * GIB);
  await machine.dispose();
  assertCleanAfterCrash(file);
});

test('another disk has its new size at once, and its content is its user’s', async (suite) => {
  const file = join(folder(suite), 'work.img');
  const { machine, run } = await start(suite, undefined, {
    disks: [
      { name: 'work', file, size: '8M' },
      { name: 'memory', memory: true, size: '1M' },
    ],
  });
  await run('mke2fs /dev/vda > /dev/null 2>&1; mount /dev/vda /mnt; echo kept > /mnt/a');
  const resized = (device, size) =>
    run(
      `while [ $(blockdev --getsize64 /dev/${device}) != ${size} ]; do usleep 1000; done; cat /sys/block/${device}/size`,
    );
  await machine.disk('work').grow('64M');
  assert.equal(await resized('vda', 64 * MIB), `${(64 * MIB) / 512}\n`);
  assert.match(await run("df -k /mnt | tail -n 1 | awk '{ print $2 }'"), /^7\d\d\d\n$/);
  await machine.disk('memory').grow('16M');
  await resized('vdb', 16 * MIB);
  await run(
    'printf end | dd of=/dev/vdb bs=1 seek=16777213 conv=fsync 2> /dev/null; echo 3 > /proc/sys/vm/drop_caches',
  );
  assert.equal(await run('tail -c 4 /dev/vdb | tr "\\\\0" 0; cat /mnt/a'), '0endkept\n');
  assert.equal(
    await run('umount /mnt; head -c 1024 /dev/zero | dd of=/dev/vda bs=1M seek=63 conv=fsync 2> /dev/null; echo $?'),
    '0\n',
  );
});

test('a disk that cannot grow says why, and one that nobody has mounted grows without its file system', async (suite) => {
  const place = folder(suite);
  const fixed = join(place, 'fixed.img');
  writeFileSync(fixed, Buffer.alloc(MIB));
  const { machine, run } = await start(suite, undefined, {
    disks: [
      { name: 'home', memory: true, size: '1M' },
      { name: 'read', file: fixed, readOnly: true },
      { name: 'over', memory: new Uint8Array(MIB), overlay: true },
    ],
  });
  const refused = (name, reason) =>
    assert.rejects(machine.disk(name).grow('2M'), { code: 'disk', message: `disk ${name}: it cannot grow: ${reason}` });
  await refused('read', 'it is only read');
  await refused('over', 'its changes are in memory, over a disk that is only read');
  assert.equal(statSync(fixed).size, MIB);
  await machine.disk('home').grow('2M');
  assert.equal(
    await run('blockdev --getsize64 /dev/disk/by-id/virtio-home; df /home | grep -c vd || true'),
    `${2 * MIB}\n0\n`,
  );
  await machine.dispose();
  // Its storage may end a moment later: then there is nobody who grows the files.
  await assert.rejects(machine.disk('home').grow('4M'), ({ code, message }) =>
    ['disk: the machine was disposed of', 'disposed: the machine was disposed'].includes(`${code}: ${message}`),
  );
});

test('what is at fault with the file system is said, and the disk is larger', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const { machine, run } = await start(suite, homeDisk(file));
  await run('mount -o remount,ro /root');
  await assert.rejects(machine.disk('home').grow('1G'), (error) => {
    assert.equal(error.code, 'disk');
    assert.match(error.message, /^disk home has 1073741824 bytes now, but its file system: sysinit: disk home: /);
    return true;
  });
  assert.equal(await machine.disk('home').size(), GIB);
  await machine.dispose();
  assert.equal(statSync(file).size, GIB);
  const next = await start(suite, { name: 'home', file });
  assertSize(await next.run(SIZE), GIB);
});

test('a machine without the exec agent has the new size, and grows its files when it is asked to', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const { machine, session } = await bootSession(suite, { disks: [homeDisk(file)] });
  await session.waitFor(PROMPT);
  await machine.disk('home').grow('1G');
  await session.run(`/sbin/sysinit grow ${GIB}`);
  assertSize(await session.run(SIZE), GIB);
});

/**
 * Makes an image of 256 MiB whose journal makes it one of 512 MiB, as after a crash: all blocks of the new part are there, and
 * what they change of the old part is in the journal.
 */
function makeHalfGrown(place) {
  const BLOCK = 4096;
  const [old, large, blocks] = ['old', 'large', 'blocks'].map((name) => join(place, name));
  const quietly = { stdio: 'pipe' };
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', String(BLOCK), '-m', '0', old, '256M'], quietly);
  execFileSync('cp', [old, large]);
  truncateSync(large, 512 * MIB);
  execFileSync('resize2fs', [large], quietly);
  const before = readFileSync(old);
  const after = readFileSync(large);
  const changed = [];
  for (let at = 0; at < before.length; at += BLOCK)
    if (before.compare(after, at, at + BLOCK, at, at + BLOCK) !== 0) changed.push(at / BLOCK);
  assert(changed.includes(0), 'the superblock');
  writeFileSync(blocks, Buffer.concat(changed.map((block) => after.subarray(block * BLOCK, (block + 1) * BLOCK))));
  execFileSync('debugfs', ['-w', '-f', '-', old], {
    input: `jo\njw -b ${changed.join(',')} ${blocks}\njc\n`,
    ...quietly,
  });
  assert.match(field(old, 'Filesystem features'), /needs_recovery/);
  assert.equal(field(old, 'Block count'), '65536');
  const descriptor = openSync(old, 'r+');
  writeSync(descriptor, after, before.length, after.length - before.length, before.length);
  closeSync(descriptor);
  return old;
}

test('a file system that becomes larger by its journal is mounted whole, and grows on', async (suite) => {
  const file = makeHalfGrown(folder(suite));
  const { run, console, machine } = await start(suite, { name: 'home', file, size: '768M' });
  assertSize(await run(SIZE), 768 * MIB);
  assert.match(await run('dmesg'), /EXT4-fs \(vda\): recovery complete/);
  assert.match(await run('dmesg'), /EXT4-fs \(vda\): resizing filesystem from 131072 to 196608 blocks/);
  // In all groups, the new ones too.
  await run('for i in $(seq 40); do mkdir /home/$i; echo $i > /home/$i/file; done; sync; cat /home/*/file | wc -l');
  assert.doesNotMatch(console(), /sysinit|EXT4-fs (error|warning)/);
  await run('mount -o remount,ro /root');
  await machine.dispose();
  assertClean(file);
});

test(`a machine that is killed while its disk grows leaves one that opens, seed ${SEED}`, async (suite) => {
  const file = join(folder(suite), 'home.img');
  const first = await start(suite, homeDisk(file, '512M'));
  await first.run('echo 0 > /root/n; sync');
  await first.machine.dispose();
  const random = randomNumbers(SEED);
  let size = 512 * MIB;
  let number = 0;
  /** Milliseconds of the last growth. */
  let duration = 0;
  let unfinished = 0;
  for (let round = 0; round < 8; ++round) {
    const rounds = 1 + Math.floor(random() * 2);
    // Half of them for certain, the others by chance.
    const isInside = round % 2 === 0;
    const words = [join(import.meta.dirname, 'grow-until-killed.mjs'), file, ...(isInside ? [rounds + 1] : [])];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    suite.after(() => child.kill('SIGKILL'));
    let begun = 0;
    let since;
    let last = '';
    let rest = '';
    for await (const bytes of child.stdout) {
      const lines = (rest + bytes).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const [word, value] = line.split(' ');
        if (word === 'wrote') number = Number(value);
        else last = word;
        if (word === 'grown') {
          size = Number(value);
          duration = performance.now() - since;
        }
        if (word !== 'growing') continue;
        since = performance.now();
        // Anywhere in it, or a moment later.
        if (++begun === rounds + 1 && !isInside) setTimeout(() => child.kill('SIGKILL'), random() * 1.2 * duration);
      }
    }
    if (last === 'growing') ++unfinished;
    assert(begun > rounds, 'it ended by itself');
    assert(!isInside || last === 'growing', 'it was not killed in the middle');

    assert(statSync(file).size >= size, `${statSync(file).size} of ${size}`);
    const copy = `${file}.copy`;
    // Node.js copies holes.
    execFileSync('cp', [file, copy]);
    assertCleanAfterCrash(copy);
    const { machine, run, console } = await start(suite, { name: 'home', file });
    size = await machine.disk('home').size();
    assert.equal(size, statSync(file).size);
    assertSize(await run(SIZE), size);
    const found = Number(await run('cat /root/n'));
    // The guest may have been faster than what the killed program could tell.
    assert(found >= number, `${found} after ${number} was acknowledged`);
    number = found;
    assert.doesNotMatch(console(), /sysinit|EXT4-fs (error|warning)/);
    await machine.dispose();
    assertCleanAfterCrash(file);
  }
  suite.diagnostic(`${unfinished} of 8 kills came in the middle of a growth`);
});
