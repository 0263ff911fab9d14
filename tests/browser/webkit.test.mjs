// SPDX-License-Identifier: MIT
// The page in WebKitGTK: boots, commands, reloads, restarts; and first boots while the computer has other work.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { AT_PROMPT, pageSession, servePage } from './browsers.mjs';
import { launchWebKit } from './webdriver.mjs';

const RELOADS = 5;
const BROWSERS_UNDER_LOAD = 2;

/** An event that does not come is the test's end; a busy computer's WebKit takes a minute for what else takes a second. */
const PATIENT = { timeout: 300_000 };

async function open(page) {
  await page.waitForFunction(AT_PROMPT, undefined, PATIENT);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
}

test('the page in WebKit', async (suite) => {
  const address = await servePage(suite);
  const page = await launchWebKit(suite);
  await page.goto(address);
  await open(page);

  await suite.test('commands', async () => {
    const session = await pageSession(page);
    await session.waitFor(PROMPT);
    assert.match(await session.run('uname -a'), /^Linux auklet 6\.12\.\d+\S* .* wasm GNU\/Linux\n$/);
    assert.equal(await session.run('for i in 1 2 3; do echo $i | cat; done'), '1\n2\n3\n');
    assert.equal(await session.run('sleep 0.1; echo $?'), '0\n');
  });

  await suite.test('it restarts', async () => {
    for (let round = 0; round < 3; ++round) {
      await page.evaluate(() => auklet.restart());
      await open(page);
    }
  });

  await suite.test('it is loaded again and again', async () => {
    for (let round = 0; round < RELOADS; ++round) {
      await page.reload();
      await open(page);
    }
    await page.close();
  });

  await suite.test('it is opened while the computer has other work', async (loaded) => {
    // Below the priority of WebKit's only compiler thread, to which the system would give next to nothing otherwise.
    const others = Array.from({ length: 2 * availableParallelism() }, () =>
      spawn('nice', ['-n', '19', 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' }),
    );
    loaded.after(() => others.forEach((child) => child.kill('SIGKILL')));
    for (let round = 0; round < BROWSERS_UNDER_LOAD; ++round) {
      const page = await launchWebKit(loaded);
      await page.goto(address);
      await open(page);
      await page.close();
    }
  });
});
