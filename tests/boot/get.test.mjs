// SPDX-License-Identifier: MIT
// ./auklet exec --get, and --put of what other file systems hide.

import assert from 'node:assert/strict';
import * as files from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from './machines.mjs';

function folder(suite) {
  const path = files.mkdtempSync(join(tmpdir(), 'auklet-get-'));
  suite.after(() => files.rmSync(path, { recursive: true }));
  return path;
}

test('files and folders come back, and nothing stays beside them', async (suite) => {
  const path = folder(suite);
  const inside = (name) => join(path, name);
  files.mkdirSync(inside('into'));
  files.writeFileSync(inside('old'), 'old');
  const line = `echo result > /tmp/r; chmod 751 /tmp/r; mkdir -p /root/d/e; echo deep > /root/d/e/f; ln -s e/f /root/d/l; exit 3`;
  const { status, stderr } = await runCli([
    'exec',
    ...['--get', `/tmp/r:${inside('old')}`],
    ...['--get', `/root/d:${inside('into')}`],
    ...['--get', `/root/d/:${inside('d2')}`],
    ...['--', 'sh', '-c', line],
  ]);
  assert.deepEqual([status, stderr], [3, '']);
  assert.equal(files.readFileSync(inside('old'), 'utf8'), 'result\n');
  assert.equal(files.statSync(inside('old')).mode & 0o7777, 0o751);
  for (const name of ['into/d', 'd2']) {
    assert.equal(files.readFileSync(inside(`${name}/e/f`), 'utf8'), 'deep\n');
    assert.equal(files.readlinkSync(inside(`${name}/l`)), 'e/f');
  }
  assert.deepEqual(files.readdirSync(path).sort(), ['d2', 'into', 'old']);
});

test('what cannot come back is said, and the rest comes', async (suite) => {
  const path = folder(suite);
  const { status, stderr } = await runCli([
    'exec',
    ...['--get', `/none:${join(path, 'none')}`],
    ...['--get', `/etc/hostname:${join(path, 'name')}`],
    ...['--', 'true'],
  ]);
  assert.equal(status, 125);
  assert.match(stderr, /^auklet: --get \/none:.*: cp: can't stat '\/none': No such file or directory$/m);
  assert.deepEqual(files.readdirSync(path), ['name']);
  for (const [option, reason] of [
    ['relative:x', /write \/ABSOLUTE\/GUEST\/PATH:HOST-FILE/],
    ['/:x', /write \/ABSOLUTE/],
    [`/x:${path}/no/folder`, /nothing can be made in .* \(ENOENT\)/],
  ]) {
    const wrong = await runCli(['exec', '--get', option, '--', 'true']);
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.match(wrong.stderr, reason);
  }
});

test('a folder that was put below a mount is there', async (suite) => {
  const path = folder(suite);
  files.mkdirSync(join(path, 'd/empty'), { recursive: true });
  files.writeFileSync(join(path, 'd/x'), 'x');
  const places = ['/tmp/a/', '/run/b/', '/dev/shm/c/', '/mnt/s/'];
  const { status, stdout, stderr } = await runCli([
    'exec',
    ...places.flatMap((place) => ['--put', `${join(path, 'd')}:${place}`]),
    ...['--', 'sh', '-c', `ls -d ${places.map((place) => `${place}d/empty ${place}d/x`).join(' ')}`],
  ]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout.split('\n').length, 9);
});
