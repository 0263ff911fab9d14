// SPDX-License-Identifier: MIT
// Disks in Node.js: images in files, and disks in memory.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, cli, runCli } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const MIB = 1 << 20;
const text = (bytes) => new TextDecoder().decode(bytes);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function folder(suite) {
  const path = mkdtempSync(join(tmpdir(), 'auklet-disks-'));
  suite.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A machine and a function that runs a line of shell, which must succeed, and returns its output. */
async function start(suite, disks) {
  const machine = await startMachine({ exec: true, disks });
  suite.after(() => machine.dispose());
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, `${line}: ${text(stderr)}`);
    return text(stdout);
  };
  return { machine, run };
}

test('a file system in a file outlives its machine', async (suite) => {
  const file = join(folder(suite), 'home.img');
  const disks = [{ name: 'home', file, size: '16M' }];
  const first = await start(suite, disks);
  assert.equal(statSync(file).size, 16 * MIB);
  await first.run(`mke2fs -L home /dev/vda >/dev/null 2>&1 && mount /dev/disk/by-id/virtio-home /mnt`);
  await first.run('echo kept > /mnt/file; head -c 3000000 /dev/urandom > /mnt/data; sha256sum /mnt/data > /mnt/sum');
  await first.run('sync');
  await first.machine.dispose();

  const second = await start(suite, disks);
  assert.equal(
    await second.run('mount /dev/vda /mnt && cat /mnt/file && sha256sum -c /mnt/sum'),
    'kept\n/mnt/data: OK\n',
  );
  // Without umount. poweroff -f syncs, and the host waits for the medium.
  await second.run('echo more >> /mnt/file');
  second.machine.exec(['poweroff', '-f']).catch(() => {});
  assert.equal(await second.machine.halted, 'poweroff');

  const third = await start(suite, [{ ...disks[0], readOnly: true, size: undefined }]);
  assert.equal(await third.run('mount -o ro /dev/vda /mnt && cat /mnt/file'), 'kept\nmore\n');
});

test('bytes are what they were, in both directions', async (suite) => {
  const path = folder(suite);
  const content = randomBytes(48 * MIB);
  writeFileSync(join(path, 'in.img'), content);
  const { machine, run } = await start(suite, [
    { name: 'in', file: join(path, 'in.img'), readOnly: true },
    { name: 'out', file: join(path, 'out.img'), size: 48 * MIB },
    { name: 'memory', memory: true, size: 48 * MIB },
  ]);
  assert.equal(
    await run('cd /dev/disk/by-id; for name in *; do echo $name $(readlink $name); done'),
    'virtio-in ../../vda\nvirtio-memory ../../vdc\nvirtio-out ../../vdb\n',
  );
  assert.equal(await run('cat /sys/block/vd?/ro'), '1\n0\n0\n');
  assert.equal((await run('sha256sum < /dev/vda')).slice(0, 64), sha256(content));
  await run('dd if=/dev/vda of=/dev/vdb bs=1M conv=fsync 2>/dev/null');
  assert.equal(sha256(readFileSync(join(path, 'out.img'))), sha256(content));
  await run('dd if=/dev/vda of=/dev/vdc bs=700k conv=fsync 2>/dev/null; echo 3 > /proc/sys/vm/drop_caches');
  assert.equal((await run('sha256sum < /dev/vdc')).slice(0, 64), sha256(content));
  // Pages that are not neighbours, and pieces that are no whole pages.
  await run('dd if=/dev/vdb of=/dev/vdc bs=512 skip=3 seek=8193 count=1000 conv=notrunc,fsync 2>/dev/null');
  await run('echo 3 > /proc/sys/vm/drop_caches');
  const expected = sha256(content.subarray(3 * 512, 1003 * 512));
  assert.equal(
    (await run('dd if=/dev/vdc bs=512 skip=8193 count=1000 2>/dev/null | sha256sum')).slice(0, 64),
    expected,
  );
  const { status } = await machine.exec(['sh', '-c', 'echo x > /dev/vda']);
  assert.notEqual(status, 0);
});

