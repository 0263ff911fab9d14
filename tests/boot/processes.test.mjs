// SPDX-License-Identifier: MIT
// Processes are collected: after 2,000 of them, workers, memories and resident size are where they were.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession } from './machines.mjs';
import { PROMPT } from './session.mjs';

/** Numbers of the diagnostics' lines "workers: ..." and "memories: ...". */
async function resources(machine) {
  const text = await machine.diagnostics();
  const count = (pattern) => [...text.matchAll(pattern)].length;
  return {
    workers: count(/^ *worker \d+:? /gm),
    memories: count(/^ *memory \d+:? /gm),
    resident: process.memoryUsage.rss(),
  };
}

test('2,000 times fork, exec and wait', async (suite) => {
  const { machine, session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  const loop = (count) =>
    session.run(`i=0; while [ $i -lt ${count} ]; do /bin/true; i=$((i+1)); done; echo $i`, 300_000);
  // The pools grow to what one process at a time needs, and the engine's own caches fill.
  await loop(200);
  globalThis.gc?.();
  const before = await resources(machine);
  assert.equal(await loop(2000), '2000\n');
  globalThis.gc?.();
  const after = await resources(machine);
  // One that is on its way back to the pool is not there yet: another may be made meanwhile, once.
  const spare = { workers: 1, memories: 1, resident: 0 };
  for (const name of ['workers', 'memories', 'resident'])
    assert(after[name] <= before[name] * 1.1 + spare[name], `${name}: ${before[name]} before, ${after[name]} after`);
});
