// SPDX-License-Identifier: MIT
// Compiles each tests/programs/NAME.c with the SDK, runs it in the guest, and compares its output with NAME.expected.
// NAME.flags holds compiler flags, NAME.status the exit status if it is not 0, NAME.stdin its input.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build, exec, root } from './machines.mjs';

const sources = join(root, 'tests/programs');
const output = join(build, 'tests/programs');
mkdirSync(output, { recursive: true });

/** Node 20's machine copies user memory in JavaScript; the others do it in WebAssembly. */
const node = process.env.AUKLET_TEST_NODE ?? process.execPath;
const only = process.env.AUKLET_TEST_PROGRAMS?.split(' ');

const optional = (path, missing) => (existsSync(path) ? readFileSync(path, 'utf8') : missing);

for (const file of readdirSync(sources).filter((name) => name.endsWith('.c'))) {
  const name = file.slice(0, -2);
  const base = join(sources, name);
  if (!existsSync(`${base}.expected`) || (only !== undefined && !only.includes(name))) continue;
  test(name, async () => {
    const program = join(output, name);
    const flags = optional(`${base}.flags`, '').split(/\s+/).filter(Boolean);
    await promisify(execFile)(join(build, 'sdk/bin/wasm32-linux-musl-clang'), [
      '-O2',
      '-Wall',
      ...flags,
      '-o',
      program,
      `${base}.c`,
    ]);
    const { status, stdout, stderr } = await exec([`/root/${name}`], {
      node,
      words: ['--timeout', '120', '--put', `${program}:/root/${name}`],
      input: optional(`${base}.stdin`, ''),
    });
    assert.equal(stdout, readFileSync(`${base}.expected`, 'utf8'), stderr);
    assert.equal(status, Number(optional(`${base}.status`, '0')), stderr);
  });
}