test('a disk in memory begins with what it was given, and gives room back', async (suite) => {
  const { run } = await start(suite, [
    { name: 'a', memory: new TextEncoder().encode('hello'.padEnd(512, '.')) },
    { name: 'b', memory: new TextEncoder().encode('longer'), size: '1M' },
  ]);
  assert.equal(
    await run('head -c 6 /dev/vda; head -c 7 /dev/vdb | tr "\\\\0" 0; cat /sys/block/vd?/size'),
    'hello.longer01\n2048\n',
  );
  assert.equal(await run('cat /sys/block/vdb/queue/discard_max_bytes'), '67108864\n');
  await run('blkdiscard /dev/vdb');
  assert.equal(await run('tr -d "\\\\0" < /dev/vdb | wc -c'), '0\n');
});

test('a driver that comes again while requests are on the way', async (suite) => {
  const { run } = await start(suite, [{ name: 'a', memory: true, size: '64M' }]);
  const driver = '/sys/bus/virtio/drivers/virtio_blk';
  await run(`cd ${driver}; device=$(ls -d virtio*); for i in 1 2 3 4 5; do
      dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null & dd if=/dev/zero of=/dev/vda bs=64k count=500 2>/dev/null &
      usleep 3000; echo $device > unbind; echo $device > bind; wait; done`);
  assert.equal(await run('echo again > /dev/vda; sync; head -c 5 /dev/vda'), 'again');
});

test('what the medium refuses is an error of the guest, and its owner hears of it', async (suite) => {
  const file = join(folder(suite), 'short.img');
  const { machine, run } = await start(suite, [{ name: 'short', file, size: '4M' }]);
  const warnings = [];
  machine.on('log', (level, message) => warnings.push(`${level}: ${message}`));
  truncateSync(file, MIB);
  const { status } = await machine.exec(['dd', 'if=/dev/vda', 'of=/dev/null', 'bs=64k', 'skip=32', 'count=1']);
  assert.notEqual(status, 0);
  assert.deepEqual(warnings, ['error: disk short: a read has failed: the file has become shorter']);
  assert.equal(await run('head -c 4 /dev/vda | tr "\\\\0" 0'), '0000');
});

