// SPDX-License-Identifier: MIT
// The page in Chromium: isolation, the list of commands, the panic screen, a restart, a host without headers.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { begin, commands, perform } from '../boot/commands.mjs';
import { build } from '../boot/machines.mjs';
import { PROMPT } from '../boot/session.mjs';
import { AT_PROMPT, launchChromium, pageSession, servePage } from './browsers.mjs';

const pictures = join(build, 'tests/pictures');
mkdirSync(pictures, { recursive: true });

async function open(suite, { address, path = '' } = {}) {
  const browser = await launchChromium(suite);
  const page = await browser.newPage({ viewport: { width: 1100, height: 700 } });
  const errors = [];
  page.on('pageerror', (error) => errors.push(error));
  await page.goto((address ?? (await servePage(suite))) + path);
  return { page, errors };
}

test('the page in Chromium', async (suite) => {
  const { page, errors } = await open(suite);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const session = await pageSession(page);
  await suite.test('reaches the prompt', async () => {
    await begin(session);
    await page.screenshot({ path: join(pictures, 'prompt.png') });
  });
  let good = true;
  for (const command of commands)
    await suite.test(command.name ?? command.run, async () => {
      assert(good, 'the console is in an unknown state since the failure before');
      good = false;
      await perform(session, command);
      good = true;
    });
  await suite.test('typed with the keyboard', async () => {
    await page.locator('.xterm-helper-textarea').focus();
    await page.keyboard.type('echo "$((40 + 2)) ~/|\\\\"');
    await page.keyboard.press('Enter');
    await session.waitFor('42 ~/|\\\n');
    await session.waitFor(PROMPT);
  });
  await suite.test('pasted', async () => {
    await page.evaluate(() => {
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', 'echo pasted text');
      document
        .querySelector('.xterm-helper-textarea')
        .dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    });
    await page.keyboard.press('Enter');
    await session.waitFor('\npasted text\n');
    await session.waitFor(PROMPT);
  });
  await suite.test('the window’s size reaches the guest', async () => {
    await page.setViewportSize({ width: 800, height: 500 });
    const size = await page.waitForFunction(() => {
      const { cols, rows } = auklet.terminal;
      return cols < 110 && `${rows} ${cols}`;
    });
    const expected = await size.jsonValue();
    // The shell writes its prompt again when the size changes: the answer needs a mark of its own.
    await session.write(`until [ "$(stty size)" = "${expected}" ]; do usleep 10000; done; echo size: $(stty size)\r`);
    await session.waitFor(`\nsize: ${expected}\n`);
    await session.waitFor(PROMPT);
  });
  assert.deepEqual(errors, []);
});

test('a panic is shown, and the machine restarts', async (suite) => {
  const { page } = await open(suite);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  await session.write('echo c > /proc/sysrq-trigger\r');
  await page.getByRole('heading', { name: 'Kernel panic' }).waitFor();
  await page.screenshot({ path: join(pictures, 'panic.png') });
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('#overlay-diagnostics').click();
  await page.getByText('Copied').waitFor();
  assert.match(
    await page.evaluate(() => navigator.clipboard.readText()),
    /Kernel panic - not syncing: sysrq triggered crash/,
  );
  await page.getByRole('button', { name: 'Restart' }).click();
  await page.waitForFunction(AT_PROMPT);
  assert.equal(await page.locator('#overlay').isHidden(), true);
});

test('reboot restarts the machine in the same page', async (suite) => {
  const { page } = await open(suite);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  await page.evaluate(() => (globalThis.firstMachine = auklet.current));
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  await session.write('reboot\r');
  await page.waitForFunction(`globalThis.auklet?.current !== firstMachine && ${AT_PROMPT}`);
});

test('a host without headers: the service worker adds them', async (suite) => {
  const { page } = await open(suite, { address: await servePage(suite, ['--no-isolation']) });
  await page.waitForFunction(AT_PROMPT);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
});

test('a download that fails is shown', async (suite) => {
  const browser = await launchChromium(suite);
  const page = await browser.newPage();
  await page.route(/vmlinux/, (route) => route.fulfill({ status: 404, body: 'gone' }));
  await page.goto(await servePage(suite));
  await page.getByRole('heading', { name: 'Download failed' }).waitFor();
  assert.match(
    await page.locator('#overlay-text').innerText(),
    /vmlinux\S* could not be downloaded: the server answered 404/,
  );
});

test('a terminal that cannot be downloaded is shown, and comes with the restart', async (suite) => {
  const browser = await launchChromium(suite);
  const page = await browser.newPage();
  await page.route(/terminal-console-[^/]*\.js/, (route) => route.fulfill({ status: 404, body: 'gone' }));
  await page.goto(await servePage(suite));
  await page.getByRole('heading', { name: 'Download failed' }).waitFor();
  assert.match(await page.locator('#overlay-text').innerText(), /the terminal could not be downloaded/);
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Restart' }).click();
  await page.waitForFunction(`globalThis.auklet?.terminal && ${AT_PROMPT}`);
});

test('a page that cannot be isolated says so', async (suite) => {
  const browser = await launchChromium(suite);
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  await page.goto(await servePage(suite, ['--no-isolation']));
  await page.getByRole('heading', { name: 'This page cannot start a machine here' }).waitFor();
  assert.match(await page.locator('#overlay-text').innerText(), /Cross-Origin-Opener-Policy/);
});

test('keys for touch screens', async (suite) => {
  const browser = await launchChromium(suite);
  const context = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 400, height: 800 } });
  const page = await context.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  await session.write('sh -c "echo ready; exec sleep 1000"\r');
  await session.waitFor(/\nready\n/);
  await page.getByRole('button', { name: 'Ctrl' }).tap();
  await session.write('c');
  await session.waitFor(PROMPT);
  await page.screenshot({ path: join(pictures, 'touch.png') });
});
