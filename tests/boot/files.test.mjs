// SPDX-License-Identifier: MIT
// machine.fs at any path of the guest, by its agent (docs/exec.md, "Files").

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build } from './machines.mjs';
import { PROMPT } from './session.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const text = (bytes) => new TextDecoder().decode(bytes);
const rejects = (promise, code, path) =>
  assert.rejects(promise, (error) => {
    assert.deepEqual([error.name, error.code, error.path], ['FileError', code, path]);
    return true;
  });

/** A machine, and a function that runs a line of shell, which must succeed, and returns its output. */
async function start(suite, options) {
  const machine = await startMachine({ exec: true, ...options });
  suite.after(() => machine.dispose());
  machine.on('error', (error) => console.error(error));
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, `${line}: ${text(stderr)}`);
    return text(stdout);
  };
  return { machine, fs: machine.fs, run };
}

/** Shell: the process numbers of file servers, and how many files they have open. */
const SERVERS = 'servers() { grep -l files $(pidof exec-agent | sed "s,[0-9]*,/proc/&/cmdline,g") | cut -d/ -f3; }';
const OPEN_FILES = `${SERVERS}; open_files() {
  sum=0; for each in $(servers); do
    count=$(ls /proc/$each/fd | wc -l); if [ $count -gt 3 ]; then sum=$((sum + count - 3)); fi
  done; echo $sum; }`;

/** Pieces that differ, and their sum. */
function stream(count, size, hash) {
  return (async function* () {
    for (let number = 0; number < count; ++number) {
      const piece = new Uint8Array(size).fill(number * 7 + 1);
      hash.update(piece);
      yield piece;
    }
  })();
}

