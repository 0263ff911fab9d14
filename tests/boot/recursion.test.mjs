// SPDX-License-Identifier: MIT
// How deep a shell function and awk's go: what works on Linux natively must work in Node.js, and what is too deep ends that process alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec } from './machines.mjs';

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
