// SPDX-License-Identifier: MIT
// The page in WebKitGTK: boots, commands, reloads, restarts; and boots while the computer has other work.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { AT_PROMPT, pageSession, servePage } from './browsers.mjs';
import { launchWebKit } from './webdriver.mjs';

const RELOADS = 5;
const RELOADS_UNDER_LOAD = 5;

test('the page in WebKit', async (suite) => {
  const page = await launchWebKit(suite);
  const open = async () => {
    await page.waitForFunction(AT_PROMPT);
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  };
  await page.goto(await servePage(suite));
  await open();

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
      await page.waitForFunction(AT_PROMPT);
    }
  });

  await suite.test('it is loaded again and again', async () => {
    for (let round = 0; round < RELOADS; ++round) {
      await page.reload();
      await open();
    }
  });

  await suite.test('it is loaded while the computer has other work', async (loaded) => {
    // With the priority of WebKit's only compiler thread, which the system would give next to nothing otherwise.
    const others = Array.from({ length: 4 }, () =>
      spawn('nice', ['-n', '10', 'sh', '-c', 'while :; do :; done'], {
        stdio: 'ignore',
      }),
    );
    loaded.after(() => others.forEach((child) => child.kill('SIGKILL')));
    for (let round = 0; round < RELOADS_UNDER_LOAD; ++round) {
      await page.reload();
      await open();
    }
  });
});
