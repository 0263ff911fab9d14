// SPDX-License-Identifier: MIT
// The debug kernel with all that keeps files: the disk home, a shared folder, a root over both, mappings that processes share,
// and memory that ends. What lockdep, RCU and the checks of sleeping find is printed on the console, and fails the test.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkExt4 } from '../boot/ext4.mjs';
import { bootSession, build, root } from '../boot/machines.mjs';
import { PROMPT } from '../boot/session.mjs';

const program = (folder, name) => ({
  path: `/bin/${name}`,
  mode: 0o755,
  content: readFileSync(join(build, 'tests', folder, name)),
});

test('disk, shared folder, root, shared mappings and memory pressure', async (suite) => {
  const place = mkdtempSync(join(tmpdir(), 'auklet-debug-'));
  suite.after(() => rmSync(place, { recursive: true }));
  const [tree, image, share] = ['tree', 'image', 'share'].map((name) => join(place, name));
  for (const path of [tree, share]) mkdirSync(path);
  writeFileSync(join(tree, 'data'), Buffer.alloc(2 << 20, 'of the image '));
  execFileSync(join(root, 'tools/image/image'), [
    ...[tree, '-o', image],
    ...['--base', join(build, 'initramfs/initramfs.cpio.gz')],
  ]);
  const file = join(place, 'home.img');
  const { machine, session } = await bootSession(suite, {
    memory: 192,
    root: image,
    disks: [{ name: 'home', file, size: '512M', format: 'ext4' }],
    shares: [{ name: 'share', folder: share }],
    files: [
      ...['sqlite-writers', 'lmdb-writers'].map((name) => program('databases', name)),
      ...['shared-disk', 'pressure', 'direct', 'fuse'].map((name) => program('programs', name)),
    ],
  });
  await session.waitFor(PROMPT);
  const writers = async (base, database, words) => {
    const output = await session.run(
      `mkdir ${base}; ${database}-writers ${base} ${words}; echo status $?; rm -r ${base}`,
    );
    assert.match(output, /^no update is lost$/m, `${database} in ${base} ${words}`);
    assert.match(output, /^status 0$/m);
  };
  for (const database of ['sqlite', 'lmdb']) {
    for (const base of ['/root/base', '/tmp/base', '/srv/base']) await writers(base, database, '4 40');
    await writers('/tmp/base', database, '3 250 1 kill');
  }
  for (const base of ['/root', '/srv'])
    assert.match(await session.run(`shared-disk ${base}; echo status $?`), /^shared-disk done\n(.*\n)*status 0$/m);
  assert.match(await session.run('direct /root/odd /srv/odd /tmp/odd'), /^direct done$/m);
  await session.run(
    'fuse > /dev/null; cp -r /etc /data /mnt/share; tar c /mnt/share | tar x -C /root; rm -r /mnt/share/*',
  );
  // Files of the image are changed, moved and removed.
  await session.run('echo x >> /data; mv /data /moved; rm -r /usr/share/*; mkdir /usr/share/new; sync');
  await session.run('dd if=/dev/zero of=/tmp/filling bs=1M count=110');
  assert.match(
    await session.run('pressure map /root/mapped "dd if=/dev/zero of=/root/big bs=1M count=200; sync"'),
    /^pressure done$/m,
  );
  assert.match(await session.run('pressure hog > /dev/null 2>&1; echo hog $?'), /^hog 137$/m);
  await session.write('poweroff\r');
  assert.equal(await machine.halted, 'poweroff');
  checkExt4(file);
});
