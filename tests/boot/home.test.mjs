// SPDX-License-Identifier: MIT
// The disk "home": /home and /root outlive their machine.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClean, assertCleanAfterCrash, field, folder, homeDisk, MIB, start } from './home-disks.mjs';
import { bootSession, cli, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

test('what is in /home and /root is there in the next machine', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const first = await start(suite, homeDisk(file), { files: [{ path: '/root/.profile', content: 'first' }] });
  assert.equal(
    await first.run('df -k /home /root | grep -c "^/dev/vda "; ls -A /home; stat -c "%a %u" /home /root; ls -A /root'),
    '2\n755 0\n700 0\n.profile\n',
  );
  assert.match(
    await first.run('grep " /home " /proc/mounts'),
    /^\/dev\/vda \/home ext4 rw,noatime,.*errors=remount-ro,/,
  );
  assert.match(await first.run('grep " /home " /proc/mounts'), /,commit=2[, ]/);
  assert.equal(
    await first.run('cat /proc/sys/vm/dirty_expire_centisecs /proc/sys/vm/dirty_writeback_centisecs'),
    '200\n100\n',
  );
  await first.run('mkdir /home/u1; echo kept > /home/u1/file; echo mine > /root/file; ln -s file /root/link; sync');
  assert.equal(await first.run(WARNINGS.replace(/$/, ' || true')), '');
  await first.machine.dispose();
  const uuid = field(file, 'Filesystem UUID');
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/);

  // What the owner gives a later machine replaces what is there, and nothing else.
  const second = await start(suite, homeDisk(file), {
    files: [
      { path: '/root/.profile', content: 'second', mode: 0o600 },
      { path: '/root/link', content: 'no link' },
      { path: '/root/new/deep', content: 'x' },
      { path: '/home/u1/other', link: 'file' },
    ],
  });
  assert.equal(
    await second.run('cd /root; cat .profile file link new/deep /home/u1/other; stat -c %a .profile; ls -A . /home/u1'),
    'secondmine\nno linkxkept\n600\n.:\n.profile\nfile\nlink\nnew\n\n/home/u1:\nfile\nother\n',
  );
  await second.run('sync');
  await second.machine.dispose();
  assert.equal(field(file, 'Filesystem UUID'), uuid);

  const third = await start(suite, homeDisk(file));
  assert.equal(await third.run('cat /root/.profile /root/link /home/u1/other'), 'secondno linkkept\n');
  await third.machine.dispose();
  assertCleanAfterCrash(file);
});

test('the file system is as large as the disk, which may grow, and takes what is in it', async (suite) => {
  const file = join(folder(suite), 'home.img');
  let expected = '';
  for (const [size, mebibytes] of [
    ['300M', 300],
    ['4G', 4096],
    ['16G', 16384],
  ]) {
    const { machine, run, console } = await start(suite, homeDisk(file, size));
    assert.doesNotMatch(console(), /sysinit/);
    const blocks = Number(await run("df -k /home | tail -n 1 | awk '{ print $2 }'"));
    assert(blocks > mebibytes * 900 && blocks < mebibytes * 1024, `${size}: ${blocks}`);
    await run(`echo ${size} >> /home/sizes; sync`);
    expected += `${size}\n`;
    assert.equal(await run('cat /home/sizes'), expected);
    await machine.dispose();
    assertCleanAfterCrash(file);
  }
  assert(statSync(file).blocks * 512 < 16 * MIB, `${statSync(file).blocks} blocks`);
});

test('a disk that cannot be used leaves a machine with a line on its console', async (suite) => {
  const path = folder(suite);
  const good = join(path, 'good.img');
  const { machine, run } = await start(suite, homeDisk(good));
  await run('echo x > /root/only-on-the-disk; sync; mount -o remount,ro /root');
  await machine.dispose();
  assertClean(good);
  const changed = (name, change) => {
    const file = join(path, name);
    copyFileSync(good, file);
    const descriptor = openSync(file, 'r+');
    change(descriptor, file);
    closeSync(descriptor);
    return file;
  };
  const overwrite = (offset, bytes) => (descriptor) =>
    writeSync(descriptor, Buffer.from(bytes), 0, bytes.length, offset);
  const zeros = join(path, 'zeros.img');
  writeFileSync(zeros, '');
  truncateSync(zeros, 256 * MIB);
  const small = join(path, 'small.img');
  writeFileSync(small, Buffer.alloc(1536, 1));
  const ext2 = join(path, 'ext2.img');
  writeFileSync(ext2, '');
  execFileSync('mke2fs', ['-q', '-F', ext2, '8M'], { stdio: 'ignore' });
  for (const [file, reason, options = {}] of [
    [zeros, 'it has no ext4 file system'],
    [small, 'it has no ext4 file system'],
    [ext2, 'its file system has no journal'],
    [good, 'it is read-only', { readOnly: true }],
    [changed('magic', overwrite(1080, [0])), 'it has no ext4 file system'],
    [changed('checksum', overwrite(1024 + 0x90, [7])), 'its file system is damaged (e2fsck can repair its image)'],
    [changed('exponent', overwrite(1024 + 0x18, [255, 255, 255, 255])), 'it has no ext4 file system'],
    [
      changed('groups', overwrite(4096, Buffer.alloc(4096, 0xff))),
      'its file system is damaged (e2fsck can repair its image)',
    ],
    [
      changed('short', (descriptor, name) => truncateSync(name, 100 * MIB)),
      'its file system is damaged (e2fsck can repair its image)',
    ],
  ]) {
    const { session } = await bootSession(suite, { disks: [{ name: 'home', file, ...options }] });
    const { before } = await session.waitFor(PROMPT);
    assert(
      before.includes(`sysinit: disk home: ${reason}, so /home and /root are only in memory\n`),
      `${file}: ${before}`,
    );
    assert.equal(
      await session.run('ls /root; echo in memory > /root/x; cat /root/x; grep -c ext4 /proc/mounts'),
      'in memory\n0\n',
    );
  }
});

