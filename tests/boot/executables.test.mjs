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
  const script = names.map((name) => `env /bad/${name} 2>&1; echo $?`).join('\n');
  const { stdout, stderr } = await exec(['sh', '-c', `${script}\necho the machine goes on`], {
    words: ['--timeout', '60', '--put', `${folder}:/bad`],
  });
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.pop(), 'the machine goes on', stderr);
  for (const [index, name] of names.entries())
    await suite.test(name, () => {
      assert.match(lines[2 * index] ?? '', /Exec format error/);
      assert.equal(lines[2 * index + 1], '126');
    });
});
