// SPDX-License-Identifier: MIT
// The clock of a machine in Node.js while the computer's is set, and after the computer stood still.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../boot/machines.mjs';
import { KERNEL_REPORT, plain, PROMPT, Session } from '../boot/session.mjs';
import { FalseClock, followSteps, standStill } from './clock.mjs';

/** Seconds. The 60 take the kernel's own 21 for a grace period; a shorter stop needs less patience of the kernel. */
const STOP = Number(process.env.AUKLET_TEST_STOP ?? 12);
const SHORT_PATIENCE = STOP >= 60 ? '' : 'rcupdate.rcu_cpu_stall_timeout=5';

async function start(suite, clock, where, kernelArguments = '') {
  const words = [join(root, 'tests/clock/console.mjs'), where, kernelArguments];
  const child = spawn(process.execPath, words, { env: { ...process.env, ...clock.environment } });
  const session = new Session({ write: async (text) => void child.stdin.write(text) });
  child.stdout.on('data', (bytes) => session.feed(bytes));
  let complaints = '';
  child.stderr.on('data', (bytes) => (complaints += bytes));
  child.stdin.on('error', () => {});
  child.on('close', (status) => session.end(`status ${status}: ${complaints}`));
  suite.after(() => {
    child.kill('SIGKILL');
    assert.equal(complaints, '');
    assert.doesNotMatch(plain(session.transcript), KERNEL_REPORT);
  });
  await session.waitFor(PROMPT);
  return { child, session };
}

for (const where of ['here', 'worker']) {
  test(`the computer's clock is set; the host is ${where}`, async (suite) => {
    const clock = new FalseClock(suite);
    const { session } = await start(suite, clock, where);
    await followSteps(suite, session, clock);
  });

  test(`the computer stands still; the host is ${where}`, async (suite) => {
    const clock = new FalseClock(suite);
    const { child, session } = await start(suite, clock, where, SHORT_PATIENCE);
    await standStill(suite, session, clock, child.pid, STOP);
  });
}
