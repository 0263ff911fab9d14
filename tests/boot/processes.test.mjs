// SPDX-License-Identifier: MIT
// Processes are collected: after 2,000 of them, workers, memories and resident size are where they were. One is small.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build } from './machines.mjs';
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
  // The pools grow to what one process at a time needs, and the engine's own caches fill: 30 MB from the 200th process to
  // the 1,000th, and 1 MB in the next 4,000.
  await loop(1000);
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

test('a process touches little of its stack', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  const count = 10;
  const before = process.memoryUsage.rss();
  await session.run(
    `for i in $(seq ${count}); do env sleep 1000 & done; ` +
      `while [ $(ps -o args | grep -cx 'sleep 1000') -lt ${count} ]; do usleep 10000; done`,
  );
  const each = (process.memoryUsage.rss() - before) / count / 2 ** 20;
  // 10 MiB, of which most is the worker's. exec() once cleared the unused part of the stack, which has 8 MiB.
  assert(each < 15, `${each} MiB for each process`);
});

test('memory that a program takes and does not touch is none of the computer', async (suite) => {
  const path = '/root/untouched';
  const content = new Uint8Array(readFileSync(join(build, 'tests/programs/untouched')));
  const { session } = await bootSession(suite, { files: [{ path, mode: 0o755, content }] });
  await session.waitFor(PROMPT);
  const before = process.memoryUsage.rss();
  await session.write(`WAIT=1 ${path}\r`);
  await session.waitFor(/\ntaken\n/);
  const more = (process.memoryUsage.rss() - before) / 2 ** 20;
  await session.write('\r');
  await session.waitFor(/\nuntouched\n/);
  // It takes 192 MiB, and touches less than 10.
  assert(more < 60, `${more} MiB`);
});