test('a disk that cannot be opened ends the boot with its reason', async (suite) => {
  const path = folder(suite);
  const inside = (name) => join(path, name);
  writeFileSync(inside('odd'), 'x'.repeat(513));
  writeFileSync(inside('large'), 'x'.repeat(4096));
  execFileSync('mkfifo', [inside('pipe')]);
  for (const [options, reason] of [
    [{ file: inside('none') }, /there is no such file; give a size to make one$/],
    [{ file: inside('none'), size: 512, readOnly: true }, /there is no such file/],
    [{ file: path }, /it is no regular file$/],
    [{ file: inside('pipe') }, /it is no regular file$/],
    [{ file: inside('odd') }, /its size must be a multiple of 512 bytes, not 513$/],
    [{ file: inside('large'), size: 512 }, /it has 4096 bytes already, and a disk does not shrink$/],
    [
      { file: inside('large'), size: 8192, readOnly: true },
      /it has 4096 bytes, and does not grow where it is only read$/,
    ],
    [{ file: inside('none'), size: 2 ** 52 }, /EFBIG/],
    [{ file: inside('no/folder'), size: 512 }, /ENOENT/],
  ]) {
    const machine = await startMachine({ disks: [{ name: 'd', ...options }] });
    await assert.rejects(machine.started, (error) => {
      assert.equal(error.code, 'disk');
      assert.match(error.message, /^disk d \(/);
      assert.match(error.message, reason);
      return true;
    });
    await machine.dispose();
  }
  assert.equal(existsSync(inside('none')), false);
});

test('one image is one disk, and a new machine waits for what the last one still writes', async (suite) => {
  const file = join(folder(suite), 'image');
  const twice = await startMachine({
    disks: [
      { name: 'a', file, size: '64M' },
      { name: 'b', file: file.replace(/image$/, './image') },
    ],
  });
  await assert.rejects(twice.started, /disk b \(.*\): it is disk a, too, and one of them writes$/);
  await twice.dispose();

  const first = await start(suite, [{ name: 'a', file, size: '64M' }]);
  const written = first.machine.exec(['dd', 'if=/dev/urandom', 'of=/dev/vda', 'bs=1M']).catch(() => {});
  await first.run('while [ "$(cut -d" " -f7 /sys/block/vda/stat | tr -d " ")" = 0 ]; do sync; done');
  // The second one opens the file before the first one's host has ended.
  const gone = first.machine.dispose();
  // What the first one writes late would be found by this.
  const second = await start(suite, [{ name: 'a', file }]);
  await Promise.all([gone, written]);
  await second.run('dd if=/dev/zero of=/dev/vda bs=1M conv=fsync 2>/dev/null || true');
  assert.equal(await second.run('tr -d "\\0" < /dev/vda | wc -c'), '0\n');
  await second.machine.dispose();
  assert.equal(
    readFileSync(file).every((byte) => byte === 0),
    true,
  );
});

test('who writes to an image has it alone, until it is closed or its program is killed', async (suite) => {
  const place = folder(suite);
  const file = join(place, 'image');
  const holds = ['exec', '--disk', `${file}:size=4M`, '--', 'sh', '-c', 'echo here; exec sleep 1000'];
  const child = spawn(process.execPath, [cli, ...holds], { stdio: ['ignore', 'pipe', 'inherit'] });
  suite.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  symlinkSync(file, join(place, 'link'));
  const refused = /^auklet: disk link \(.*\): in use by another program, or by another machine of this one$/m;
  const second = await runCli(['exec', '--disk', join(place, 'link'), '--', 'true']);
  assert.deepEqual([second.status, refused.test(second.stderr)], [125, true], second.stderr);
  // Who only reads harms nobody.
  assert.equal((await runCli(['exec', '--disk', `${file}:ro`, '--', 'true'])).status, 0);
  child.kill('SIGKILL');
  await once(child, 'close');

  const { machine } = await start(suite, [{ name: 'a', file }]);
  const other = await startMachine({ disks: [{ name: 'b', file }] });
  await assert.rejects(other.started, { code: 'disk-in-use' });
  await other.dispose();
  // Who hears that a machine has ended may use its files.
  machine.exec(['poweroff', '-f']).catch(() => {});
  assert.equal(await machine.halted, 'poweroff');
  const next = await start(suite, [{ name: 'b', file }]);
  await next.machine.dispose();
  await start(suite, [{ name: 'c', file }]);
});

test('./auklet exec --disk', async (suite) => {
  const file = join(folder(suite), 'my disk.img');
  const write = await runCli(['exec', '--disk', `${file}:size=2M`, '--', 'sh', '-c', 'echo written > /dev/vda']);
  assert.deepEqual([write.status, write.stderr], [0, '']);
  assert.equal(readFileSync(file).subarray(0, 8).toString(), 'written\n');
  const read = await runCli(['exec', `--disk=${file}:ro:name=x`, '--', 'head', '-c', '7', '/dev/disk/by-id/virtio-x']);
  assert.deepEqual([read.status, read.stdout], [0, 'written']);
  const wrong = await runCli(['exec', '--disk', '/nowhere/x.img', '--', 'true']);
  assert.equal(wrong.status, 125);
  assert.match(wrong.stderr, /^auklet: disk x \(\/nowhere\/x\.img\): there is no such file; give a size to make one$/m);
});

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

test('the raw image of a disk, with holes, whoever hears of its progress', async (suite) => {
  const image = new Uint8Array(4 * MIB);
  for (const at of [0, 1.5 * MIB, 3 * MIB]) image.set(randomBytes(5000), at);
  const { machine } = await start(suite, [{ name: 'd', memory: image.slice(), size: '6M' }]);
  const whole = sha256(Buffer.concat([image, Buffer.alloc(2 * MIB)]));
  for (const options of [{}, { onProgress() {} }])
    assert.equal(sha256(await collect(machine.disk('d').export({ format: 'raw', ...options }))), whole);
});

test('a disk that grows while the guest boots', async (suite) => {
  const machine = await startMachine({
    exec: true,
    disks: [{ name: 'home', memory: true, size: '256M', format: 'ext4' }],
  });
  suite.after(() => machine.dispose());
  await machine.disk('home').grow('512M');
  const { stdout } = await machine.exec(['sh', '-c', 'df -m /home | tail -n 1']);
  assert(Number(text(stdout).split(/\s+/)[1]) > 400, text(stdout));
});

test('the files of a disk as a tar', async (suite) => {
  const { machine, run } = await start(suite, [
    { name: 'home', memory: true, size: '256M', format: 'ext4' },
    { name: 'other', memory: true, size: '256M', format: 'ext4' },
    { name: 'empty', memory: true, size: '1M' },
  ]);
  const list = async (name) =>
    execFileSync('tar', ['-tf', '-'], { input: await collect(machine.disk(name).export({ format: 'tar' })) })
      .toString()
      .trim()
      .split('\n')
      .sort();
  await run('mkdir /home/u1; echo mine > "/home/u1/a b"; echo r > /root/.r');
  const progress = [];
  const stream = machine.disk('home').export({ format: 'tar', onProgress: (...given) => progress.push(given) });
  const bytes = await collect(stream);
  assert.equal(execFileSync('tar', ['-xOf', '-', './home/u1/a b'], { input: bytes }).toString(), 'mine\n');
  assert.equal(progress.at(-1)[0], bytes.length);
  assert(progress.every(([done, total]) => done <= total));
  assert.deepEqual(await list('home'), ['./', './home/', './home/u1/', './home/u1/a b', './root/', './root/.r']);
  assert.deepEqual(await list('other'), ['./']);
  await run('mkdir /srv/other; mount -t ext4 -o ro /dev/disk/by-id/virtio-other /srv/other');
  assert.deepEqual(await list('other'), ['./']);
  await assert.rejects(list('empty'), {
    code: 'disk',
    message: /^the files of the disk empty cannot be read: there is no/,
  });
  // Cancelled in the middle, nothing of it is left.
  await run('dd if=/dev/zero of=/home/u1/z bs=1M count=20 2> /dev/null');
  const reader = machine.disk('home').export({ format: 'tar' }).getReader();
  await reader.read();
  await reader.cancel();
  assert.equal(await run('while pidof tar; do :; done > /dev/null; grep " /mnt " /proc/mounts || true'), '');
});

test('files that change while a tar is made of them', async (suite) => {
  const { machine, run } = await start(suite, [{ name: 'home', memory: true, size: '256M', format: 'ext4' }]);
  await run('mkdir /home/u1; cd /home/u1; for each in 1 2 3; do yes $each | head -c 16m > $each; done');
  // In the order in which the file system tells them.
  const names = (await run('find /home/u1 -type f')).match(/\d$/gm);
  const changes = [];
  const parts = [];
  let have = 0;
  const stream = machine.disk('home').export({ format: 'tar', onChanged: (...change) => changes.push(change) });
  // The guest reads little more than what was taken.
  const acts = [
    [4, `cd /home/u1; truncate -s 12M ${names[0]}; rm ${names[1]}`],
    [20, `echo more >> /home/u1/${names[2]}`],
  ];
  for await (const part of stream) {
    parts.push(part);
    have += part.length;
    if (have > acts[0]?.[0] * MIB) await run(acts.shift()[1]);
  }
  assert.deepEqual(changes, [
    [`home/u1/${names[0]}`, 'cut'],
    [`home/u1/${names[1]}`, 'gone'],
    [`home/u1/${names[2]}`, 'changed'],
  ]);
  const input = Buffer.concat(parts);
  const read = (name) => execFileSync('tar', ['-xOf', '-', `./home/u1/${name}`], { input, maxBuffer: 64 * MIB });
  const whole = (name) => Buffer.alloc(16 * MIB, `${name}\n`);
  const cut = whole(names[0]).fill(0, 12 * MIB);
  assert(read(names[0]).equals(cut), 'zeros in place of what was cut off');
  assert(read(names[2]).equals(whole(names[2])), 'as it was');
  assert.throws(() => read(names[1]), /Not found in archive/);
  // Who does not listen gets the same.
  const quiet = machine.disk('home').export({ format: 'tar' }).getReader();
  await quiet.read();
  await run('rm /home/u1/*');
  while (!(await quiet.read()).done);
});
