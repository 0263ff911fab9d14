// SPDX-License-Identifier: MIT
// Shared folders in Node.js: what the guest writes is there, and the other way round.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, runCli } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const text = (bytes) => new TextDecoder().decode(bytes);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function folder(suite) {
  const path = files.mkdtempSync(join(tmpdir(), 'auklet-shares-'));
  suite.after(() => files.rmSync(path, { recursive: true }));
  return path;
}

/** A machine and a function that runs a line of shell, which must succeed, and returns its output. */
async function start(suite, options) {
  const machine = await startMachine({ exec: true, ...options });
  suite.after(() => machine.dispose());
  machine.on('error', (error) => console.error(error));
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, `${line}: ${text(stderr)}`);
    return text(stdout);
  };
  const fails = async (line, reason) => {
    const { status, stderr } = await machine.exec(['sh', '-c', line]);
    assert.notEqual(status, 0, line);
    assert.match(text(stderr), reason);
  };
  return { machine, run, fails };
}

test('both sides see at once what the other one writes', async (suite) => {
  const path = folder(suite);
  const inside = (name) => join(path, name);
  const { run } = await start(suite, { shares: [{ name: 'work', folder: path, path: '/home/my work/x' }] });
  const place = '"/home/my work/x"';
  assert.match(await run('mount'), /^work on \/home\/my work\/x type virtiofs \(rw,nosuid,nodev,/m);
  // Write-through: nothing was synced.
  await run(`echo one > ${place}/a && echo two >> ${place}/a && mkdir ${place}/d && ln -s ../a ${place}/d/l`);
  assert.equal(files.readFileSync(inside('a'), 'utf8'), 'one\ntwo\n');
  assert.equal(files.readlinkSync(inside('d/l')), '../a');
  assert.equal(await run(`cat ${place}/d/l`), 'one\ntwo\n');
  for (let round = 0; round < 10; ++round) {
    // The same length, and another content.
    files.writeFileSync(inside('a'), `round ${round}\n`);
    assert.equal(await run(`cat ${place}/a`), `round ${round}\n`);
  }
  const data = randomBytes(5_000_001);
  files.writeFileSync(inside('data'), data);
  assert.match(await run(`sha256sum < ${place}/data`), new RegExp(sha256(data)));
  await run(`cp ${place}/data ${place}/copy && truncate -s 4999999 ${place}/copy && chmod 750 ${place}/copy`);
  assert.equal(sha256(files.readFileSync(inside('copy'))), sha256(data.subarray(0, 4_999_999)));
  assert.equal(files.statSync(inside('copy')).mode & 0o7777, 0o750);
  files.renameSync(inside('copy'), inside('d/moved'));
  assert.equal(
    await run(`ls ${place} ${place}/d && stat -c %s ${place}/d/moved`),
    `/home/my work/x:
a
d
data

/home/my work/x/d:
l
moved
4999999
`,
  );
  // A file that is open is read and written although its name has gone.
  assert.equal(await run(`cd ${place}; exec 3<>a; rm a; echo new >&3; stat -L -c %h:%s /proc/self/fd/3`), '0:8\n');
  assert.equal(await run(`touch -d '2001-02-03 04:05:06' ${place}/d && stat -c %Y ${place}/d`), '981173106\n');
  assert.equal(files.statSync(inside('d')).mtimeMs, 981173106000);
  await run(`rm -r ${place}/d ${place}/data`);
  assert.deepEqual(files.readdirSync(path), []);
});

test('a share is no more than its folder, and one that is read-only stays as it is', async (suite) => {
  const path = folder(suite);
  files.mkdirSync(join(path, 'share'));
  files.writeFileSync(join(path, 'secret'), 'secret');
  files.writeFileSync(join(path, 'share/file'), 'file');
  files.symlinkSync('../secret', join(path, 'share/link'));
  const { run, fails } = await start(suite, {
    shares: [
      { name: 'rw', folder: join(path, 'share') },
      { name: 'ro', folder: join(path, 'share'), readOnly: true },
    ],
  });
  // The guest follows a link by itself, in its own tree.
  await fails('cat /mnt/rw/link', /No such file/);
  await run('echo mine > /mnt/secret; test "$(cat /mnt/rw/link)" = mine');
  for (const line of [
    'mknod /mnt/rw/null c 1 3',
    'mkfifo /mnt/rw/pipe',
    'chown 5 /mnt/rw/file',
    'chmod u+s /mnt/rw/file',
  ])
    await fails(line, /Operation not permitted/);
  for (const line of ['echo x > /mnt/ro/file', 'echo x > /mnt/ro/new', 'rm /mnt/ro/file', 'touch /mnt/ro/file'])
    await fails(line, /Read-only file system/);
  // The device itself refuses it, too.
  await run('mount -o remount,rw /mnt/ro');
  for (const line of [
    'echo x > /mnt/ro/file',
    'mkdir /mnt/ro/new',
    'mv /mnt/ro/file /mnt/ro/x',
    'ln /mnt/ro/file /mnt/ro/x',
  ])
    await fails(line, /Read-only file system/);
  assert.equal(await run('cat /mnt/ro/file'), 'file');
  assert.equal(files.readFileSync(join(path, 'secret'), 'utf8'), 'secret');
});

test('a share is mounted again, and programs run from it', async (suite) => {
  const path = folder(suite);
  const { run } = await start(suite, {
    shares: [
      { name: 'm', memory: '64M', path: '/srv/m' },
      { name: 'f', folder: path },
    ],
  });
  for (const place of ['/srv/m', '/mnt/f']) {
    assert.equal(await run(`cp /bin/busybox ${place}/echo && ${place}/echo runs`), 'runs\n');
    // Shared by processes: Linux maps a file of a share as a copy in each, but what one has is read.
    await run(
      `cd ${place} && for i in $(seq 200); do echo $i > f$i; done && test "$(cat f* | sort -n | tail -1)" = 200`,
    );
    await run(`cd ${place} && find . -name 'f*' -exec rm {} + && ls`);
  }
  await run('umount /mnt/f && mount -t virtiofs f /tmp && /tmp/echo again && umount /tmp');
  assert.match(await run('df /srv/m | tail -1'), /^m +65536 /);
});

test('four programs at a time', async (suite) => {
  const path = folder(suite);
  const { run } = await start(suite, { shares: [{ name: 'f', folder: path }] });
  const line = (
    name,
  ) => `cd /mnt/f; for i in 1 2 3 4 5 6 7 8; do mkdir ${name}; dd if=/dev/urandom of=${name}/x bs=100k count=3 2>/dev/null
    (cd ${name} && sha256sum x > sum); mv ${name} ${name}2; (cd ${name}2 && sha256sum -c sum >/dev/null) || exit 1; rm -r ${name}2; done`;
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => run(line(name))));
  assert.deepEqual(files.readdirSync(path), []);
});

