// SPDX-License-Identifier: MIT
// The page in Firefox: boots to the prompt and runs uname -a.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { launchFirefox, pageSession, servePage } from './browsers.mjs';

test('the page in Firefox', async (suite) => {
  const browser = await launchFirefox(suite);
  const page = await browser.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  assert.match(await session.run('uname -a'), /^Linux auklet 6\.12\.\d+\S* .* wasm GNU\/Linux\n$/);
});
