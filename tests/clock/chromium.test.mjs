// SPDX-License-Identifier: MIT
// The clock of the page's machine in Chromium while the computer's is set, and after the browser stood still.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KERNEL_REPORT, plain, PROMPT } from '../boot/session.mjs';
import { launchChromiumProcess, machineSession, servePage } from '../browser/browsers.mjs';
import { FalseClock, files, followSteps, standStill } from './clock.mjs';

/** Seconds, as in node.test.mjs. */
const STOP = Number(process.env.AUKLET_TEST_STOP ?? 12);
const SHORT_PATIENCE = STOP >= 60 ? '' : 'rcupdate.rcu_cpu_stall_timeout=5';

/** A machine of its own, in the page's browser, with the test's program. */
async function start(suite, clock, kernelArguments = '') {
  const { browser, pid } = await launchChromiumProcess(suite, clock.environment);
  const page = await browser.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  await page.evaluate(
    async ({ files, kernelArguments }) => {
      const content = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      await auklet.current.dispose();
      globalThis.complaints = [];
      globalThis.tested = new auklet.Machine({
        columns: 240,
        rows: 40,
        kernelArguments,
        files: files.map((file) => ({ ...file, content: content(file.content) })),
      });
      tested.on('log', (level, message) => complaints.push(`${level}: ${message}`));
    },
    {
      kernelArguments,
      files: files.map((file) => ({ ...file, content: Buffer.from(file.content).toString('base64') })),
    },
  );
  const session = await machineSession(page, 'tested');
  suite.after(async () => {
    assert.doesNotMatch(plain(session.transcript), KERNEL_REPORT);
  });
  await session.waitFor(PROMPT);
  const complaints = () => page.evaluate(() => globalThis.complaints);
  return { pid, session, complaints };
}

test('the computer’s clock is set', async (suite) => {
  const clock = new FalseClock(suite);
  const { session, complaints } = await start(suite, clock);
  await followSteps(suite, session, clock);
  assert.deepEqual(await complaints(), []);
});

test('the browser stands still', async (suite) => {
  const clock = new FalseClock(suite);
  const { pid, session, complaints } = await start(suite, clock, SHORT_PATIENCE);
  await standStill(suite, session, clock, pid, STOP);
  assert.deepEqual(await complaints(), []);
});
