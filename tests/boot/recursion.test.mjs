// SPDX-License-Identifier: MIT
// How deep a shell function and awk's go: what works on Linux natively must work in Node.js, and what is too deep ends that process
// alone, also where the engine's stack ends in a system call. AUKLET_WORKER_STACK is the engine's stack in KiB.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec } from './machines.mjs';

const SHELL = 'f() { [ $1 -eq 0 ] && { echo bottom; return; }; f $(($1 - 1)); }';
const awk = (depth) => `awk 'function f(n) { return n ? 1 + f(n - 1) : 0 } BEGIN { print f(${depth}) }'`;

test('recursion', async () => {
  const { stdout, stderr } = await exec([
    'sh',
    '-c',
    `${SHELL}; (f 6000); echo $?; ${awk(8000)}; (f 10000000) 2> /dev/null; kill -l $(($? - 128)); echo the machine goes on`,
  ]);
  assert.equal(stdout, 'bottom\n0\n8000\nSEGV\nthe machine goes on\n', stderr);
});

test('recursion below fork', async () => {
  // The frames of the shell are unwound and rewound for the command substitution.
  const { stdout, stderr } = await exec([
    'sh',
    '-c',
    `f() { [ $1 -eq 0 ] && { echo $(echo bottom); return; }; f $(($1 - 1)); }; f 3000`,
  ]);
  assert.equal(stdout, 'bottom\n', stderr);
});

/** What works and what is too deep; for each depth from one to the other the machine must go on. */
const SWEEP = `
  too_deep() { status=$?; [ $status = 139 ] || echo "status $status"; }
  ${SHELL}
  g() { [ $1 -eq 0 ] && { stat / > /dev/null; return; }; echo $1 > /dev/null; g $(($1 - 1)); }
  (f 100); (g 100) && echo shell
  for depth in $(seq 200 7 900); do (f $depth; g $depth) > /dev/null 2>&1 || too_deep; done
  (f 100000) > /dev/null 2>&1 && echo works || too_deep
  for depth in $(seq 100 50 3000) 100000; do
    awk "function f(n) { print n > \\"/dev/null\\"; fflush(); return n ? 1 + f(n - 1) : 0 } BEGIN { f($depth) }" 2> /dev/null || too_deep
  done
  echo the machine goes on`;

for (const stack of [300, 500, 700])
  test(`an engine's stack of ${stack} KiB`, async (suite) => {
    const environment = { AUKLET_WORKER_STACK: String(stack) };
    await suite.test('shell functions and awk', async () => {
      const { stdout, stderr } = await exec(['sh', '-c', SWEEP], { environment });
      assert.equal(stdout, 'bottom\nshell\nthe machine goes on\n', stderr);
    });
    await suite.test('system calls', async () => {
      const { stdout, stderr } = await exec(['engine-stack'], {
        environment,
        words: ['--put', `${join(build, 'tests/programs/engine-stack')}:/bin/engine-stack`],
      });
      const calls = ['getppid', 'write', 'open', 'stat', 'mmap', 'poll', 'kill', 'connect', 'fork', 'execve'];
      assert.equal(
        stdout,
        `${calls.map((name) => `${name}: made or SIGSEGV\n`).join('')}handled\nthe machine goes on\n`,
        stderr,
      );
    });
  });
