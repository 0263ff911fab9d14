// SPDX-License-Identifier: MIT
// Many machines in one page of Chromium: what is one too many is a clear error, and everything comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium, servePage } from './browsers.mjs';

const ROUNDS = 3;

/**
 * In the page: boots so many machines at once and runs a command in each; all are disposed of in the end, `spinning` with
 * a program that makes no system calls.
 */
async function bootMany([count, spinning]) {
  // The class alone has no boot(): as it does, with what fails disposed of.
  const boot = async () => {
    const machine = new auklet.Machine({ cpus: 1, memory: 64, exec: true });
    try {
      await machine.started;
    } catch (error) {
      await machine.dispose();
      throw error;
    }
    return machine;
  };
  const results = await Promise.allSettled(Array.from({ length: count }, boot));
  const machines = results.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  const outputs = await Promise.all(
    machines.map((machine) =>
      machine.exec(['sh', '-c', 'echo $((6 * 7)) | cat']).then(
        ({ status, stdout }) => `${status} ${new TextDecoder().decode(stdout)}`,
        (error) => `${error.code}: ${error.message}`,
      ),
    ),
  );
  if (spinning) {
    const spins = (machine) =>
      new Promise((resolve) => {
        machine.exec(['sh', '-c', 'echo; while :; do :; done'], { onStdout: resolve }).catch(() => {});
      });
    await Promise.all(machines.map(spins));
  }
  await Promise.all(machines.map((machine) => machine.dispose()));
  return {
    outputs,
    refusals: results
      .filter(({ status }) => status === 'rejected')
      .map(({ reason }) => `${reason.name} ${reason.code}: ${reason.message}`),
  };
}

test('many machines in one page', async (suite) => {
  const browser = await launchChromium(suite);
  const page = await browser.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  await page.evaluate(() => auklet.current.dispose());

  await suite.test('16 at once: each boots and works, or says that there is no memory', async (report) => {
    const { outputs, refusals } = await page.evaluate(bootMany, [16]);
    report.diagnostic(`${outputs.length} boot; ${refusals[0] ?? 'none is refused'}`);
    assert.equal(outputs.length + refusals.length, 16);
    assert.ok(outputs.length >= 8);
    for (const output of outputs) assert.equal(output, '0 42\n');
    for (const refusal of refusals) assert.match(refusal, /^MachineError out-of-memory: /);
  });

  await suite.test('a machine that needs the memory of those that were disposed of waits for it', async () => {
    // An engine ends a worker that spins in its own time, which dispose() does not wait for.
    const { outputs, refusals } = await page.evaluate(bootMany, [12, true]);
    assert.ok(outputs.length >= 8, refusals[0]);
    // Each has 11 memories or 12 when it has run a command: of 124 in Chromium.
    const next = await page.evaluate(bootMany, [10]);
    assert.deepEqual(next, { outputs: Array(10).fill('0 42\n'), refusals: [] });
  });

  await suite.test(`then ${ROUNDS} rounds of 8: all boot`, async (report) => {
    for (let round = 0; round < ROUNDS; ++round) {
      const { outputs, refusals } = await page.evaluate(bootMany, [8]);
      report.diagnostic(`round ${round}: ${outputs.length}`);
      assert.deepEqual({ outputs, refusals }, { outputs: Array(8).fill('0 42\n'), refusals: [] });
    }
  });
});
