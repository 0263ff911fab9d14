// SPDX-License-Identifier: MIT
// Root file systems in chunks, from a folder and from a server, with changes in memory and on a disk.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder, imageOf, serve } from './images.mjs';
import { bootSession, build, runCli } from './machines.mjs';
import { PROMPT } from './session.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const text = (bytes) => new TextDecoder().decode(bytes);

async function start(suite, options) {
  const machine = await startMachine({ exec: true, ...options });
  suite.after(() => machine.dispose());
  const logs = [];
  machine.on('log', (level, message) => logs.push(`${level}: ${message}`));
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, `${line}: ${text(stderr)}`);
    return text(stdout);
  };
  return { machine, run, logs };
}

/** Nothing makes these smaller. */
const DATA = randomBytes(3 << 20);

test('a root from a folder: programs, changes in memory, the owner’s files', async (suite) => {
  const place = folder(suite);
  const image = imageOf(place, 'image', {
    'usr/bin/hello': '#!/bin/sh\necho hello from $(cat /etc/name)\n',
    'etc/name': 'the image\n',
    'etc/motd': 'another day\n',
    'root/.initial': 'initial\n',
    'srv/data': DATA,
  });
  const { run, logs } = await start(suite, {
    root: image,
    files: [
      { path: '/etc/name', content: 'the owner\n' },
      { path: '/tmp/put', content: 'put' },
      { path: '/opt/new/file', content: 'new' },
    ],
  });
  assert.equal(
    await run('hello; cat /etc/motd /root/.initial /tmp/put /opt/new/file'),
    'hello from the owner\nanother day\ninitial\nputnew',
  );
  assert.match(await run('grep " / " /proc/mounts'), /^overlay \/ overlay rw,/);
  assert.equal(
    await run('mount | grep -c squashfs || true; ls -A /.owner /lower /changes /new 2>/dev/null || true'),
    '0\n',
  );
  assert.equal(
    await run('cmp /srv/data /srv/data && md5sum < /srv/data | cut -c1-32'),
    `${execFileSync('md5sum', { input: DATA }).toString().slice(0, 32)}\n`,
  );
  await run(
    'echo changed > /etc/name; rm /etc/motd; mv /srv/data /srv/moved; mkdir /usr/made; cp /bin/busybox /usr/made/',
  );
  assert.equal(
    await run('hello; ls /etc/motd 2>&1; wc -c < /srv/moved; /usr/made/busybox echo runs'),
    'hello from changed\nls: /etc/motd: No such file or directory\n3145728\nruns\n',
  );
  // What systems have is there once.
  for (const path of ['/proc', '/sys', '/dev', '/tmp', '/run'])
    assert.equal(await run(`grep -c " ${path} " /proc/mounts`), '1\n', path);
  assert.deepEqual(logs, []);
});

test('changes on the disk home stay, also when the image is replaced', async (suite) => {
  const place = folder(suite);
  const disks = [{ name: 'home', file: join(place, 'home.img'), size: '1G', format: 'ext4' }];
  const old = imageOf(place, 'old', { 'etc/version': '1\n', 'etc/other': 'old\n', 'root/.initial': 'old\n' });
  const first = await start(suite, { root: old, disks });
  assert(Number(await first.run("df -k / | tail -n 1 | awk '{ print $2 }'")) > 900_000);
  await first.run('echo mine > /etc/other; echo x > /usr/installed; echo edited > /root/.initial; rm /etc/motd; sync');
  await first.machine.dispose();

  const replaced = imageOf(place, 'new', { 'etc/version': '2\n', 'etc/other': 'new\n', 'root/.initial': 'new\n' });
  const second = await start(suite, { root: replaced, disks });
  assert.equal(
    await second.run(
      'cat /etc/version /etc/other /usr/installed /root/.initial; ls /etc/motd 2>/dev/null || echo gone',
    ),
    '2\nmine\nx\nedited\ngone\n',
  );
  await second.run('sync');
  await second.machine.dispose();

  // /home and /root are the same without the root.
  const third = await start(suite, { disks });
  assert.equal(await third.run('cat /root/.initial; ls /usr/installed 2>/dev/null || echo none'), 'edited\nnone\n');
});

test('a root, the disk home and shared folders in one machine', async (suite) => {
  const place = folder(suite);
  const image = imageOf(place, 'image', {
    'usr/bin/hello': '#!/bin/sh\necho hello\n',
    'usr/share/mine/hidden': 'by the share\n',
  });
  const [from, mine] = ['from', 'mine'].map((name) => join(place, name));
  for (const path of [from, mine]) mkdirSync(path);
  writeFileSync(join(from, 'in'), 'from outside\n');
  const disks = [{ name: 'home', file: join(place, 'home.img'), size: '300M', format: 'ext4' }];
  const shares = [
    { name: 'from', folder: from },
    { name: 'mine', folder: mine, path: '/usr/share/mine' },
    { name: 'below', folder: mine, path: '/home/share1/deep', readOnly: true },
  ];
  const { machine, run, logs } = await start(suite, { root: image, disks, shares });
  assert.equal(
    await run(`hello; cat /mnt/from/in; hello > /mnt/from/out; cp /usr/bin/hello /usr/share/mine/; /usr/share/mine/hello
      ls /usr/share/mine /home/share1/deep; mount | sed -n 's/ on \\([^ ]*\\) type virtiofs.*/ \\1/p'; mount | grep -c " on / type overlay"`),
    [
      'hello\nfrom outside\nhello\n/home/share1/deep:\nhello\n\n/usr/share/mine:\nhello\n',
      'from /mnt/from\nmine /usr/share/mine\nbelow /home/share1/deep\n1\n',
    ].join(''),
  );
  assert.equal(readFileSync(join(from, 'out'), 'utf8'), 'hello\n');
  assert.equal(readFileSync(join(mine, 'hello'), 'utf8'), '#!/bin/sh\necho hello\n');
  await run('echo kept > /home/kept; echo kept > /usr/kept; sync');
  await machine.dispose();
  assert.deepEqual(logs, []);

  // The shares have left nothing behind but the folders that they were mounted at.
  const words = ['--root', image, '--disk', `${disks[0].file}`, '--share', `${from}:/srv/elsewhere`];
  const command = 'cat /home/kept /usr/kept /srv/elsewhere/out /usr/share/mine/hidden; ls /mnt/from /home/share1/deep';
  const { status, stdout, stderr } = await runCli(['exec', ...words, '--', 'sh', '-c', command]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout, 'kept\nkept\nhello\nby the share\n/home/share1/deep:\n\n/mnt/from:\n');
});

