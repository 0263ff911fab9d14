// SPDX-License-Identifier: MIT
// WebKitGTK's MiniBrowser over WebDriver: what the tests use of Playwright's pages.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';

/** Milliseconds that a page may take for one script. Nothing waits longer than it has to. */
const SCRIPT_TIMEOUT = 180_000 * Number(process.env.AUKLET_PATIENCE ?? 1);
/** Milliseconds for which a page is asked once for calls of exposed functions: other commands wait for that. */
const POLL = 50;
const JSON_HEADERS = { 'Content-Type': 'application/json' };

/** Resolves with the first line of `stream` that matches. */
function lineOf(child, stream, pattern) {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.on('data', (bytes) => {
      text += bytes;
      const match = text.match(pattern);
      if (match !== null) resolve(match[1]);
    });
    child.on('error', reject);
    child.on('exit', (status) => reject(new Error(`${child.spawnfile} ended with ${status}: ${text}`)));
  });
}

async function freePort() {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A tab. Scripts are functions or expressions, as of Playwright's pages; one runs at a time. */
class Page {
  #address;
  #last = Promise.resolve();
  #exposed = new Map();
  #closed = false;

  constructor(address) {
    this.#address = address;
  }

  command(method, path, body) {
    const result = this.#last.then(async () => {
      const response = await fetch(`${this.#address}${path}`, {
        method,
        ...(body === undefined ? {} : { headers: JSON_HEADERS, body: JSON.stringify(body) }),
      });
      const { value } = await response.json();
      if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
      return value;
    });
    this.#last = result.catch(() => {});
    return result;
  }

  goto(url) {
    return this.command('POST', '/url', { url });
  }

  reload() {
    return this.command('POST', '/refresh', {});
  }

  async evaluate(script, argument) {
    const expression = typeof script === 'function' ? `(${script})(argument)` : `(${script})`;
    const outcome = await this.command('POST', '/execute/async', {
      // An exception must come through as one.
      script: `const [argument, done] = arguments;
        (async () => ${expression})().then(
          (value) => done({ value }),
          (error) => done({ error: String(error?.message ?? error) }));`,
      args: [argument ?? null],
    });
    if (outcome.error !== undefined) throw new Error(outcome.error);
    return outcome.value;
  }

  /** Waits in the page, a little at a time, until the expression is true. */
  async waitForFunction(script, _argument, { timeout = SCRIPT_TIMEOUT } = {}) {
    const expression = typeof script === 'function' ? `(${script})()` : `(${script})`;
    const deadline = Date.now() + timeout;
    while (Date.now() < deadline) {
      const value = await this.evaluate(`(async () => {
        for (const end = performance.now() + ${POLL}; ; await new Promise((resolve) => setTimeout(resolve, 5))) {
          const value = ${expression};
          if (value || performance.now() > end) return Boolean(value);
        }
      })()`);
      if (value) return;
    }
    const text = await this.evaluate(
      () => `${document.body.innerText}\n${globalThis.auklet?.current?.transcript ?? ''}`,
    );
    throw new Error(`not in ${timeout / 1000} s: ${script}\n${text}`);
  }

  /** Calls of the page's global function `name` become calls of `callback` here, in order. */
  async exposeFunction(name, callback) {
    const first = this.#exposed.size === 0;
    this.#exposed.set(name, callback);
    await this.evaluate((name) => {
      globalThis.exposedCalls ??= [];
      globalThis[name] = (...values) => void globalThis.exposedCalls.push([name, values]);
    }, name);
    if (first) void this.#listen();
  }

  async #listen() {
    while (!this.#closed) {
      let calls;
      try {
        calls = await this.evaluate(`(async () => {
          for (const end = performance.now() + ${POLL}; ; await new Promise((resolve) => setTimeout(resolve, 2)))
            if (globalThis.exposedCalls?.length > 0 || performance.now() > end) return globalThis.exposedCalls?.splice(0) ?? [];
        })()`);
      } catch {
        // The page is being loaded, or gone.
        await new Promise((resolve) => setTimeout(resolve, POLL));
        continue;
      }
      for (const [name, values] of calls) this.#exposed.get(name)(...values);
    }
  }

  async close() {
    this.#closed = true;
    await this.command('DELETE', '', undefined).catch(() => {});
  }
}

/** Starts an X server, the driver and the browser; all end with the test. Resolves with the browser's page. */
export async function launchWebKit(test) {
  const children = [];
  const start = (command, words, options) => {
    const child = spawn(command, words, options);
    children.push(child);
    return child;
  };
  let page;
  test.after(async () => {
    await page?.close();
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill();
      await once(child, 'exit');
    }
  });
  const server = start('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const display = await lineOf(server, server.stdio[3], /^(\d+)\n/);
  const port = await freePort();
  const driver = start('WebKitWebDriver', [`--port=${port}`, '--host=127.0.0.1'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      DISPLAY: `:${display}`,
      // Shared memory is there only for those who ask.
      JSC_useSharedArrayBuffer: '1',
      // There is no graphics card, and no session of a desktop.
      LIBGL_ALWAYS_SOFTWARE: '1',
      WEBKIT_DISABLE_DMABUF_RENDERER: '1',
      GTK_A11Y: 'none',
      NO_AT_BRIDGE: '1',
    },
  });
  const address = `http://127.0.0.1:${port}`;
  for (;;) {
    // The driver says nothing when it listens.
    const ready = await fetch(`${address}/status`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) break;
    if (driver.exitCode !== null) throw new Error(`WebKitWebDriver ended with ${driver.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [binary] = globSync('/usr/lib/*/webkit2gtk-4.1/MiniBrowser');
  const response = await fetch(`${address}/session`, {
    method: 'POST',
    headers: JSON_HEADERS,
    body: JSON.stringify({
      capabilities: {
        alwaysMatch: {
          'webkitgtk:browserOptions': { binary, args: ['--automation'] },
          timeouts: { script: SCRIPT_TIMEOUT, pageLoad: SCRIPT_TIMEOUT },
        },
      },
    }),
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`WebKit did not start: ${value.error}: ${value.message}`);
  page = new Page(`${address}/session/${value.sessionId}`);
  return page;
}
