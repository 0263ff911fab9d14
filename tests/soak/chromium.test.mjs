// SPDX-License-Identifier: MIT
// Takes long; run with: ./auklet test -C soak -R soak. A mixed load in Chromium for half of AUKLET_SOAK_SECONDS (15 minutes).

import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { launchChromium, machineSession, servePage } from '../browser/browsers.mjs';
import { SECONDS, soak, soakFiles } from './soak.mjs';

/**
 * Bytes of the browser's processes for pages, shared pages counted once. Its main process and its network service keep some 40 KB each for
 * every worker that a page has ever ended, also if it is an empty page that does nothing else (Chromium 156, without a tool attached).
 */
async function memoryOfRenderers() {
  const parent = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      parent.set(
        pid,
        readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/.*\) . /s, '')
          .split(' ')[0],
      );
    } catch {
      // It has ended.
    }
  }
  let bytes = 0;
  for (const pid of parent.keys()) {
    let ancestor = pid;
    while (ancestor !== undefined && ancestor !== String(process.pid)) ancestor = parent.get(ancestor);
    if (ancestor === undefined || pid === String(process.pid)) continue;
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      bytes += Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)[1]) * 1024;
    } catch {
      // It has ended.
    }
  }
  return bytes;
}

test('in Chromium', async (suite) => {
  const browser = await launchChromium(suite);
  const page = await browser.newPage();
  await page.goto(await servePage(suite));
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const files = soakFiles().map(({ content, ...file }) => ({
    ...file,
    base64: Buffer.from(content).toString('base64'),
  }));
  await page.evaluate(async (files) => {
    // One machine at a time.
    await auklet.current.dispose();
    globalThis.soaked = new auklet.Machine({
      columns: 240,
      rows: 40,
      files: files.map(({ base64, ...file }) => ({
        ...file,
        content: Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
      })),
    });
  }, files);
  await soak(await machineSession(page, 'soaked'), {
    seconds: Math.round(SECONDS / 2),
    resident: memoryOfRenderers,
    report: console.log,
  });
});
