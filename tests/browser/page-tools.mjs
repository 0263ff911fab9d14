// SPDX-License-Identifier: MIT
// What tests do with the page, in pages of Playwright and of Puppeteer.

import { AT_PROMPT, BROWSER } from './browsers.mjs';

/** Waits until the page's console is at its prompt. */
export const atPrompt = (page) => page.waitForFunction(AT_PROMPT, { timeout: 120_000 });

/** Types a command; returns what it prints. */
export async function type(page, line) {
  const mark = `done-${Math.random().toString(36).slice(2)}`;
  await page.evaluate((text) => auklet.current.write(text), `${line}; echo ${mark.slice(0, 4)}''${mark.slice(4)}\r`);
  await page.waitForFunction((text) => auklet.current.transcript.includes(`${text}\r\n`), {}, mark);
  const transcript = await page.evaluate(() => auklet.current.transcript);
  const end = transcript.lastIndexOf(`${mark}\r\n`);
  const begin = transcript.lastIndexOf("''", end);
  return transcript.slice(transcript.indexOf('\n', begin) + 1, end).replaceAll('\r', '');
}

/** `waitForFunction` has its argument before its options in one library, and behind them in the other. */
export function adapted(page) {
  if (BROWSER === 'firefox') return page;
  const wait = page.waitForFunction.bind(page);
  page.waitForFunction = (expression, _options, argument) => wait(expression, argument);
  return page;
}

/** Clicks the button of this label. */
export const press = (page, label) =>
  page.evaluate((text) => {
    const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent.trim() === text);
    button.click();
  }, label);