test('machine.fs before, during and after the boot', async (suite) => {
  const path = folder(suite);
  const machine = await startMachine({
    exec: true,
    shares: [
      { name: 'm', memory: true },
      { name: 'f', folder: path, path: '/mnt/m/f' },
    ],
  });
  suite.after(() => machine.dispose());
  const { fs } = machine;
  // The kernel has not even been compiled.
  await fs.mkdir('/mnt/m/a/b', { recursive: true });
  await fs.writeFile('/mnt/m/a/b/early', 'early\n', { mode: 0o755 });
  await assert.rejects(fs.mkdir('/mnt/m/f'), (error) => error.code === 'EEXIST');
  await fs.writeFile('/mnt/m/f/in-folder', 'in folder\n');
  assert.equal(files.readFileSync(join(path, 'in-folder'), 'utf8'), 'in folder\n');
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, text(stderr));
    return text(stdout);
  };
  assert.equal(
    await run('cat /mnt/m/a/b/early /mnt/m/f/in-folder; stat -c %a /mnt/m/a/b/early'),
    'early\nin folder\n755\n',
  );
  const seen = [];
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const stop = await fs.watch('/mnt/m/a', (name) => {
    seen.push(name);
    if (name === 'made') tell();
  });
  await run('echo guest > /mnt/m/a/made; ln -s ../a/made /mnt/m/a/link');
  await told;
  stop();
  // When the guest's write has returned.
  assert.equal(text(await fs.readFile('/mnt/m/a/link')), 'guest\n');
  for (let round = 0; round < 10; ++round) {
    await fs.writeFile('/mnt/m/a/made', `round ${round}\n`);
    assert.equal(await run('cat /mnt/m/a/made'), `round ${round}\n`);
  }
  const data = randomBytes(3_500_000);
  await fs.writeFile(
    '/mnt/m/large',
    (async function* () {
      for (let at = 0; at < data.length; at += 700_000) yield data.subarray(at, at + 700_000);
    })(),
  );
  assert.match(await run('sha256sum < /mnt/m/large'), new RegExp(sha256(data)));
  assert.equal(sha256(await fs.readFile('/mnt/m/large')), sha256(data));
  assert.deepEqual((await fs.readdir('/mnt/m/a')).map(({ name, type }) => `${name} ${type}`).sort(), [
    'b folder',
    'link link',
    'made file',
  ]);
  const status = await fs.stat('/mnt/m/../m/./a/link');
  assert.deepEqual([status.type, status.size, status.mode], ['file', 8, 0o644]);
  assert.ok(Math.abs(Date.now() - status.modified) < 600_000);
  await fs.rename('/mnt/m/a/made', '/mnt/m/renamed');
  await run('test -f /mnt/m/renamed && ! test -e /mnt/m/a/made');
  const rejects = (promise, code, place) =>
    assert.rejects(promise, (error) => error.code === code && error.path === place && error.name === 'FileError');
  await rejects(fs.readFile('/mnt/m/none'), 'ENOENT', '/mnt/m/none');
  await rejects(fs.readFile('/mnt/m/a'), 'EISDIR', '/mnt/m/a');
  await rejects(fs.mkdir('/mnt/m/a'), 'EEXIST', '/mnt/m/a');
  await rejects(fs.rm('/mnt/m/a'), 'EISDIR', '/mnt/m/a');
  await rejects(fs.stat('/mnt/m/renamed/x'), 'ENOTDIR', '/mnt/m/renamed/x');
  await rejects(fs.rename('/mnt/m/a', '/mnt/m/f/a'), 'EXDEV', '/mnt/m/f/a');
  await run(
    'ln -s /etc/passwd /mnt/m/out; ln -s ../../.. /mnt/m/up; ln -s /mnt/m/renamed /mnt/m/in; ln -s self /mnt/m/self',
  );
  await rejects(fs.readFile('/mnt/m/out'), 'EXDEV', '/mnt/m/out');
  await rejects(fs.readdir('/mnt/m/up'), 'EXDEV', '/mnt/m/up');
  await rejects(fs.readFile('/mnt/m/self'), 'ELOOP', '/mnt/m/self');
  assert.equal(text(await fs.readFile('/mnt/m/in')), 'round 9\n');
  await fs.rm('/mnt/m/a', { recursive: true });
  await fs.rm('/mnt/m/a', { recursive: true, force: true });
  await run('! test -e /mnt/m/a; echo last > /mnt/m/last');
  const ended = machine.exec(['poweroff', '-f']).catch(() => {});
  assert.equal(await machine.halted, 'poweroff');
  await ended;
  assert.equal(text(await fs.readFile('/mnt/m/last')), 'last\n');
  await machine.dispose();
  await assert.rejects(fs.readFile('/mnt/m/last'), (error) => error.code === 'disposed');
});

