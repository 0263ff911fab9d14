// SPDX-License-Identifier: MIT
// Shares in a page: memory, directories of OPFS with their synchronous handles, and directories with streams, as picked ones.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from '../boot/machines.mjs';
import { BROWSER, launchPages, servePage } from './browsers.mjs';

const SCRIPT = readdirSync(join(build, 'dist/assets')).find((name) => /^storage-worker.*\.js$/.test(name));

/** In the page: boots `machine` with these shares, or returns why not. */
async function start({ shares, before }) {
  await globalThis.machine?.dispose();
  const site = await navigator.storage?.getDirectory?.();
  const { pathname } = new URL(document.baseURI);
  const blob = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  // A worker that first changes what the browser gives it.
  const storageWorkerUrl =
    before === undefined
      ? undefined
      : blob(
          `import ${JSON.stringify(blob(before.change))}; import ${JSON.stringify(
            new URL(`${pathname}assets/${before.script}`, location).href,
          )};`,
        );
  const withHandles = await Promise.all(
    shares.map(async ({ directory, ...share }) =>
      directory === undefined
        ? share
        : { ...share, directory: await site.getDirectoryHandle(directory, { create: true }) },
    ),
  );
  globalThis.machine = new auklet.Machine({
    cpus: 1,
    memory: 128,
    exec: true,
    shares: withHandles,
    ...(storageWorkerUrl === undefined ? {} : { storageWorkerUrl }),
  });
  try {
    await machine.started;
    return 'started';
  } catch (error) {
    await machine.dispose();
    return `${error.code}: ${error.message}`;
  }
}

/** In the page: status and output of a command. */
async function run(line) {
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
  return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
}

/** In the page: the page's own view of a directory of OPFS. */
function helpers() {
  const place = async (path) => {
    const parts = path.split('/');
    const name = parts.pop();
    let folder = await navigator.storage.getDirectory();
    for (const part of parts) folder = await folder.getDirectoryHandle(part);
    return [folder, name];
  };
  globalThis.readOwn = async (path) => {
    const [folder, name] = await place(path);
    return (await (await folder.getFileHandle(name)).getFile()).text();
  };
  globalThis.writeOwn = async (path, text) => {
    const [folder, name] = await place(path);
    const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await stream.write(text);
    await stream.close();
  };
  globalThis.removeOwn = async (path) => {
    const [folder, name] = await place(path);
    await folder.removeEntry(name, { recursive: true });
  };
  globalThis.hashOf = async (bytes) => {
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  };
  globalThis.failure = (promise) =>
    promise.then(
      () => 'done',
      (error) => error.code ?? `${error.name}: ${error.message}`,
    );
}

