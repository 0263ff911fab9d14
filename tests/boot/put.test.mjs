// SPDX-License-Identifier: MIT
// --put of folders: empty ones, symbolic links of all kinds, and modes; what is none of these is refused.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, exec, runCli } from './machines.mjs';

function makeFolder(suite) {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-put-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const LIST =
  'cd /srv/tree && find . | sort | while read -r f; do stat -c "%a %F %n" "$f"; ! [ -L "$f" ] || readlink "$f"; done';

test('a folder arrives as it is', async (suite) => {
  const folder = makeFolder(suite);
  const path = (name) => join(folder, name);
  mkdirSync(path('empty'));
  chmodSync(path('empty'), 0o1770);
  mkdirSync(path('deep/er'), { recursive: true });
  chmodSync(path('deep'), 0o755);
  chmodSync(path('deep/er'), 0o700);
  writeFileSync(path('deep/data'), 'content\n');
  chmodSync(path('deep/data'), 0o640);
  symlinkSync('deep/data', path('relative'));
  symlinkSync('/etc/hostname', path('absolute'));
  symlinkSync('no/where', path('dangling'));
  symlinkSync('deep', path('to-folder'));
  symlinkSync('.', path('loop'));
  chmodSync(folder, 0o750);
  const { status, stdout, stderr } = await exec(
    ['sh', '-c', `${LIST}; cat /srv/tree/relative /srv/tree/absolute /srv/tree/to-folder/data`],
    { words: ['--put', `${folder}:/srv/tree`] },
  );
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    '750 directory .',
    '777 symbolic link ./absolute',
    '/etc/hostname',
    '777 symbolic link ./dangling',
    'no/where',
    '755 directory ./deep',
    '640 regular file ./deep/data',
    '700 directory ./deep/er',
    '1770 directory ./empty',
    '777 symbolic link ./loop',
    '.',
    '777 symbolic link ./relative',
    'deep/data',
    '777 symbolic link ./to-folder',
    'deep',
    'content',
    'auklet',
    'content',
  ]);
});

test('a folder of the image keeps its mode, a link that is named is followed', async (suite) => {
  const folder = makeFolder(suite);
  mkdirSync(join(folder, 'real'));
  writeFileSync(join(folder, 'real/file'), 'content\n');
  chmodSync(join(folder, 'real'), 0o700);
  symlinkSync('real', join(folder, 'link'));
  const { stdout, stderr } = await exec(['sh', '-c', 'stat -c "%a %F" /opt /srv/link; cat /opt/file /srv/link/file'], {
    words: ['--put', `${folder}/real:/opt`, '--put', `${folder}/link:/srv/`],
  });
  assert.deepEqual([stdout, stderr], ['755 directory\n700 directory\ncontent\ncontent\n', '']);
});

test('what can be read no end of, and what is not there, is refused', async (suite) => {
  const folder = makeFolder(suite);
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  symlinkSync('nowhere', join(folder, 'dangling'));
  for (const [put, message] of [
    [`${folder}:/srv/tree`, /pipe is neither a file, a folder nor a symbolic link/],
    [`${folder}/dangling:/x`, /there is no file \S+dangling/],
    ['/dev/zero:/x', /neither a file/],
  ]) {
    const { status, stdout, stderr } = await runCli(['exec', '--put', put, '--', 'true']);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, message);
    assert.match(stderr, /^auklet: [^\n]+\n$/);
  }
});

test('entries that contradict each other are refused', async () => {
  const file = (path) => ({ path, content: new Uint8Array() });
  for (const [files, message] of [
    [[file('/a'), { path: '/a', directory: true }], /directory "\/a": a file has this name/],
    [[{ path: '/a', link: 'b' }, file('/a/c')], /"\/a" is a file/],
    [
      [
        { path: '/a', directory: true },
        { path: '/a', link: 'b' },
      ],
      /another file needs a directory of this name/,
    ],
    [[{ path: '/a', link: '' }], /link "\/a": its target is not 1 to 4095 bytes/],
    [[{ path: '/a', directory: true, mode: 0o40755 }], /16877 is not a set of permission bits/],
  ]) {
    await assert.rejects(
      async () => {
        const { machine } = await bootSession(undefined, { files });
        await machine.started.finally(() => machine.dispose());
      },
      { message },
    );
  }
});
