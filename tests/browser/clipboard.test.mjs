// SPDX-License-Identifier: MIT
// Programs of the guest and the visitor's clipboard (OSC 52): it is never read, and written only after it was allowed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROMPT } from '../boot/session.mjs';
import { launchChromium, pageSession, servePage } from './browsers.mjs';

/** A page at the prompt, that may use the clipboard as far as the browser is concerned, with a text in it. */
async function open(browser, address) {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  await page.goto(address);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const session = await pageSession(page);
  await session.waitFor(PROMPT);
  await page.evaluate(async () => {
    await navigator.clipboard.writeText('a secret');
    const { readText, writeText } = navigator.clipboard;
    globalThis.reads = 0;
    globalThis.readClipboard = readText.bind(navigator.clipboard);
    navigator.clipboard.readText = () => (++reads, readClipboard());
    globalThis.writes = [];
    navigator.clipboard.writeText = (text) => (writes.push(text), writeText.call(navigator.clipboard, text));
    globalThis.typed = '';
    auklet.terminal.onData((text) => (typed += text));
  });
  return { page, session };
}

let lines = 0;

/**
 * Runs a line to its end. While the question comes or goes the terminal has another size, and the shell repeats its prompt:
 * a prompt alone does not say which line has ended.
 */
const run = async (session, line) => {
  const number = ++lines;
  await session.write(`${line}; echo line $((${number}))\r`);
  await session.waitFor(`\nline ${number}\n`);
  await session.waitFor(PROMPT);
};

/** Prints the sequence, and asks for the cursor's position: what is asked first is answered first. */
const print = async (session, sequence) => {
  const answer = 'dd bs=32 count=1 > /dev/null 2>&1';
  await run(session, `stty raw -echo; printf '\\033]52;%s\\007\\033[6n' '${sequence}'; ${answer}; stty sane; echo`);
};
const copy = (session, text, selection = 'c') => print(session, `${selection};${Buffer.from(text).toString('base64')}`);
const clipboard = (page) => page.evaluate(() => readClipboard());

test('programs and the clipboard', async (suite) => {
  const browser = await launchChromium(suite);
  const address = await servePage(suite);
  const { page, session } = await open(browser, address);
  const question = page.locator('#question');

  await suite.test('a question is not answered', async () => {
    for (const selection of ['c', 's', 'p', '']) await print(session, `${selection};?`);
    assert.equal(await page.evaluate(() => reads), 0);
    assert.equal(await question.isVisible(), false);
    // Whatever would be sent comes before what the page does next.
    await run(session, 'true');
    assert.doesNotMatch(await page.evaluate(() => typed), /\x1b\]52/);
  });

  await suite.test('a text is not copied before the visitor has allowed it', async () => {
    await copy(session, 'one');
    await question.waitFor();
    await copy(session, 'two <b>ü</b>');
    await page.getByText('A program wants to copy to your clipboard: “two <b>ü</b>”').waitFor();
    assert.deepEqual(await page.evaluate(() => writes), []);
    assert.equal(await clipboard(page), 'a secret');
  });

  await suite.test('the last text is copied when it is allowed, later ones at once', async () => {
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForFunction(async () => (await readClipboard()) === 'two <b>ü</b>');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'xterm-helper-textarea');
    await copy(session, 'three', '');
    await page.waitForFunction(async () => (await readClipboard()) === 'three');
    assert.equal(await question.isVisible(), false);
  });

  await suite.test('allowed or not, it is not read', async () => {
    await print(session, 'c;?');
    await run(session, 'true');
    assert.equal(await page.evaluate(() => reads), 0);
    assert.doesNotMatch(await page.evaluate(() => typed), /\x1b\]52/);
  });

  await suite.test('what is no text, or for another selection, is dropped', async () => {
    for (const sequence of ['c;%%%', 'c;/w==', 'c;', 'p;b25l', 'c', '0;b25l']) await print(session, sequence);
    await run(session, 'true');
    assert.deepEqual(await page.evaluate(() => writes), ['two <b>ü</b>', 'three']);
  });

  await suite.test('a browser that refuses it without a click gets one', async () => {
    await page.evaluate(() => {
      const write = navigator.clipboard.writeText;
      navigator.clipboard.writeText = (text) => {
        navigator.clipboard.writeText = write;
        return Promise.reject(new DOMException(text, 'NotAllowedError'));
      };
    });
    await copy(session, 'four');
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForFunction(async () => (await readClipboard()) === 'four');
  });

  await suite.test('never means never', async () => {
    const { page, session } = await open(browser, address);
    await copy(session, 'one');
    await page.getByRole('button', { name: 'Never' }).click();
    await copy(session, 'two');
    await run(session, 'true');
    assert.equal(await page.locator('#question').isVisible(), false);
    assert.deepEqual(await page.evaluate(() => writes), []);
  });
});