test('round trips, streams, errors and many at once', async (suite) => {
  // What is asked for before the guest has booted waits for the agent.
  const { machine, fs, run } = await start(suite, { shares: [{ name: 'm', memory: true }] });
  const early = fs.writeFile('/root/early', 'early\n');
  await fs.writeFile('/mnt/m/share', 'share\n');
  await early;
  assert.equal(await run('cat /root/early /mnt/m/share; stat -c %a /root/early'), 'early\nshare\n644\n');

  await suite.test('files of 0 bytes, of 1 byte, of more', async () => {
    for (const size of [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000]) {
      const bytes = new Uint8Array(size).map((_, index) => index * 31 + (index >> 8));
      const hash = createHash('sha256').update(bytes).digest('hex');
      await fs.writeFile('/tmp/file', bytes);
      assert.equal(await run('sha256sum < /tmp/file'), `${hash}  -\n`);
      assert.ok(Buffer.from(bytes).equals(await fs.readFile('/tmp/file')), `${size} bytes`);
      assert.equal((await fs.stat('/tmp/file')).size, size);
    }
    await fs.writeFile('/tmp/text', 'grün\n', { mode: 0o750 });
    assert.equal(await run('cat /tmp/text; stat -c %a /tmp/text'), 'grün\n750\n');
    // New content, and all else stays: mode, names, the file that a link leads to.
    await run('ln /tmp/text /tmp/name; ln -s text /tmp/link');
    await fs.writeFile('/tmp/link', 'new\n', { mode: 0o600 });
    assert.equal(await run('cat /tmp/name; stat -c %a:%h /tmp/name'), 'new\n750:2\n');
    const status = await fs.stat('/tmp/link');
    assert.deepEqual([status.type, status.size, status.mode, status.links, status.user], ['file', 4, 0o750, 2, 0]);
    assert.ok(Math.abs(Date.now() - status.modified) < 600_000);
    // What the kernel makes has no size.
    assert.match(text(await fs.readFile('/proc/version')), /^Linux version 6\.12/);
    await fs.writeFile('/proc/sys/kernel/hostname', 'renamed\n');
    assert.equal(await run('hostname'), 'renamed\n');
  });

  await suite.test('64 MiB as a stream, both ways', async () => {
    const written = createHash('sha256');
    await fs.writeFile('/tmp/large', stream(64, 1 << 20, written));
    const sum = written.digest('hex');
    assert.equal(await run('sha256sum < /tmp/large'), `${sum}  -\n`);
    const read = createHash('sha256');
    for await (const piece of fs.read('/tmp/large')) read.update(piece);
    assert.equal(read.digest('hex'), sum);
    // A reader that stops closes the file.
    for await (const piece of fs.read('/tmp/large')) {
      assert.equal(piece.length, 1 << 20);
      assert.equal(await run(`${OPEN_FILES}; open_files`), '1\n');
      break;
    }
    await fs.rm('/tmp/large');
    const unplugged = (async function* () {
      yield new Uint8Array(100);
      throw new Error('unplugged');
    })();
    await assert.rejects(fs.writeFile('/tmp/half', unplugged), /unplugged/);
    assert.equal((await fs.stat('/tmp/half')).size, 100);
    assert.equal(await run(`${OPEN_FILES}; open_files`), '0\n');
  });

  await suite.test('folders', async () => {
    await fs.mkdir('/tmp/a/b/c', { recursive: true, mode: 0o711 });
    await fs.mkdir('/tmp/a/b/c', { recursive: true });
    await fs.mkdir('/tmp/a/d');
    assert.equal(await run('stat -c %a /tmp/a /tmp/a/b/c /tmp/a/d'), '711\n711\n755\n');
    await run('cd /tmp/a; echo x > file; ln -s ../file link; mkfifo pipe; mknod null c 1 3');
    assert.deepEqual((await fs.readdir('/tmp/a')).map(({ name, type }) => `${name} ${type}`).sort(), [
      'b folder',
      'd folder',
      'file file',
      'link link',
      'null other',
      'pipe other',
    ]);
    await fs.rename('/tmp/a/file', '/tmp/a/d/moved');
    assert.equal(text(await fs.readFile('/tmp/a/d/moved')), 'x\n');
    // More names than there are in one piece of a listing.
    await run('mkdir /tmp/many; cd /tmp/many; for i in $(seq 3000); do : > file-with-a-long-name-$i; done');
    assert.equal(new Set((await fs.readdir('/tmp/many')).map(({ name }) => name)).size, 3000);
  });

  await suite.test('removing follows no link', async () => {
    await run('mkdir -p /tmp/keep/x /tmp/a/b/deep; echo kept > /tmp/keep/x/file; ln -s /tmp/keep /tmp/a/b/deep/out');
    await run('cd /tmp/a; for i in $(seq 300); do mkdir d; cd d; : > file; done; ln -s . self');
    await fs.rm('/tmp/a', { recursive: true });
    await fs.rm('/tmp/many', { recursive: true });
    assert.equal(await run('ls /tmp/keep/x; test ! -e /tmp/a && test ! -e /tmp/many && echo gone'), 'file\ngone\n');
    await run('ln -s keep /tmp/link-to-folder');
    await fs.rm('/tmp/link-to-folder', { recursive: true });
    assert.equal(text(await fs.readFile('/tmp/keep/x/file')), 'kept\n');
    await fs.rm('/tmp/none', { recursive: true, force: true });
    await rejects(fs.rm('/', { recursive: true, force: true }), 'EBUSY', '/');
    await rejects(fs.rm('/proc/sys/vm', { recursive: true }), 'EACCES', '/proc/sys/vm');
  });

  await suite.test('names that are not UTF-8', async () => {
    await run(`mkdir /tmp/names; cd /tmp/names; echo strange > "$(printf 'a\\377\\303')"; echo x > ünï`);
    const names = (await fs.readdir('/tmp/names')).map(({ name }) => name).sort();
    assert.deepEqual(names, ['a\udcff\udcc3', 'ünï']);
    assert.equal(text(await fs.readFile(`/tmp/names/${names[0]}`)), 'strange\n');
    await fs.writeFile('/tmp/names/\udcfe', 'made');
    assert.equal(await run(`cat "/tmp/names/$(printf '\\376')"`), 'made');
    await rejects(fs.readFile('/tmp/names/\ud800'), 'EILSEQ', '/tmp/names/\ud800');
    await fs.rm('/tmp/names', { recursive: true });
  });

  await suite.test('errors', async () => {
    await run(`mkdir -p /tmp/e/full /tmp/e/ro /tmp/e/folder/x; cd /tmp/e; echo f > file; ln -s loop loop; mkfifo pipe
      mount -t tmpfs -o size=1m full full; mount -t tmpfs ro ro; echo r > ro/r; mount -o remount,ro ro`);
    await rejects(fs.readFile('/tmp/e/none'), 'ENOENT', '/tmp/e/none');
    await rejects(fs.readFile('/tmp/e/folder'), 'EISDIR', '/tmp/e/folder');
    await rejects(fs.writeFile('/tmp/e/folder', 'x'), 'EISDIR', '/tmp/e/folder');
    await rejects(fs.stat('/tmp/e/file/x'), 'ENOTDIR', '/tmp/e/file/x');
    await rejects(fs.readdir('/tmp/e/file'), 'ENOTDIR', '/tmp/e/file');
    await rejects(fs.mkdir('/tmp/e/file/x', { recursive: true }), 'ENOTDIR', '/tmp/e/file/x');
    await rejects(fs.mkdir('/tmp/e/folder'), 'EEXIST', '/tmp/e/folder');
    await rejects(fs.rm('/tmp/e/folder'), 'EISDIR', '/tmp/e/folder');
    await run('mkdir /tmp/e/other');
    await rejects(fs.rename('/tmp/e/other', '/tmp/e/folder'), 'ENOTEMPTY', '/tmp/e/other');
    await rejects(fs.rename('/tmp/e/file', '/tmp/e/full/file'), 'EXDEV', '/tmp/e/file');
    await rejects(fs.rename('/tmp/e/file', '/mnt/m/file'), 'EXDEV', '/mnt/m/file');
    await rejects(fs.rename('/mnt/m/share', '/tmp/e/share'), 'EXDEV', '/tmp/e/share');
    await rejects(fs.stat('/tmp/e/loop'), 'ELOOP', '/tmp/e/loop');
    await rejects(fs.writeFile('/tmp/e/ro/r', 'x'), 'EROFS', '/tmp/e/ro/r');
    await rejects(fs.mkdir('/tmp/e/ro/x'), 'EROFS', '/tmp/e/ro/x');
    await rejects(fs.rm('/tmp/e/ro/r'), 'EROFS', '/tmp/e/ro/r');
    await rejects(fs.writeFile('/tmp/e/full/x', new Uint8Array(2 << 20)), 'ENOSPC', '/tmp/e/full/x');
    // Nobody waits for the other end of a pipe, and a device is not touched.
    for (const path of ['/tmp/e/pipe', '/dev/zero', '/dev/hvc0']) {
      await rejects(fs.readFile(path), 'EACCES', path);
      await rejects(fs.writeFile(path, 'x'), 'EACCES', path);
    }
    const long = `/tmp/${'x'.repeat(256)}`;
    await rejects(fs.writeFile(long, 'x'), 'ENAMETOOLONG', long);
    await rejects(
      fs.watch('/tmp/e/none', () => {}),
      'ENOENT',
      '/tmp/e/none',
    );
    assert.equal(await run('cat /tmp/e/file /tmp/e/ro/r'), 'f\nr\n');
    await run('umount /tmp/e/full /tmp/e/ro');
    await fs.rm('/tmp/e', { recursive: true });
  });

  await suite.test('100 requests at once, and 100 streams', async () => {
    const paths = Array.from({ length: 100 }, (_, number) => `/tmp/at-once-${number}`);
    await Promise.all(paths.map((path, number) => fs.writeFile(path, `${number}\n`.repeat(number * 100))));
    assert.equal(await run('cat /tmp/at-once-* | wc -l'), `${(99 * 100 * 100) / 2}\n`);
    const read = await Promise.all(paths.map((path) => fs.readFile(path)));
    read.forEach((bytes, number) => assert.equal(text(bytes), `${number}\n`.repeat(number * 100)));
    const streams = paths.map((path) => fs.read(path));
    for (const each of streams) await each.next();
    await Promise.all(streams.map((each) => each.return()));
    await Promise.all(paths.map((path) => fs.rm(path)));
    assert.ok((await fs.readdir('/tmp')).every(({ name }) => !name.startsWith('at-once')));
  });

  await suite.test('changes', async () => {
    await run('mkdir /tmp/watched; echo x > /tmp/watched/file');
    const seen = new Set();
    const wanted = new Map();
    const changed = (name) => {
      seen.add(name);
      wanted.get(name)?.();
    };
    /** The name is told after this. */
    const told = (name) => new Promise((resolve) => wanted.set(name, resolve));
    const stop = await fs.watch('/tmp/watched', changed);
    for (const [name, change] of [
      ['made', () => run('echo x > /tmp/watched/made')],
      ['owners', () => fs.writeFile('/tmp/watched/owners', 'x')],
      ['file', () => run('echo y >> /tmp/watched/file')],
      ['renamed', () => fs.rename('/tmp/watched/made', '/tmp/watched/renamed')],
      ['owners', () => run('rm /tmp/watched/owners')],
      ['a\udcff', () => run(`: > "/tmp/watched/$(printf 'a\\377')"`)],
    ])
      await Promise.all([told(name), change()]);
    const stopFile = await fs.watch('/tmp/watched/file', changed);
    await Promise.all([told(undefined), run('echo z >> /tmp/watched/file')]);
    assert.equal(await run(`${OPEN_FILES}; open_files`), '2\n');
    stop();
    stopFile();
    seen.clear();
    await run(': > /tmp/watched/unseen');
    await run(`${OPEN_FILES}; until [ $(open_files) = 0 ]; do :; done`);
    assert.deepEqual([...seen], []);
  });

  await suite.test('an owner that lies', async () => {
    const words = (...values) => Buffer.from(Uint32Array.from(values).buffer);
    const speak = async (bytes) => {
      const socket = await machine.connect(1);
      const writer = socket.writable.getWriter();
      await writer.write(new Uint8Array(bytes));
      await writer.close().catch(() => {});
      const pieces = [];
      for await (const piece of socket.readable) pieces.push(piece);
      const all = Buffer.concat(pieces);
      return Array.from({ length: all.length / 4 }, (_, index) => all.readUInt32LE(index * 4));
    };
    const request = (operation, content = '', handle = 0, flags = 0, argument = 0) =>
      Buffer.concat([words(operation, Buffer.byteLength(content), handle, flags, argument), Buffer.from(content)]);
    const errorsOf = async (...requests) => {
      const answers = await speak(Buffer.concat([words(0xffffffff), ...requests]));
      return answers.filter((_, index) => index % 3 === 1);
    };
    const EBADF = 9;
    const EINVAL = 22;
    const ENAMETOOLONG = 36;
    const ENOSYS = 38;
    assert.deepEqual(
      await errorsOf(
        request(0),
        request(12),
        request(0xffff_ffff, '/tmp\0'),
        // No path, half a path, two paths, a path that is not absolute, one that is too long.
        request(1),
        request(1, '/tmp'),
        request(1, '/tmp\0/tmp\0'),
        request(10, '/tmp\0'),
        request(11, 'tmp\0'),
        request(1, '\0'),
        request(1, `/${'x/'.repeat(3000)}\0`),
        // No handle, and what is none: standard input, a folder that is no file.
        request(5, '', 7, 0, 10),
        request(5, '', 0xffff_ffff, 0, 10),
        request(8, '', 0),
        request(8, '', 3),
        request(6, 'x', 0),
        request(7, '', 1),
      ),
      [
        ...[ENOSYS, ENOSYS, ENOSYS],
        ...[EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, ENAMETOOLONG],
        ...[EBADF, EBADF, EBADF, EBADF, EBADF, EBADF],
      ],
    );
    // The first handle is 3. A folder is no file; a file is no folder, and 1 MiB is the most to read at once.
    assert.deepEqual(
      await speak(
        Buffer.concat([words(0xffffffff), request(3, '/tmp\0'), request(5, '', 3, 0, 10), request(6, 'x', 3)]),
      ),
      [0, 0, 4, 3, 0, EBADF, 0, 0, EBADF, 0],
    );
    assert.deepEqual(
      await speak(
        Buffer.concat([
          words(0xffffffff),
          request(2, '/root/early\0'),
          request(7, '', 3),
          request(5, '', 3, 0, (1 << 20) + 1),
          request(8, '', 3),
          request(8, '', 3),
        ]),
      ),
      [0, 0, 4, 3, 0, EBADF, 0, 0, EINVAL, 0, 0, 0, 0, 0, EBADF, 0],
    );
    const complaint = new Promise((resolve) => {
      machine.on('output', () => {
        if (machine.transcript.includes('exec-agent: a request of 1048577 bytes for a file was refused')) resolve();
      });
    });
    assert.deepEqual(await speak(Buffer.concat([words(0xffffffff), words(6, (1 << 20) + 1, 0, 0, 0)])), []);
    await complaint;
    // Half a request.
    assert.deepEqual(await speak(Buffer.concat([words(0xffffffff), words(1, 100, 0, 0, 0), Buffer.from('/tmp')])), []);
    assert.equal(text(await fs.readFile('/root/early')), 'early\n');
  });

  await suite.test('a server that does not answer keeps nobody else waiting', async () => {
    await run(`${SERVERS}; kill -STOP $(servers)`);
    const stuck = fs.readFile('/root/early');
    const others = await Promise.all(Array.from({ length: 20 }, () => fs.stat('/root/early')));
    assert.ok(others.every(({ size }) => size === 6));
    await run(`${SERVERS}; kill -CONT $(servers)`);
    assert.equal(text(await stuck), 'early\n');
    // The further servers end.
    await run(`${SERVERS}; until [ $(servers | wc -l) = 1 ]; do :; done`);
  });

  await suite.test('a server that is killed fails what it does, and the next one serves', async () => {
    const open = fs.read('/root/early');
    await open.next();
    await run(`${SERVERS}; kill -9 $(servers)`);
    await assert.rejects(
      open.next(),
      (error) => error.name === 'MachineError' && ['failed', 'refused'].includes(error.code),
    );
    assert.equal(text(await fs.readFile('/root/early')), 'early\n');
    // The agent takes its end.
    await run('while ps -o stat | grep -q "^Z"; do :; done');
  });

  await suite.test('a machine that ends meanwhile', async () => {
    const forever = (async function* () {
      for (;;) yield new Uint8Array(1000);
    })();
    const writing = fs.writeFile('/dev/shm/endless', forever).catch((error) => error);
    const reading = fs.read('/root/early');
    await reading.next();
    machine.exec(['poweroff', '-f']).catch(() => {});
    assert.equal(await machine.halted, 'poweroff');
    assert.equal((await writing).code, 'halted');
    await assert.rejects(reading.next(), { code: 'halted' });
    await assert.rejects(fs.stat('/tmp'), { code: 'halted' });
    assert.equal(text(await fs.readFile('/mnt/m/share')), 'share\n');
    await machine.dispose();
    await assert.rejects(fs.readFile('/mnt/m/share'), { code: 'disposed' });
  });
});