test('a share that cannot be opened ends the boot with its reason', async (suite) => {
  const path = folder(suite);
  files.writeFileSync(join(path, 'file'), '');
  for (const [name, reason] of [
    ['none', /ENOENT/],
    ['file', /it is no folder$/],
  ]) {
    const machine = await startMachine({ shares: [{ name: 's', folder: join(path, name) }] });
    await assert.rejects(machine.started, (error) => error.code === 'share' && reason.test(error.message));
    await machine.dispose();
  }
});

test('./auklet exec --share', async (suite) => {
  const path = join(folder(suite), 'my files');
  files.mkdirSync(path);
  const write = await runCli(['exec', '--share', path, '--', 'sh', '-c', 'echo written > /mnt/my-files/x']);
  assert.deepEqual([write.status, write.stderr], [0, '']);
  assert.equal(files.readFileSync(join(path, 'x'), 'utf8'), 'written\n');
  const read = await runCli(['exec', `--share=${path}:/a/b:ro`, '--', 'sh', '-c', 'cat /a/b/x; rm /a/b/x']);
  assert.deepEqual([read.status, read.stdout], [1, 'written\n']);
  const wrong = await runCli(['exec', '--share', '/nowhere', '--', 'true']);
  assert.equal(wrong.status, 125);
  assert.match(wrong.stderr, /^auklet: share nowhere \(\/nowhere\): ENOENT/m);
});
