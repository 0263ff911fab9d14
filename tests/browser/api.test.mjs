// SPDX-License-Identifier: MIT
// The public API in Chromium, as a page would use it: commands with captured output, files, several machines, dispose.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium, servePage } from './browsers.mjs';

test('the public API in Chromium', async (suite) => {
  const browser = await launchChromium(suite);
  const page = await browser.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);

  await suite.test('exec: output, status, input, files; commands at the same time', async () => {
    const results = await page.evaluate(async () => {
      const { Machine } = auklet;
      const text = (bytes) => new TextDecoder().decode(bytes);
      const content = new TextEncoder().encode('#!/bin/sh\necho "script: $1"\n');
      const machine = new Machine({
        cpus: 1,
        memory: 128,
        exec: true,
        files: [{ path: '/usr/local/bin/greet', mode: 0o755, content }],
      });
      // The first is asked for long before the machine runs.
      const [first, second, third] = await Promise.all([
        machine.exec(['wc', '-c'], { stdin: new Uint8Array(1_000_000) }),
        machine.exec(['greet', 'a b']),
        machine.exec(['sh', '-c', 'cat; echo error >&2; pwd; echo $EXTRA; exit 3'], {
          directory: '/tmp',
          environment: { EXTRA: 'more' },
        }),
      ]);
      const input = text((await machine.exec(['cat'], { stdin: 'more' })).stdout);
      await machine.dispose();
      const late = await machine.exec(['true']).catch((error) => error.code);
      return { results: [first, second, third].map((r) => [r.status, text(r.stdout), text(r.stderr)]), input, late };
    });
    assert.deepEqual(results, {
      results: [
        [0, '1000000\n', ''],
        [0, 'script: a b\n', ''],
        [3, '/tmp\nmore\n', 'error\n'],
      ],
      input: 'more',
      late: 'disposed',
    });
  });

  await suite.test('files of the guest at any path, beside a login', async () => {
    const seen = await page.evaluate(async () => {
      const { Machine } = auklet;
      const machine = new Machine({ cpus: 1, memory: 128, exec: true, login: true });
      const { fs } = machine;
      const piece = (number) => new Uint8Array(500_000).fill(number);
      await fs.writeFile(
        '/tmp/large',
        (async function* () {
          for (let number = 0; number < 8; ++number) yield piece(number);
        })(),
      );
      let matches = 0;
      let offset = 0;
      for await (const bytes of fs.read('/tmp/large'))
        for (const byte of bytes) if (byte === Math.floor(offset++ / 500_000)) ++matches;
      const sum = await machine.exec(['wc', '-c', '/tmp/large']);
      const changed = new Promise((resolve) => fs.watch('/tmp', resolve).then(() => fs.mkdir('/tmp/made')));
      const name = await changed;
      await machine.exec(['sh', '-c', 'mkdir /tmp/n && : > /tmp/n/$(printf "\\377")']);
      const [{ name: strange }] = await fs.readdir('/tmp/n');
      await fs.rm('/tmp/n', { recursive: true });
      const code = await fs.readFile('/tmp/n').catch((error) => `${error.name} ${error.code} ${error.path}`);
      await machine.dispose();
      return { matches, wc: new TextDecoder().decode(sum.stdout), name, strange: strange.charCodeAt(0), code };
    });
    assert.deepEqual(seen, {
      matches: 4_000_000,
      wc: '4000000 /tmp/large\n',
      name: 'made',
      strange: 0xdcff,
      code: 'FileError ENOENT /tmp/n',
    });
  });

  await suite.test('memory that cannot be is an error with a code', async () => {
    const code = await page.evaluate(async () => {
      const { Machine } = auklet;
      try {
        new Machine({ memory: 999_999 });
        return 'started';
      } catch (error) {
        return `${error.name} ${error.code}`;
      }
    });
    assert.equal(code, 'MachineError invalid-option');
  });

  await suite.test('an aborted boot', async () => {
    const code = await page.evaluate(async () => {
      const { Machine } = auklet;
      const abort = new AbortController();
      const machine = new Machine({ signal: abort.signal });
      abort.abort();
      return machine.started.catch((error) => error.code);
    });
    assert.equal(code, 'disposed');
  });
});
