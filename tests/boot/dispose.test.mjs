// SPDX-License-Identifier: MIT
// dispose() in Node.js: at any time, soon, whatever the guest does; and what it leaves.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build } from './machines.mjs';
import { PROMPT } from './session.mjs';

/** Milliseconds. */
const MOST = 200 * Number(process.env.AUKLET_PATIENCE ?? 1);

const spin = {
  path: '/root/spin',
  mode: 0o755,
  content: new Uint8Array(readFileSync(join(build, 'tests/programs/spin'))),
};

/** Until programs run in user code, and not on their way there. */
const SPIN =
  'for i in 1 2 3; do ./spin > /dev/null & until [ $(cut -d " " -f 14 /proc/$!/stat) != 0 ]; do usleep 1000; done; done';

const STATES = [
  ['at the prompt', 'true'],
  ['with 50 processes that sleep', 'for i in $(seq 50); do sleep 1000 & done'],
  ['with processes that take turns', 'yes | cat > /dev/null & yes | cat > /dev/null &'],
  ['with programs that spin', SPIN],
  ['after one that spins was killed', './spin > /dev/null & usleep 100000; kill -9 $!'],
  ['with system calls without end', 'dd if=/dev/zero of=/dev/null bs=1 & cat /dev/zero > /dev/null &'],
];

async function timed(report, machine) {
  const begin = performance.now();
  await machine.dispose();
  const took = performance.now() - begin;
  report.diagnostic(`${took.toFixed(1)} ms`);
  assert.ok(took < MOST, `${took} ms`);
}

for (const cpus of [1, 2])
  for (const [name, line] of STATES)
    test(`${name}, ${cpus} CPUs`, async (report) => {
      const { machine, session } = await bootSession(undefined, { cpus, files: [spin] });
      await session.waitFor(PROMPT);
      await session.write(`cd /root; ${line}\recho all\\ there\r`);
      await session.waitFor(/\nall there\n/);
      await timed(report, machine);
      assert.equal(await machine.halted, 'disposed');
      // Once more is no error.
      await machine.dispose();
    });

test('after a panic', async (report) => {
  const { machine, session } = await bootSession(undefined);
  await session.waitFor(PROMPT);
  await session.write('echo c > /proc/sysrq-trigger\r');
  assert.equal(await machine.halted, 'panic');
  // What it was is still there to be looked at.
  assert.match(await machine.diagnostics(), /cpu 0: /);
  await timed(report, machine);
  assert.equal(await machine.halted, 'panic');
});

test('in the middle of a boot', async (report) => {
  for (const stage of ['starting', 'kernel', 'booting', 'running']) {
    const { machine } = await bootSession(undefined);
    const started = stage === 'running' ? machine.started : assert.rejects(machine.started, { code: 'disposed' });
    await new Promise((resolve) => machine.on('stage', (reached) => reached === stage && resolve()));
    await timed(report, machine);
    await started;
  }
});
