// SPDX-License-Identifier: MIT
// Takes long; run with: ./auklet test -C long -R long. Six idle minutes, then typing; 100 boots in a row; ten minutes
// with twice as many programs that spin as there are CPUs; five minutes of two copies of a program on condition variables;
// nearly 1 GiB, the most that a process can have, in pieces, allocated and freed 100 times.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, exec, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

test('six idle minutes', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  // Not a wait for an event: that nothing happens for so long is the test.
  await new Promise((resolve) => setTimeout(resolve, 360_000));
  assert.equal(await session.run('echo still here; uptime > /dev/null; sleep 1; echo $?'), 'still here\n0\n');
  assert.equal(await session.run(WARNINGS), '');
});

test('100 boots', async () => {
  for (let round = 0; round < Number(process.env.AUKLET_BOOTS ?? 100); ++round) {
    const { machine, session } = await bootSession(undefined, { cpus: 1 + (round % 4) });
    await session.waitFor(PROMPT);
    assert.equal(await session.run(`echo round ${round}`), `round ${round}\n`);
    await machine.dispose();
  }
});

test('ten minutes of spinning', async (suite) => {
  const spin = new Uint8Array(readFileSync(join(build, 'tests/programs/spin')));
  const { session } = await bootSession(suite, {
    cpus: 2,
    files: [{ path: '/root/spin', mode: 0o755, content: spin }],
  });
  await session.waitFor(PROMPT);
  for (let count = 0; count < 4; ++count) await session.run('/root/spin > /dev/null &');
  for (const end = Date.now() + 600_000; Date.now() < end;)
    assert.equal(await session.run('sleep 5; echo still here'), 'still here\n');
  assert.equal(await session.run(WARNINGS), '');
});

for (const [name, program, ...words] of [
  ['five minutes of condition variables in two processes', 'conditions', '300'],
  ['a process that gives its memory back', 'mappings', '960', '100'],
])
  test(name, async () => {
    const { status, stdout, stderr } = await exec([`/root/${program}`, ...words], {
      words: ['--timeout', '900', '--diagnose', '--put', `${join(build, 'tests/programs', program)}:/root/${program}`],
    });
    assert.equal(status, 0, stdout + stderr);
  });