test('a full disk is used, and what finds no room is said', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const first = await start(suite, homeDisk(file));
  await first.run('head -c 1000 /dev/zero > /root/small; dd if=/dev/zero of=/home/all bs=1M 2>/dev/null; sync');
  await first.machine.dispose();
  const { session } = await bootSession(suite, {
    disks: [homeDisk(file)],
    files: [{ path: '/root/put', content: new Uint8Array(MIB).fill(1) }],
  });
  const { before } = await session.waitFor(PROMPT);
  assert.match(before, /^sysinit: \/root\/put: No space left on device$/m);
  assert.equal(await session.run('ls /root; wc -c < /root/small'), 'small\n1000\n');
  await session.run('rm /home/all; echo again > /root/small; sync');
  assert.equal(await session.run('cat /root/small'), 'again\n');
});

test('powering off leaves nothing to replay, also where programs write', async (suite) => {
  const file = join(folder(suite), 'home.img');
  for (const command of ['poweroff', 'reboot', 'halt']) {
    const { machine, session } = await bootSession(suite, { disks: [homeDisk(file)] });
    await session.waitFor(PROMPT);
    await session.run(
      `(while :; do echo line; done) > /root/log & sleep 60 3> /home/open & echo ${command} > /root/last`,
    );
    await session.write(`${command}\r`);
    await machine.halted;
    assertClean(file);
    assert.equal(
      execFileSync('debugfs', ['-R', 'cat /root/last', file], { stdio: ['ignore', 'pipe', 'ignore'] }).toString(),
      `${command}\n`,
    );
  }
});

test('what was synced before the computer stopped the program is there', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const script =
    'i=0; while :; do i=$((i+1)); echo $i > /root/n.new; fsync /root/n.new; mv /root/n.new /root/n; sync; echo $i; done';
  let least = 0;
  for (let round = 0; round < 3; ++round) {
    const words = [cli, 'exec', '--disk', `${file}:size=1G:ext4:name=home`, '--', 'sh', '-c', script];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    for await (const bytes of child.stdout) {
      output += bytes;
      // In the middle of whatever it does.
      if (output.split('\n').length > 10 + 7 * round) child.kill('SIGKILL');
    }
    least = Number(output.split('\n').at(-2));
    const copy = `${file}.copy`;
    copyFileSync(file, copy);
    assertCleanAfterCrash(copy);
    const { machine, run, console } = await start(suite, homeDisk(file, '1G'));
    const found = Number(await run('cat /root/n'));
    assert(found === least || found === least + 1, `${found} after ${least} was acknowledged`);
    assert.match(await run('dmesg'), /EXT4-fs \(vda\): recovery complete/);
    assert.doesNotMatch(console(), /sysinit/);
    await machine.dispose();
  }
});

test('damage that is found later makes the file system read-only, and is said', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const first = await start(suite, homeDisk(file));
  await first.run('mkdir /root/damaged; touch /root/damaged/x; sync; mount -o remount,ro /root');
  await first.machine.dispose();
  const debugfs = (command) =>
    execFileSync('debugfs', ['-R', command, file], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  const block = Number(debugfs('blocks /root/damaged'));
  assert(block > 0);
  const descriptor = openSync(file, 'r+');
  const bytes = Buffer.alloc(4096);
  readSync(descriptor, bytes, 0, 4096, block * 4096);
  writeSync(descriptor, bytes.fill(0x55, 12, 4000), 0, 4096, block * 4096);
  closeSync(descriptor);

  const { session } = await bootSession(suite, { disks: [homeDisk(file)] });
  await session.waitFor(PROMPT);
  await session.run('ls /root/damaged');
  assert.match(await session.run('touch /root/y'), /I\/O error/);
  assert.match(session.transcript, /EXT4-fs error \(device vda\)/);
  assert.match(session.transcript, /EXT4-fs \(vda\): Remounting filesystem read-only/);

  const copy = `${file}.copy`;
  copyFileSync(file, copy);
  const second = await bootSession(suite, { disks: [homeDisk(copy)] });
  const { before } = await second.session.waitFor(PROMPT);
  assert.match(before, /^sysinit: disk home: its file system has errors \(e2fsck can repair its image\)$/m);
});