test('a root from a server: loaded when it is read, kept in a folder', async (suite) => {
  const place = folder(suite);
  const image = imageOf(place, 'image', { 'srv/data': DATA, 'srv/rest': randomBytes(24 << 20) });
  const { address, requests } = await serve(suite, image);
  const cache = join(place, 'cache');
  const first = await start(suite, { root: address, rootCache: cache });
  assert.equal(await first.run('wc -c < /srv/data'), '3145728\n');
  const { sha256 } = JSON.parse(readFileSync(join(image, 'root.json')));
  assert(requests.length < sha256.length / 2, `${requests.length} of ${sha256.length}`);
  await first.run('md5sum /srv/data');
  assert.equal(new Set(requests).size, requests.length, 'nothing is loaded twice');
  await first.machine.dispose();
  assert(readdirSync(cache).length >= requests.length - 2);

  const before = requests.length;
  const second = await start(suite, { root: `${address}/root.json`, rootCache: cache });
  await second.run('md5sum /srv/data');
  assert.deepEqual(
    requests.slice(before).filter((url) => url !== '/root.json'),
    [],
  );
});

test('a chunk that the server does not have is an error of the guest, and its owner hears of it', async (suite) => {
  const place = folder(suite);
  const image = imageOf(place, 'image', { 'srv/data': DATA });
  const gone = { value: false };
  const { address } = await serve(suite, image, (request, response) => {
    if (!gone.value || request.url === '/root.json') return false;
    response.writeHead(404).end('<html>');
    return true;
  });
  const { machine, run, logs } = await start(suite, { root: address });
  await run('md5sum /bin/busybox; true | cat');
  gone.value = true;
  const { status, stderr } = await machine.exec(['md5sum', '/srv/data']);
  assert.notEqual(status, 0);
  assert.match(text(stderr), /I\/O error/);
  assert.match(logs[0], /^error: disk root: a read has failed: http:.*\/chunks\/[0-9a-f]{64}: the server answers 404$/);
  gone.value = false;
  await run('md5sum /srv/data');
});

test('a root that cannot be loaded, and one that is none', async (suite) => {
  const place = folder(suite);
  const { address } = await serve(suite, place);
  for (const root of [join(place, 'none'), `${address}/none`]) {
    const machine = await startMachine({ root });
    await assert.rejects(machine.started, { code: 'disk', message: /^disk root: .*none\/root\.json/ });
    await machine.dispose();
  }
  writeFileSync(join(place, 'page.json'), '<!doctype html><title>Not here');
  const wrong = await startMachine({ root: `${address}/page.json` });
  await assert.rejects(wrong.started, { code: 'disk', message: /the manifest of the image is wrong: it is no JSON/ });
  await wrong.dispose();

  writeFileSync(
    join(place, 'zero.json'),
    JSON.stringify({ version: 1, size: 8192, chunkSize: 4096, sha256: [null, null] }),
  );
  const { session } = await bootSession(suite, {
    root: join(place, 'zero.json'),
    files: [{ path: '/tmp/x', content: 'put' }],
  });
  const { before } = await session.waitFor(PROMPT);
  assert.match(before, /^sysinit: disk root: it cannot be the root file system: Invalid argument$/m);
  assert.equal(await session.run('cat /tmp/x; grep " / " /proc/mounts | cut -d" " -f1'), 'putrootfs\n');
});

test('./auklet exec --root, and a machine that powers off', async (suite) => {
  const place = folder(suite);
  const image = imageOf(place, 'image', { 'usr/bin/hello': '#!/bin/sh\necho hello\n' });
  const { status, stdout, stderr } = await runCli([
    'exec',
    '--root',
    image,
    '--put',
    `${image}/root.json:/srv/`,
    '--',
    'sh',
    '-c',
    'hello; ls /srv',
  ]);
  assert.deepEqual([status, stdout, stderr], [0, 'hello\nroot.json\n', '']);
  const wrong = await runCli(['exec', '--root-cache', place, '--', 'true']);
  assert.match(wrong.stderr, /--root-cache needs --root/);
  const file = join(place, 'home.img');
  const { machine, session } = await bootSession(suite, {
    root: image,
    disks: [{ name: 'home', file, size: '300M', format: 'ext4' }],
  });
  await session.waitFor(PROMPT);
  assert.equal(await session.run('hello'), 'hello\n');
  await session.run('sleep 100 > /usr/written &');
  await session.write('poweroff\r');
  assert.equal(await machine.halted, 'poweroff');
  const features = execFileSync('dumpe2fs', ['-h', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  assert.doesNotMatch(features, /needs_recovery/);
});
