// SPDX-License-Identifier: MIT
// What tar says of the files of a disk that change while it reads them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { changesIn } = await source('api/machine-disk.ts');

const END = 'tar: error exit delayed from previous errors\n';

test('complaints of files that change', () => {
  assert.deepEqual(
    changesIn(
      `tar: ./a: No such file or directory
tar: ./d/b: c: it has changed while it was read
tar: can't open './d/e'': No such file or directory
tar: ./socket: socket ignored
tar: ./l: cannot read link: No such file or directory
tar: ./z: its last bytes are missing, and zeros in the archive
${END}`,
    ),
    [
      ['a', 'gone'],
      ['d/b: c', 'changed'],
      ["d/e'", 'gone'],
      ['l', 'gone'],
      ['z', 'cut'],
    ],
  );
  assert.deepEqual(changesIn(END), []);
});

test('any other complaint is a failure', () => {
  for (const line of [
    'tar: ./a: I/O error',
    'tar: read error: I/O error',
    "tar: can't open './a': I/O error",
    'tar: .: No such file or directory',
    'mount: mounting /dev/x on /mnt failed: No such file or directory',
    'there is no file system on it',
    // Names with line breaks, which may look like anything.
    'tar: ./a: No such file or directory\nb: I/O error',
    'tar: ./a\nb: No such file or directory',
  ])
    assert.equal(changesIn(`tar: ./x: No such file or directory\n${line}\n${END}`), undefined, line);
});
