// SPDX-License-Identifier: MIT
// The page's network, as its visitor has it: by the relay of `auklet serve`, by another one, by fetch(), and not at all.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { build, cli } from '../boot/machines.mjs';
import { BROWSER, launchPages } from './browsers.mjs';
import { adapted, atPrompt, press, type } from './page-tools.mjs';

const GATEWAY = '10.0.2.2';

/** The site with its relay. */
async function startSite(suite, port = 0) {
  const words = ['serve', '--port', String(port), '--network-allow', 'host', join(build, 'dist')];
  const site = spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  suite.after(() => site.kill('SIGKILL'));
  const [line] = await once(createInterface(site.stdout), 'line');
  return { site, address: /http:\S+/.exec(line)[0] };
}

/** A web server of this computer; resolves with its port. */
async function serve(suite, content) {
  const server = createServer((_, response) => response.end(content)).listen(0, '127.0.0.1');
  suite.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return server.address().port;
}

const text = (page, id) => page.evaluate((name) => document.getElementById(name).textContent.trim(), id);
const waitForText = (page, id, expected) =>
  page.waitForFunction(
    ([name, source]) => new RegExp(source).test(document.getElementById(name).textContent.trim()),
    {},
    [id, expected],
  );
const isShown = (page, id) => page.evaluate((name) => !document.getElementById(name).hidden, id);
const waitForShown = (page, id, shown = true) =>
  page.waitForFunction(([name, value]) => document.getElementById(name).hidden !== value, {}, [id, shown]);

/** Chooses in the menu. */
async function choose(page, kind, url) {
  await page.evaluate(() => document.getElementById('network').click());
  if (kind === 'own')
    await page.waitForFunction(
      () =>
        !document.getElementById('network-own').disabled &&
        document.getElementById('network-missing').textContent === '',
    );
  else await page.waitForFunction(() => document.querySelector('#network-form :checked') !== null);
  // The form has been loaded when it shows what is chosen, and its script handles the button then.
  await page.waitForFunction(() => document.getElementById('network-address').hasAttribute('aria-invalid'));
  await page.evaluate(
    ([id, address]) => {
      document.getElementById(id).click();
      if (address !== undefined) document.getElementById('network-address').value = address;
    },
    [`network-${kind}`, url],
  );
  await press(page, 'Use');
}

/** Whether the machine is the one that this has marked before. */
const mark = (page) => page.evaluate(() => void (auklet.current.isMarked = true));
const isMarked = (page) => page.evaluate(() => auklet.current.isMarked === true);
const waitForAnother = async (page) => {
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined && !auklet.current.isMarked);
  await atPrompt(page);
};
const hasCard = async (page) => (await type(page, 'ls /sys/class/net')).includes('eth0');

