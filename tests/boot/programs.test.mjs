// SPDX-License-Identifier: MIT
// Runs each program of tests/programs in a machine of its own and compares what it prints with NAME.expected.
// NAME.status holds the exit status if it is not 0, NAME.stdin its input.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec, root } from './machines.mjs';

const sources = join(root, 'tests/programs');

/** Node 20's machine copies user memory in JavaScript; the others do it in WebAssembly. */
const node = process.env.AUKLET_TEST_NODE ?? process.execPath;
const only = process.env.AUKLET_TEST_PROGRAMS?.split(' ');

const optional = (path, missing) => (existsSync(path) ? readFileSync(path, 'utf8') : missing);

for (const file of readdirSync(sources).filter((name) => name.endsWith('.expected'))) {
  const name = file.slice(0, -'.expected'.length);
  if (only !== undefined && !only.includes(name)) continue;
  test(name, async () => {
    const base = join(sources, name);
    const { status, stdout, stderr } = await exec([`/root/${name}`], {
      node,
      words: ['--timeout', '120', '--diagnose', '--put', `${join(build, 'tests/programs', name)}:/root/${name}`],
      input: optional(`${base}.stdin`, ''),
    });
    assert.equal(stdout, readFileSync(`${base}.expected`, 'utf8'), stderr);
    assert.equal(status, Number(optional(`${base}.status`, '0')), stderr);
  });
}
