// SPDX-License-Identifier: MIT
// Programs compiled with -g in Chromium's debugger, over the protocol that DevTools uses: the debugger finds DWARF in the
// module of the worker that runs the program, a breakpoint at a line's address is hit there, and steps go from line to line.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, root } from '../boot/machines.mjs';
import { CHROMIUM_OPTIONS, servePage } from './browsers.mjs';

const source = join(root, 'tests/browser/debugged.c');
const folder = join(build, 'tests/debugger');

/** Number of the line of debugged.c with this comment. */
const line = (word) =>
  readFileSync(source, 'utf8')
    .split('\n')
    .findIndex((text) => text.includes(`/* ${word} */`)) + 1;

/** The rows of a program's line table for debugged.c, by address in the code section: { address, line }. */
function lineTable(program) {
  const text = execFileSync('llvm-dwarfdump-22', ['--debug-line', program], { encoding: 'utf8' });
  const table = text.split(/^debug_line\[/m).find((part) => part.includes('debugged.c"'));
  return [...table.matchAll(/^0x([0-9a-f]+) +([0-9]+) /gm)].map(([, address, number]) => ({
    address: Number.parseInt(address, 16),
    line: Number(number),
  }));
}

/**
 * Chromium's debugger. Not by way of Playwright, which attaches to all workers itself, and resumes them.
 * Messages of a worker have its session; without one they are the browser's.
 */
class Debugger {
  #socket;
  #requests = 0;
  #waiting = new Map();
  /** Called with the session, method and parameters of each event. */
  onEvent = () => {};

  static async launch(suite) {
    const profile = mkdtempSync(join(tmpdir(), 'auklet-debugger-'));
    const options = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, ...CHROMIUM_OPTIONS];
    const browser = spawn('/usr/bin/chromium', options, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => browser.on('exit', resolve));
    suite.after(async () => {
      browser.kill();
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    const address = await new Promise((resolve, reject) => {
      let text = '';
      browser.stderr.on('data', (bytes) => {
        text += bytes;
        const found = text.match(/DevTools listening on (ws:\S+)/);
        if (found !== null) resolve(found[1]);
      });
      void ended.then((status) => reject(new Error(`chromium ended with ${status}: ${text}`)));
    });
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return new Debugger(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  /** Never resolves if the session ends before the answer. */
  send(sessionId, method, params = {}) {
    const id = ++this.#requests;
    this.#socket.send(JSON.stringify({ id, sessionId, method, params }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { method, resolve, reject }));
  }

  /** The value of an expression in the page. */
  async evaluate(sessionId, expression) {
    const { result, exceptionDetails } = await this.send(sessionId, 'Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description);
    return result.value;
  }

  #receive({ id, sessionId, error, result, method, params }) {
    if (id === undefined) {
      this.onEvent(sessionId, method, params);
      return;
    }
    const request = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) request.resolve(result);
    else if (error.code !== NO_SESSION) request.reject(new Error(`${request.method}: ${error.message}`));
  }
}

/** The worker is gone. */
const NO_SESSION = -32001;

async function debug(chromium, address, name, flags) {
  const program = join(folder, name);
  execFileSync(join(build, 'sdk/bin/wasm32-linux-musl-clang'), ['-g', '-O0', ...flags, source, '-o', program]);
  const table = lineTable(program);
  const steps = [];

  const { targetId } = await chromium.send(undefined, 'Target.createTarget', { url: 'about:blank' });
  const { sessionId: page } = await chromium.send(undefined, 'Target.attachToTarget', { targetId, flatten: true });
  const loaded = new Promise((resolve) => {
    chromium.onEvent = (_, method) => method === 'Page.loadEventFired' && resolve();
  });
  await chromium.send(page, 'Page.enable');
  await chromium.send(page, 'Page.navigate', { url: address });
  await loaded;
  // The page's own machine is not what is debugged.
  await chromium.evaluate(
    page,
    `new Promise((resolve) => {
      const look = () => globalThis.auklet?.current === undefined ? requestAnimationFrame(look) : resolve();
      look();
    }).then(() => auklet.current.dispose())`,
  );

  /** The program's scripts in each worker, by session and identity. */
  const scripts = new Map();

  /** Before a worker runs anything. */
  const follow = async (session) => {
    const send = (method, params) => chromium.send(session, method, params);
    await send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: true, flatten: true });
    if (session === page) return;
    await send('Debugger.enable');
    await send('Debugger.setInstrumentationBreakpoint', { instrumentation: 'beforeScriptExecution' });
    await send('Runtime.runIfWaitingForDebugger');
  };

  const pause = async (session, { reason, data, callFrames }) => {
    const send = (method, params) => chromium.send(session, method, params);
    const scriptOf = (id) => scripts.get(`${session} ${id}`);
    if (reason === 'instrumentation') {
      // Nothing of this script has run in this worker.
      const script = scriptOf(data.scriptId);
      if (script !== undefined) {
        const found = script.debugSymbols.map(({ type }) => type);
        assert.deepEqual(found, ['EmbeddedDWARF']);
        const { address: offset } = table.find((row) => row.line === line('first'));
        const location = { scriptId: script.scriptId, lineNumber: 0, columnNumber: script.codeOffset + offset };
        await send('Debugger.setBreakpoint', { location });
      }
      return send('Debugger.resume');
    }
    const frames = callFrames.map(({ functionName, location }) => {
      const script = scriptOf(location.scriptId);
      const row = table.findLast((each) => script?.codeOffset + each.address <= location.columnNumber);
      return { functionName, line: row?.line };
    });
    steps.push(frames.slice(0, 2));
    if (frames[0].line !== line('first')) return send('Debugger.resume');
    // As DevTools does: a step may not end at another instruction of the same line.
    const { scriptId } = callFrames[0].location;
    const at = (row) => ({ lineNumber: 0, columnNumber: scriptOf(scriptId).codeOffset + row.address });
    const start = table.findIndex((row) => row.line === line('first'));
    const end = table.findIndex((row, index) => index > start && row.line !== line('first'));
    return send('Debugger.stepOver', { skipList: [{ scriptId, start: at(table[start]), end: at(table[end]) }] });
  };

  const failure = new Promise((_, reject) => {
    chromium.onEvent = (session, method, params) => {
      if (method === 'Target.attachedToTarget') follow(params.sessionId).catch(reject);
      else if (method === 'Debugger.paused') pause(session, params).catch(reject);
      else if (method === 'Debugger.scriptParsed' && params.url.startsWith(`wasm://wasm/${name}-`))
        scripts.set(`${session} ${params.scriptId}`, params);
    };
  });
  await follow(page);

  const run = chromium.evaluate(
    page,
    `(async () => {
      const content = Uint8Array.from(atob(${JSON.stringify(readFileSync(program).toString('base64'))}), (c) => c.charCodeAt(0));
      const files = [{ path: '/root/program', mode: 0o755, content }];
      const machine = new auklet.Machine({ cpus: 1, memory: 128, exec: true, files });
      const { status, stdout } = await machine.exec(['/root/program']);
      return { status, output: new TextDecoder().decode(stdout) };
    })()`,
  );
  const result = await Promise.race([run, failure]);
  chromium.onEvent = () => {};
  await chromium.send(undefined, 'Target.closeTarget', { targetId });
  return { result, steps };
}

test('stepping through a program in Chromium', async (suite) => {
  mkdirSync(folder, { recursive: true });
  const chromium = await Debugger.launch(suite);
  const address = await servePage(suite);
  // Asyncify rewrites a program that forks, and its line table.
  for (const [name, flags] of [
    ['plain', []],
    ['forking', ['-DFORKS']],
  ])
    await suite.test(name, async () => {
      const { result, steps } = await debug(chromium, address, name, flags);
      assert.deepEqual(result, { status: 0, output: '40\n' });
      const caller = { functionName: '$__original_main', line: line('call') };
      assert.deepEqual(steps, [
        [{ functionName: '$square', line: line('first') }, caller],
        [{ functionName: '$square', line: line('second') }, caller],
      ]);
    });
});