test('a machine that ends before its agent is there', async (suite) => {
  const { machine, fs } = await start(suite);
  const waiting = Promise.allSettled([fs.stat('/tmp'), fs.readFile('/etc/passwd'), fs.watch('/tmp', () => {})]);
  await machine.dispose();
  for (const { reason } of await waiting) assert.equal(reason.code, 'disposed');
});

test('without exec a path outside of all shares says what to do', async (suite) => {
  const machine = await startMachine({ shares: [{ name: 'm', memory: true }] });
  suite.after(() => machine.dispose());
  await machine.fs.writeFile('/mnt/m/x', 'x');
  for (const call of [
    machine.fs.readFile('/etc/passwd'),
    machine.fs.writeFile('/tmp/x', 'x'),
    machine.fs.rename('/mnt/m/x', '/tmp/x'),
    machine.fs.readdir('/'),
  ])
    await assert.rejects(call, { name: 'MachineError', code: 'failed', message: /boot the machine with exec: true/ });
});

test('beside a login', async (suite) => {
  const { machine, session } = await bootSession(suite, { exec: true, login: true });
  const written = machine.fs.writeFile('/tmp/from-owner', 'from the owner\n');
  await session.waitFor(PROMPT);
  await written;
  assert.equal(await session.run('cat /tmp/from-owner; echo from the login > /tmp/from-login'), 'from the owner\n');
  assert.equal(text(await machine.fs.readFile('/tmp/from-login')), 'from the login\n');
  await session.write('exit\r');
  await session.waitFor(PROMPT);
  assert.equal((await machine.fs.stat('/tmp/from-login')).size, 15);
});

