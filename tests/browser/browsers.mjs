// SPDX-License-Identifier: MIT
// Debian's browsers with the page of build/dist in them.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, cli, root } from '../boot/machines.mjs';
import { Session } from '../boot/session.mjs';
import { launchWebKit } from './webdriver.mjs';

// The packages of the registry are those of web/.
const require = createRequire(join(root, 'web/package.json'));

export const CHROMIUM_OPTIONS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Serves the page, or another folder; resolves with its address. */
export function servePage(test, options = [], folder = join(build, 'dist')) {
  const server = spawn(process.execPath, [cli, 'serve', '--port', '0', ...options, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  test.after(() => server.kill());
  return new Promise((resolve, reject) => {
    let output = '';
    server.stdout.on('data', (bytes) => {
      output += bytes;
      const address = output.match(/http:\S+/);
      if (address !== null) resolve(address[0]);
    });
    server.on('exit', (status) => reject(new Error(`the server ended with ${status}`)));
  });
}

/**
 * An expression for a page: whether its machine's console ends in a prompt. The shell writes it again when it is told of the
 * terminal's size.
 */
export const AT_PROMPT = String.raw`/# (\x1b\[J)?$/.test(globalThis.auklet?.current?.transcript ?? '')`;

export async function launchChromium(test) {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_OPTIONS });
  test.after(() => browser.close());
  return browser;
}

/** Chromium as a process that the test can stop, with more environment variables. */
export async function launchChromiumProcess(test, environment) {
  const { chromium } = require('playwright-core');
  const server = await chromium.launchServer({
    executablePath: '/usr/bin/chromium',
    args: CHROMIUM_OPTIONS,
    env: { ...process.env, ...environment },
  });
  test.after(() => server.close());
  return { browser: await chromium.connect(server.wsEndpoint()), pid: server.process().pid };
}

async function launchPuppeteer(test, options) {
  const browser = await require('puppeteer-core').launch({ headless: true, ...options });
  test.after(() => browser.close());
  return browser;
}

/** Playwright needs a patched Firefox; WebDriver BiDi drives Debian's. */
export const launchFirefox = (test, options = {}) =>
  launchPuppeteer(test, { browser: 'firefox', executablePath: '/usr/bin/firefox-esr', ...options });

/** chromium, firefox or webkit. */
export const BROWSER = process.env.AUKLET_TEST_BROWSER ?? 'chromium';

/** An empty page of BROWSER. */
export async function launchPage(test) {
  switch (BROWSER) {
    case 'webkit':
      return launchWebKit(test);
    case 'firefox':
      return (await launchFirefox(test)).newPage();
    default:
      return (await launchChromium(test)).newPage();
  }
}

export const browserPath = () => (BROWSER === 'firefox' ? '/usr/bin/firefox-esr' : '/usr/bin/chromium');

/** A folder for what a browser keeps, which is gone after the test. */
export function makeProfile(test) {
  const profile = mkdtempSync(join(tmpdir(), 'auklet-profile-'));
  test.after(() => rmSync(profile, { recursive: true, maxRetries: 5 }));
  return profile;
}

/**
 * Starts BROWSER with a folder of its own, so that sites can keep something. Resolves with `newPage`, which opens a further
 * tab. `executablePath` is the browser, or a program that executes it.
 */
export async function launchPages(test, profile = makeProfile(test), executablePath = browserPath()) {
  switch (BROWSER) {
    case 'webkit': {
      const page = await launchWebKit(test);
      return { newPage: () => page };
    }
    case 'firefox': {
      const browser = await launchFirefox(test, { userDataDir: profile, executablePath });
      return { browser, newPage: () => browser.newPage() };
    }
    default: {
      const { chromium } = require('playwright-core');
      const context = await chromium.launchPersistentContext(profile, {
        executablePath,
        args: CHROMIUM_OPTIONS,
      });
      test.after(() => context.close());
      return { context, newPage: () => context.newPage() };
    }
  }
}

/**
 * Starts BROWSER, whose tabs know which one of them is seen: Playwright lets all believe that they are. Its pages are
 * Puppeteer's.
 */
export function launchTabs(test, profile) {
  if (BROWSER === 'firefox') return launchFirefox(test, { userDataDir: profile });
  const options = { browser: 'chrome', executablePath: browserPath(), args: CHROMIUM_OPTIONS, userDataDir: profile };
  return launchPuppeteer(test, options);
}

/**
 * A Session with the page's terminal: keys go through xterm.js as typed text, output is what the machine sent.
 * Works with Playwright's pages and with Puppeteer's.
 */
export async function pageSession(page) {
  const session = new Session({
    write: (text) => page.evaluate((keys) => auklet.terminal.input(keys, true), text),
    resize: (columns, rows) => page.evaluate(([c, r]) => auklet.terminal.resize(c, r), [columns, rows]),
  });
  await listen(page, session, 'auklet.current');
  return session;
}

/** A Session with a machine of the page that is no terminal's: `name` is a global variable there. */
export async function machineSession(page, name) {
  const session = new Session({
    write: (text) => page.evaluate(([name, keys]) => globalThis[name].write(keys), [name, text]),
    resize: (columns, rows) => page.evaluate(([name, c, r]) => globalThis[name].resize(c, r), [name, columns, rows]),
  });
  await listen(page, session, name);
  return session;
}

/** `machine` is an expression of the page. */
async function listen(page, session, machine) {
  await page.exposeFunction('testOutput', (text) => session.feed(Buffer.from(text, 'base64')));
  await page.exposeFunction('testEnd', (text) => session.end(text));
  await page.evaluate((expression) => {
    const machine = expression.split('.').reduce((object, name) => object[name], globalThis);
    const send = (bytes) => {
      let text = '';
      for (const byte of bytes) text += String.fromCharCode(byte);
      testOutput(btoa(text));
    };
    // What it printed before this and the page's own handler has got; else it comes to this one.
    if (expression === 'auklet.current') send(new TextEncoder().encode(machine.transcript));
    machine.on('output', send);
    machine.on('halted', testEnd);
    machine.on('error', (error) => testEnd(error.message));
  }, machine);
}
