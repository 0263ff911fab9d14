// SPDX-License-Identifier: MIT
// A task that is killed in user code ends on a worker that was parked for it, whatever forks have taken from the pool.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

const FORKS = 12;

const files = [
  {
    path: '/root/spin',
    mode: 0o755,
    content: new Uint8Array(readFileSync(join(build, 'tests/programs/spin'))),
  },
];

async function pool(machine) {
  const text = await machine.diagnostics();
  return {
    parked: [...text.matchAll(/^worker \d+: idle/gm)].length,
    late: Number(text.match(/killed tasks without a worker (\d+)/)?.[1]),
  };
}

for (const cpus of [1, 2])
  test(`a kill finds a worker, ${cpus} CPUs`, async (suite) => {
    const { machine, session } = await bootSession(suite, { cpus, files });
    await session.waitFor(PROMPT);
    await session.run('cd /root; mkfifo fifo');
    // Until the program spins; then it is killed.
    await session.run('start() { ./spin > fifo & read line < fifo; }');
    const kill = async () => assert.match(await session.run('start; kill -9 $!; wait $!; echo $?'), /^137$/m);
    await kill();
    assert.equal((await pool(machine)).late, 0);
    for (let fork = 0; fork < FORKS; ++fork) {
      await session.run('sleep 300 &');
      const { parked } = await pool(machine);
      assert(parked >= 1, `${parked} parked after ${fork + 1} forks`);
      if (fork % 4 === 0) await kill();
    }
    // All forks at once, with none of the time between that the host would need for more workers.
    await session.run(`${'sleep 300 & '.repeat(FORKS)} start; kill -9 $!; wait $!`);
    assert.equal((await pool(machine)).late, 0);
    assert.equal(await session.run(WARNINGS), '');
  });