test(`the page’s network in ${BROWSER}`, async (suite) => {
  const content = randomBytes(4 << 20);
  const sum = `${createHash('sha256').update(content).digest('hex')}  -`;
  const web = await serve(suite, content);
  const first = await startSite(suite);
  const { address } = first;
  let { site } = first;
  const { newPage } = await launchPages(suite);
  const page = adapted(await newPage());
  page.setDefaultTimeout(120_000);
  const download = async () => (await type(page, `wget -q -O - http://${GATEWAY}:${web}/ | sha256sum`)).trim();

  await suite.test('nothing, unless it is wanted', async () => {
    await page.goto(`${address}?saving=0`);
    await atPrompt(page);
    assert.equal(await text(page, 'network'), 'Network: off');
    assert.equal(await hasCard(page), false);
    const asked = await page.evaluate(() =>
      performance.getEntriesByType('resource').some(({ name }) => /relay\.json|network-form/.test(name)),
    );
    assert.equal(asked, false);
  });

  await suite.test('the relay of this server', async () => {
    await mark(page);
    await choose(page, 'own');
    // Nobody has typed: there is no question.
    await waitForAnother(page);
    await waitForText(page, 'network', '^Network: on$');
    assert.equal(await download(), sum);
    assert.match(await type(page, `wget -O - http://${GATEWAY}:1/`), /refused/);
    assert.match(await type(page, 'wget -O - http://192.168.0.1/'), /unreachable/);
    assert.equal(await text(page, 'network-state'), 'On. Linux reaches the internet by the relay of this server.');
  });

  await suite.test('another network, and none, while the machine runs', async () => {
    await mark(page);
    await page.evaluate(() => auklet.terminal.input(': used\r', true));
    await choose(page, 'fetch');
    await waitForText(page, 'network-state', '^On. Linux reaches web servers that allow it, by this browser.$');
    assert.match(await type(page, 'wget -q -O - http://origin.auklet/about.html'), /<title>/);
    assert.match(await type(page, `wget -O - http://${GATEWAY}:${web}/`), /refused/);
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'onLine', { value: false, configurable: true });
      dispatchEvent(new Event('offline'));
    });
    assert.match(await text(page, 'network-state'), /This browser is offline now\.$/);
    await page.evaluate(() => delete navigator.onLine);
    await choose(page, 'none');
    await waitForText(page, 'network', '^Network: off$');
    assert.match(await type(page, `wget -O - http://${GATEWAY}:${web}/`), /unreachable/);
    await choose(page, 'own');
    await waitForText(page, 'network', '^Network: on$');
    assert.equal(await download(), sum);
    assert.equal(await isMarked(page), true);
  });

  await suite.test('the relay goes away, and another one comes', async () => {
    site.kill('SIGKILL');
    await once(site, 'close');
    await waitForText(page, 'network', '^Network: away$');
    await waitForShown(page, 'notice');
    assert.match(
      await text(page, 'notice-text'),
      /^There is no network: .* Linux waits for the relay of this server\.$/,
    );
    assert.match(await type(page, `wget -O - http://${GATEWAY}:${web}/`), /unreachable/);
    // It has another token.
    ({ site } = await startSite(suite, Number(new URL(address).port)));
    await waitForText(page, 'network', '^Network: on$');
    assert.equal(await isShown(page, 'notice'), false);
    assert.equal(await download(), sum);
    assert.equal(await isMarked(page), true);
  });

  await suite.test('the choice is kept', async () => {
    await page.goto('about:blank');
    await page.goto(`${address}?saving=0`);
    await atPrompt(page);
    await waitForText(page, 'network', '^Network: on$');
    assert.equal(await download(), sum);
  });

  await suite.test('a link’s relay is asked about', async () => {
    await page.goto('about:blank');
    await page.goto(`${address}?saving=0&network=relay:ws://127.0.0.1:1/secret/`);
    await waitForText(page, 'overlay-title', '^A network for Linux\\?$');
    const question = await text(page, 'overlay-text');
    assert.match(question, /the relay at 127\.0\.0\.1:1 for Linux/);
    assert(!question.includes('secret'));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Start without the network');
    await press(page, 'Start without the network');
    await atPrompt(page);
    assert.equal(await hasCard(page), false);
    // The visitor's own choice stays.
    assert.equal(await page.evaluate(() => localStorage.getItem('auklet.network')), 'relay');
  });

  await suite.test('a relay that is not there, and one that wants another token', async () => {
    await page.goto('about:blank');
    await page.goto(`${address}?saving=0&network=relay:ws://127.0.0.1:1/secret/`);
    await waitForText(page, 'overlay-title', '^A network for Linux\\?$');
    await press(page, 'Use the network');
    await atPrompt(page);
    await waitForText(
      page,
      'notice-text',
      '^There is no network: the relay does not answer, or refuses this address\\.',
    );
    await mark(page);
    await choose(page, 'relay', `${address.replace('http', 'ws')}wrong-token/`);
    await waitForText(
      page,
      'network-state',
      `refuses this address\\. Linux waits for the relay at ${new URL(address).host}`,
    );
    await choose(page, 'relay', 'https://example.org/');
    await waitForText(page, 'network-fault', '^The address of a relay begins with ws:// or wss://, not https:\\.$');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'network-address');
    assert.equal(await isMarked(page), true);
    await page.evaluate(() => document.getElementById('network').click());
  });

  await suite.test('a machine that is used is not started again without a question', async () => {
    await page.goto('about:blank');
    await page.goto(`${address}?saving=0&network=none`);
    await atPrompt(page);
    await mark(page);
    const kept = await page.evaluate(() => localStorage.getItem('auklet.network'));
    await page.evaluate(() => auklet.terminal.input(': used\r', true));
    await choose(page, 'fetch');
    await waitForText(page, 'overlay-title', '^Start Linux again\\?$');
    await press(page, 'Not now');
    assert.equal(await isMarked(page), true);
    assert.equal(await page.evaluate(() => localStorage.getItem('auklet.network')), kept);
    await choose(page, 'fetch');
    await waitForText(page, 'overlay-title', '^Start Linux again\\?$');
    await press(page, 'Start again');
    await waitForAnother(page);
    assert.equal(await hasCard(page), true);
    assert.match(await type(page, 'wget -q -O - http://origin.auklet/about.html'), /<title>/);
    // A link with arguments for the kernel does not get the visitor's network by itself.
    await page.evaluate(() => auklet.current.dispose());
    await page.goto('about:blank');
    await page.goto(`${address}?saving=0&arguments=quiet`);
    await waitForText(page, 'overlay-text', '^The address has arguments for the kernel\\.');
    await press(page, 'Start without the network');
    await atPrompt(page);
    assert.equal(await hasCard(page), false);
  });
});
