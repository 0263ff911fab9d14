// SPDX-License-Identifier: MIT
// What execve refuses: each bad module of tests/programs/bad-executables gives ENOEXEC, and the machine goes on.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec } from './machines.mjs';

test('bad executables', async (suite) => {
  const folder = join(build, 'tests/programs/bad');
  const names = readdirSync(folder);
  assert(names.length > 0);
  // env, not the shell: a shell takes what execve refuses for a script.
  const script = names.map((name) => `dmesg -c > /dev/null; env /bad/${name} 2>&1; echo $?; dmesg`).join('\n');
  const { stdout, stderr } = await exec(['sh', '-c', `${script}\necho the machine goes on`], {
    words: ['--timeout', '60', '--put', `${folder}:/bad`],
  });
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.pop(), 'the machine goes on', stderr);
  // What the kernel's log says of a file that begins as a module does.
  const reasons = {
    'psabi-without-mark': /psABI 2\): made for an older system, compile it again/,
    'psabi-older': /psABI 2\): made for an older system, compile it again/,
    'psabi-newer': /psABI 2\): made for a newer system than this/,
    'no-start': /a required export is missing/,
    'other-memory': /unknown import/,
  };
  for (const name of names)
    await suite.test(name, () => {
      assert.match(lines.shift() ?? '', /Exec format error/);
      assert.equal(lines.shift(), '126');
      const log = lines.splice(0, lines.findIndex((line) => line.startsWith('env: ')) >>> 0);
      if (name in reasons) assert.match(log.join('\n'), reasons[name]);
    });
});
