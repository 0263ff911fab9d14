// SPDX-License-Identifier: MIT
// Takes long; run with: ./auklet test -C long -R long. Six idle minutes, then typing; 100 boots in a row.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession } from './machines.mjs';
import { PROMPT } from './session.mjs';

test('six idle minutes', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  // Not a wait for an event: that nothing happens for so long is the test.
  await new Promise((resolve) => setTimeout(resolve, 360_000));
  assert.equal(await session.run('echo still here; uptime > /dev/null; sleep 1; echo $?'), 'still here\n0\n');
  assert.equal(await session.run('dmesg | grep -E "stall|BUG|WARNING|Oops|hung"'), '');
});

test('100 boots', async () => {
  for (let round = 0; round < Number(process.env.AUKLET_BOOTS ?? 100); ++round) {
    const { machine, session } = await bootSession(undefined, { cpus: 1 + (round % 4) });
    await session.waitFor(PROMPT);
    assert.equal(await session.run(`echo round ${round}`), `round ${round}\n`);
    await machine.dispose();
  }
});
