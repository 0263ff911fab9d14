// SPDX-License-Identifier: MIT
// Takes long; run with: ./auklet test -C long -R long. Chromium: six idle minutes, then typing; 25 boots in a row.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { launchChromium, pageSession, servePage } from './browsers.mjs';

async function open(browser, address) {
  const page = await browser.newPage();
  await page.goto(address);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  return { page, session };
}

test('six idle minutes in Chromium', async (suite) => {
  const { session } = await open(await launchChromium(suite), await servePage(suite));
  // Not a wait for an event: that nothing happens for so long is the test.
  await new Promise((resolve) => setTimeout(resolve, 360_000));
  assert.equal(await session.run('echo still here'), 'still here\n');
});

test('25 boots in Chromium', async (suite) => {
  const browser = await launchChromium(suite);
  const address = await servePage(suite);
  for (let round = 0; round < 25; ++round) {
    const { page, session } = await open(browser, address);
    assert.equal(await session.run(`echo round ${round}`), `round ${round}\n`);
    await page.close();
  }
});
