// SPDX-License-Identifier: MIT
// The end of a machine: power off, restart, panic; and a machine that is disposed of at any time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession } from './machines.mjs';
import { PROMPT } from './session.mjs';

for (const [command, reason] of [
  ['poweroff', 'poweroff'],
  ['reboot', 'restart'],
  ['echo c > /proc/sysrq-trigger', 'panic'],
]) {
  test(command, async (suite) => {
    // Without the check of the log: the panic is wanted.
    const { machine, session } = await bootSession(undefined);
    suite.after(() => machine.dispose());
    await session.waitFor(PROMPT);
    await session.write(`${command}\r`);
    assert.equal(await machine.halted, reason);
    if (reason === 'panic') assert.match(session.transcript, /Kernel panic - not syncing: sysrq triggered crash/);
    assert.match(await machine.diagnostics(), /stage: halted/);
  });
}

test('a machine after a machine, in one process', async (suite) => {
  for (let round = 0; round < 3; ++round) {
    const { machine, session } = await bootSession(undefined);
    suite.after(() => machine.dispose());
    await session.waitFor(PROMPT);
    assert.equal(await session.run('echo $((6 * 7))'), '42\n');
    await machine.dispose();
  }
});

test('dispose while it starts', async () => {
  const { machine } = await bootSession(undefined);
  const started = assert.rejects(machine.started, { code: 'disposed' });
  await machine.dispose();
  await started;
});