test('a server that cannot start fails what it was asked for, and nothing else', async (suite) => {
  const { machine, session } = await bootSession(suite, { exec: true, login: true });
  const { fs } = machine;
  await session.waitFor(PROMPT);
  await fs.stat('/tmp');
  // This shell starts no process from here on.
  const LIMIT = '/proc/sys/kernel/threads-max';
  await session.run(`${SERVERS}; server=$(servers); most=$(cat ${LIMIT})`);
  await session.run(`echo 1 > ${LIMIT}; kill -STOP $server`);
  const stuck = fs.stat('/tmp');
  for (let count = 0; count < 3; ++count) await rejects(fs.stat('/etc'), 'EAGAIN', '/etc');
  await rejects(fs.writeFile('/tmp/never', 'never'), 'EAGAIN', '/tmp/never');
  await session.run(`echo $most > ${LIMIT}`);
  await rejects(fs.stat('/tmp/never'), 'ENOENT', '/tmp/never');
  await session.run('kill -CONT $server');
  assert.equal((await stuck).type, 'folder');
  // Where there is none at all, it is the same.
  await session.run(`kill -9 $(servers); until [ -z "$(servers)" ]; do :; done 2> /dev/null; echo 1 > ${LIMIT}`);
  await rejects(fs.stat('/etc'), 'EAGAIN', '/etc');
  await session.run(`echo $most > ${LIMIT}`);
  assert.equal((await fs.stat('/etc')).type, 'folder');
});
