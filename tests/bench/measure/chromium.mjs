// SPDX-License-Identifier: MIT
// The guest in Debian's Chromium, and plain WebAssembly there.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AT_PROMPT, launchChromium, launchPages, servePage } from '../../browser/browsers.mjs';
import { COUNTS, measureGuest, median, output, parseCompute, plainCompute } from '../programs.mjs';
import { idlePercent, pause } from './processes.mjs';

/** The processes of the browser: what this process has started, and what those have. */
function browserProcesses() {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').match(/\((.*)\) \S (\d+)/s);
      parents.set(pid, { name, parent });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid) => pid === String(process.pid) || (parents.has(pid) && isOurs(parents.get(pid).parent));
  return [...parents].filter(([pid, { name }]) => /^chrom/.test(name) && isOurs(pid)).map(([pid]) => pid);
}

/** Milliseconds from the navigation to the prompt. */
async function visit(context, address) {
  const page = await context.newPage();
  await page.goto(address);
  const prompt = await page.waitForFunction(`${AT_PROMPT} && performance.now()`, undefined, { polling: 5 });
  return { page, boot: await prompt.jsonValue() };
}

async function leave(closed) {
  await closed.close();
  await pause(3);
}

/** Runs a program in a machine of its own on the page; gives its output. */
function runOn(page, name, words) {
  return page.evaluate(
    async ([content, command]) => {
      const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
      const { Machine } = auklet;
      const machine = new Machine({
        cpus: 2,
        exec: true,
        files: [{ path: '/root/program', mode: 0o755, content: bytes }],
      });
      machine.on('output', (output) => auklet.terminal.write(output));
      const { status, stdout, stderr } = await machine.exec(['/root/program', ...command]);
      await machine.dispose();
      if (status !== 0) throw new Error(`status ${status}: ${new TextDecoder().decode(stderr)}`);
      return new TextDecoder().decode(stdout);
    },
    [readFileSync(join(output, name)).toString('base64'), words],
  );
}

async function measure(browser, address) {
  const firstBoots = [];
  for (let round = 0; round < 5; ++round) {
    // Contexts share no caches.
    const context = await browser.newContext();
    firstBoots.push((await visit(context, address)).boot);
    await leave(context);
  }
  const context = await browser.newContext();
  const empty = await context.newPage();
  const emptyIdle = await idlePercent(browserProcesses);
  await empty.close();
  const boots = [];
  let page;
  for (let round = 0; round < 6; ++round) {
    if (page !== undefined) await leave(page);
    const visited = await visit(context, address);
    page = visited.page;
    // The first fills the context's caches.
    if (round > 0) boots.push(visited.boot);
  }
  const idle = await idlePercent(browserProcesses);
  const guest = await measureGuest((name, words) => runOn(page, name, words));
  const plain = await page.evaluate(
    `(${plainCompute})(${JSON.stringify(readFileSync(join(output, 'compute.wasm')).toString('base64'))}, ${JSON.stringify(COUNTS)})`,
  );
  return {
    version: browser.version(),
    guest: { boot: median(boots), firstBoot: median(firstBoots), idle, emptyIdle, ...guest },
    plain: parseCompute(plain.join('\n')),
  };
}

/** How often the page is visited with a saved home, and as often without one. */
const BOOTS = 15;

/** Boots of a page that saves nothing and of one that has saved before, in turn, in one browser with a profile. */
async function measureSaving(scope, address) {
  const { context } = await launchPages(scope, undefined, '/usr/bin/chromium');
  const addresses = { bootUnsaved: `${address}?saving=0`, bootSaved: address };
  const times = { bootUnsaved: [], bootSaved: [] };
  for (let round = 0; round <= BOOTS; ++round) {
    const names = Object.keys(addresses);
    // What is first may find more or less of the last one's end.
    for (const name of round % 2 === 0 ? names : names.reverse()) {
      const { page, boot } = await visit(context, addresses[name]);
      // The first round fills the caches and makes the disk.
      if (round > 0) times[name].push(boot);
      await leave(page);
    }
  }
  const middle = (name) => median(times[name]);
  return { bootUnsaved: middle('bootUnsaved'), bootSaved: middle('bootSaved'), boots: times };
}

/** `use` gets an object whose `after(end)` registers what ends later, and the address of the page. */
export async function withPage(use) {
  const ends = [];
  const scope = { after: (end) => ends.unshift(end) };
  try {
    return await use(scope, await servePage(scope));
  } finally {
    for (const end of ends) await end();
  }
}

export const measureChromium = () =>
  withPage(async (scope, address) => {
    const measured = await measure(await launchChromium(scope), address);
    return { ...measured, guest: { ...measured.guest, ...(await measureSaving(scope, address)) } };
  });

/** The boots alone. */
export const measureSavedBoots = () =>
  withPage(async (scope, address) => {
    const version = (await launchChromium(scope)).version();
    return { version, guest: await measureSaving(scope, address) };
  });