test(`shares in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const { newPage, context } = await launchPages(suite);
  const page = await newPage();
  const open = async () => {
    await page.goto(`${address}?saving=0`);
    await page.waitForFunction(() => globalThis.auklet !== undefined);
    await page.evaluate(() => auklet.current?.dispose());
    await page.evaluate(helpers);
  };
  await open();
  const command = (line) => page.evaluate(run, line);

  await suite.test('files in memory', async () => {
    assert.equal(await page.evaluate(start, { shares: [{ name: 'm', memory: '64M' }] }), 'started');
    await page.evaluate(() => machine.fs.writeFile('/mnt/m/a', 'the page’s\n'));
    assert.equal(
      await command('cat /mnt/m/a; echo guest > /mnt/m/b; chmod 700 /mnt/m/b; ln -s b /mnt/m/l'),
      '0 the page’s',
    );
    assert.equal(
      await page.evaluate(async () => new TextDecoder().decode(await machine.fs.readFile('/mnt/m/l'))),
      'guest\n',
    );
    assert.match(await command('dd if=/dev/zero of=/mnt/m/big bs=1M count=70 2>&1'), /^1 [^]*No space left on device/);
  });

  for (const [way, before] of [
    ['synchronous handles', undefined],
    ['streams', { change: 'delete FileSystemFileHandle.prototype.createSyncAccessHandle;', script: SCRIPT }],
  ])
    await suite.test(`a directory with ${way}`, async (of) => {
      const isDirect = before === undefined;
      const directory = isDirect ? 'direct' : 'streams';
      const own = (name) => `${directory}/${name}`;
      const read = (name) => page.evaluate((path) => readOwn(path), own(name));
      const write = (name, text) => page.evaluate(([path, content]) => writeOwn(path, content), [own(name), text]);
      const boot = (share = {}) =>
        page.evaluate(start, { shares: [{ name: 's', directory, ...share }], ...(isDirect ? {} : { before }) });
      assert.equal(await boot(), 'started');

      await of.test('both sides see what the other one writes', async () => {
        assert.equal(await command('echo one > /mnt/s/a && echo two >> /mnt/s/a && mkdir /mnt/s/d'), '0');
        assert.equal(await read('a'), 'one\ntwo\n');
        for (let round = 0; round < 5; ++round) {
          await write('a', `round ${round}\n`);
          assert.equal(await command('cat /mnt/s/a'), `0 round ${round}`);
        }
        // A file that the guest has open: when write(2) returns, or when somebody reads it.
        assert.equal(
          await command('exec 3>> /mnt/s/a; echo more >&3; ls /mnt/s; cat /mnt/s/a'),
          '0 a\nd\nround 4\nmore',
        );
        assert.equal(
          await page.evaluate(async (path) => {
            const work = machine.exec(['sh', '-c', 'exec 3> /mnt/s/log; echo first >&3; touch /mnt/s/ready; cat'], {
              stdin: (async function* () {
                await new Promise((resolve) => (globalThis.finish = resolve));
                yield new Uint8Array(0);
              })(),
            });
            const isReady = async () => (await failure(machine.fs.stat('/mnt/s/ready'))) === 'done';
            while (!(await isReady()));
            const seen = new TextDecoder().decode(await machine.fs.readFile('/mnt/s/log'));
            const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(path);
            const handle = await folder.getFileHandle('log');
            const stream = await failure(handle.createWritable().then((opened) => opened.abort()));
            finish();
            await work;
            return `${seen}${stream === 'done' ? 'free' : 'taken'}`;
          }, directory),
          // A synchronous handle excludes the page; reading has closed the stream.
          `first\n${isDirect ? 'taken' : 'free'}`,
        );
        await page.evaluate(() => machine.fs.writeFile('/mnt/s/d/f', 'by path'));
        assert.equal(await command('cat /mnt/s/d/f'), '0 by path');
        assert.equal(await read('d/f'), 'by path');
      });

      await of.test('names: rename, replace, remove', async () => {
        assert.equal(
          await command(
            `cd /mnt/s; echo new > tmp; exec 3< a; mv tmp a; cat a; cat <&3; rm a; cat <&3;
             echo x > open; exec 4<> open; rm open; echo unnamed >&4; mv d e; mkdir e/in; mv e/f e/in/g; cat e/in/g; ls`,
          ),
          '0 new\nround 4\nmore\nby pathe\nlog\nready',
        );
        assert.equal(await read('e/in/g'), 'by path');
        assert.equal(
          await page.evaluate(async () => {
            await machine.fs.rename('/mnt/s/e', '/mnt/s/d');
            await machine.fs.mkdir('/mnt/s/x/y', { recursive: true });
            await machine.fs.rm('/mnt/s/x', { recursive: true });
            const codes = [
              await failure(machine.fs.rename('/mnt/s/d', '/mnt/s/d/in/d')),
              await failure(machine.fs.rename('/mnt/s/log', '/mnt/s/d')),
              await failure(machine.fs.readFile('/mnt/s/none')),
              await failure(machine.fs.rm('/mnt/s/d')),
            ];
            return codes.join(' ');
          }),
          'EINVAL EISDIR ENOENT EISDIR',
        );
        assert.equal(
          await command('cat /mnt/s/d/in/g; rmdir /mnt/s/d'),
          "0 by pathrmdir: '/mnt/s/d': Directory not empty".replace('0', '1'),
        );
        await page.evaluate((path) => removeOwn(path), own('d'));
        assert.equal(await command('ls /mnt/s'), '0 log\nready');
      });

      await of.test('what such a directory cannot keep', async () => {
        for (const [line, reason] of [
          ['ln -s log /mnt/s/l', 'Operation not permitted'],
          ['ln /mnt/s/log /mnt/s/l', 'Operation not permitted'],
          ['mkfifo /mnt/s/p', 'Operation not permitted'],
          ['chmod 600 /mnt/s/log', 'Operation not permitted'],
          ['chown 5 /mnt/s/log', 'Operation not permitted'],
          ["touch -d '2001-02-03 04:05:06' /mnt/s/log", 'Operation not permitted'],
          // The one name that Chromium has something against; Firefox has nothing.
          ...(BROWSER === 'chromium' ? [["echo > '/mnt/s/back\\slash'", 'Invalid argument']] : []),
        ])
          assert.match(await command(line), new RegExp(`^1 .*${reason}`), line);
        assert.equal(
          await command(
            `cd /mnt/s; printf '#!/bin/sh\\necho runs\\n' > p; ./p; rm p; touch -d @1 log 2> /dev/null
             touch log; [ $(($(date +%s) - $(stat -c %Y log))) -lt 60 ] && cat log`,
          ),
          '0 runs\nfirst',
        );
      });

      await of.test('100 MB', async () => {
        const sum = await command(
          `dd if=/dev/urandom of=/mnt/s/big bs=1M count=100 2> /dev/null
           echo 3 > /proc/sys/vm/drop_caches; sha256sum < /mnt/s/big`,
        );
        const [hash, reversed] = await page.evaluate(async () => {
          const bytes = await machine.fs.readFile('/mnt/s/big');
          const hash = await hashOf(bytes);
          await machine.fs.writeFile('/mnt/s/reversed', bytes.reverse());
          return [hash, await hashOf(bytes)];
        });
        assert.equal(sum, `0 ${hash}  -`);
        assert.equal(await command('sha256sum < /mnt/s/reversed'), `0 ${reversed}  -`);
        assert.equal(await command('rm /mnt/s/big /mnt/s/reversed; df /mnt/s > /dev/null'), '0');
      });

      await of.test('many files', async () => {
        // Firefox takes 20 ms and more to make a file.
        const count = BROWSER === 'firefox' ? 50 : 300;
        const make = `i=0; while [ $i -lt ${count} ]; do echo $i > f$i; i=$((i+1)); done`;
        assert.equal(
          await command(`mkdir /mnt/s/n; cd /mnt/s/n; ${make}; ls -l | wc -l; cat f* | wc -l; cd ..; rm -r n; ls`),
          `0 ${count + 1}\n${count}\nlog\nready`,
        );
      });

      await of.test('no more room', async (report) => {
        if (BROWSER !== 'chromium') return report.skip('only Chromium has a quota that tests can set');
        const protocol = await context.newCDPSession(page);
        const quota = (quotaSize) =>
          protocol.send('Storage.overrideQuotaForOrigin', { origin: new URL(address).origin, quotaSize });
        await quota(20 << 20);
        assert.match(
          await command('dd if=/dev/urandom of=/mnt/s/big bs=1M count=100 2>&1'),
          /^1 [^]*No space left on device/,
        );
        await quota(undefined);
        assert.equal(
          await command('rm -f /mnt/s/big; cat /mnt/s/log; echo again > /mnt/s/new; cat /mnt/s/new'),
          '0 first\nagain',
        );
      });

      await of.test('only read, and after a reload', async () => {
        await open();
        assert.equal(await boot({ readOnly: true }), 'started');
        assert.equal(await command('cat /mnt/s/log'), '0 first');
        for (const line of ['echo x > /mnt/s/log', 'rm /mnt/s/log', 'mkdir /mnt/s/x'])
          assert.match(await command(line), /^1 .*Read-only file system/, line);
        assert.equal(await page.evaluate(() => failure(machine.fs.writeFile('/mnt/s/log', 'x'))), 'EROFS');
        assert.equal(await read('log'), 'first\n');
      });
    });

  await suite.test('files that the browser keeps by the name of a share, for two machines at once', async () => {
    assert.equal(await page.evaluate(start, { shares: [{ name: 'kept', saved: true }] }), 'started');
    assert.equal(await command('echo kept > /mnt/kept/file'), '0');
    assert.equal(await page.evaluate(() => readOwn('auklet-shares/kept/file')), 'kept\n');
    assert.equal(
      await page.evaluate(async () => {
        const other = new auklet.Machine({ cpus: 1, memory: 128, shares: [{ name: 'kept', saved: true }] });
        const work = machine.exec(['sh', '-c', 'exec 3>> /mnt/kept/file; echo open; cat'], {
          stdin: (async function* () {
            await new Promise((resolve) => (globalThis.finish = resolve));
            yield new Uint8Array(0);
          })(),
          onStdout: () => globalThis.isOpen(),
        });
        await new Promise((resolve) => (globalThis.isOpen = resolve));
        const seen = new TextDecoder().decode(await other.fs.readFile('/mnt/kept/file'));
        const code = await failure(other.fs.writeFile('/mnt/kept/file', 'x'));
        finish();
        await work;
        await other.fs.writeFile('/mnt/kept/file', 'other');
        await other.dispose();
        return `${seen} ${code}`;
      }),
      'kept\n EBUSY',
    );
    assert.equal(await command('cat /mnt/kept/file'), '0 other');
  });

  await suite.test('a directory that cannot be used', async () => {
    const denied = 'FileSystemHandle.prototype.queryPermission = async () => "prompt";';
    const shares = [{ name: 's', directory: 'direct' }];
    assert.match(
      await page.evaluate(start, { shares, before: { change: denied, script: SCRIPT } }),
      /^share: share s: the visitor has not permitted it: call requestPermission\(\{ mode: 'readwrite' \}\) in a click$/,
    );
    const gone = `const { keys } = FileSystemDirectoryHandle.prototype;
      FileSystemDirectoryHandle.prototype.keys = async function* () { throw new DOMException('', 'NotFoundError'); };`;
    assert.match(
      await page.evaluate(start, { shares, before: { change: gone, script: SCRIPT } }),
      /^share: share s: its directory cannot be read/,
    );
    assert.match(
      await page.evaluate(() => {
        try {
          new auklet.Machine({ shares: [{ name: 's', directory: {} }] });
        } catch (error) {
          return `${error.code}: ${error.message}`;
        }
      }),
      /^invalid-option: .*directory must be a FileSystemDirectoryHandle/,
    );
    // The permission is withdrawn while the machine runs.
    const later = `const channel = new BroadcastChannel('withdraw');
      channel.onmessage = () => {
        FileSystemDirectoryHandle.prototype.getFileHandle = async () => { throw new DOMException('', 'NotAllowedError'); };
        channel.postMessage('done');
      };`;
    assert.equal(await page.evaluate(start, { shares, before: { change: later, script: SCRIPT } }), 'started');
    assert.equal(await command('cat /mnt/s/log'), '0 first');
    await page.evaluate(
      () =>
        new Promise((resolve) => {
          const channel = new BroadcastChannel('withdraw');
          channel.onmessage = resolve;
          channel.postMessage('now');
        }),
    );
    assert.match(await command('cat /mnt/s/ready'), /^1 .*Permission denied/);
    await page.evaluate(() => machine.dispose());
  });
});
