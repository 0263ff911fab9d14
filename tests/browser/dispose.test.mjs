// SPDX-License-Identifier: MIT
// dispose() in browsers: soon, whatever the guest does. AUKLET_TEST_BROWSER: chromium, firefox or webkit.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from '../boot/machines.mjs';
import { BROWSER, launchPage, servePage } from './browsers.mjs';

/**
 * Milliseconds. It takes less than 200 on a quiet computer (docs/decisions/0010-how-a-machine-ends.md); an engine that is
 * left to itself takes 2,000 or for ever.
 */
const MOST = 1000 * Number(process.env.AUKLET_PATIENCE ?? 1);

async function open(suite) {
  const address = await servePage(suite);
  const page = await launchPage(suite);
  await page.goto(address);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  return page;
}

const spin = readFileSync(join(build, 'tests/programs/spin')).toString('base64');

const STATES = [
  ['idle', 'true'],
  ['with 50 processes', 'for i in $(seq 50); do sleep 1000 & done'],
  ['with system calls without end', 'cat /dev/zero > /dev/null & yes | cat > /dev/null &'],
  ['with a program that spins', '/root/spin > /dev/null & usleep 200000'],
  ['after one that spins was killed', '/root/spin > /dev/null & usleep 200000; kill -9 $!'],
  ['after a panic', 'echo c > /proc/sysrq-trigger'],
  ['in the middle of a boot', null],
];

/** What /proc says of this process's descendants, the browser's processes. */
function descendants() {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // The name before it may contain blanks and parentheses.
      const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      parents.set(pid, parent);
    } catch {
      // It has just ended.
    }
  }
  const isOurs = (pid) => pid === String(process.pid) || (parents.has(pid) && isOurs(parents.get(pid)));
  return [...parents.keys()].filter(isOurs);
}

function workerThreads() {
  let count = 0;
  for (const pid of descendants()) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`))
        if (readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').startsWith('DedicatedWorker')) ++count;
    } catch {
      // It has just ended.
    }
  }
  return count;
}

test(`dispose in ${BROWSER}`, async (suite) => {
  const page = await open(suite);
  for (const [name, line] of STATES)
    await suite.test(name, async (report) => {
      const took = await page.evaluate(
        async ([line, program]) => {
          const content = Uint8Array.from(atob(program), (character) => character.charCodeAt(0));
          const machine = new auklet.Machine({
            cpus: 2,
            memory: 128,
            exec: true,
            files: [{ path: '/root/spin', mode: 0o755, content }],
          });
          if (line === null) {
            machine.started.catch(() => {});
            await new Promise((resolve) => machine.on('stage', (stage) => stage === 'booting' && resolve()));
          } else {
            await machine.started;
            // What it leaves in the background keeps no port of the agent.
            const end = machine.exec(['sh', '-c', `exec < /dev/null > /dev/null 2>&1; ${line}`]).catch(() => {});
            await Promise.race([end, machine.halted]);
          }
          const begin = performance.now();
          await machine.dispose();
          const took = performance.now() - begin;
          await machine.halted;
          return took;
        },
        [line, spin],
      );
      report.diagnostic(`${took.toFixed(0)} ms`);
      assert.ok(took < MOST, `${took} ms`);
    });
  await suite.test('the page’s own machine restarts', async () => {
    await page.evaluate(async () => {
      const first = auklet.current;
      await auklet.restart();
      if (auklet.current === first) throw new Error('it is the old one');
    });
    await page.waitForFunction(() => /# $/.test(globalThis.auklet?.current?.transcript ?? ''));
  });
  // Only Chromium names its threads so.
  await suite.test('no thread of a worker remains', { skip: BROWSER !== 'chromium', timeout: 120_000 }, async () => {
    assert.ok(workerThreads() > 0);
    for (const line of [undefined, 'echo; while :; do :; done', undefined, 'poweroff -f', undefined])
      await page.evaluate(
        async ([line]) => {
          const boot = () => new auklet.Machine({ cpus: 1, memory: 64, exec: true });
          const machines = Array.from({ length: 4 }, boot);
          const use = async (machine) => {
            await machine.started;
            await machine.exec(['sh', '-c', 'echo | cat']);
            if (line === undefined) return;
            const begun = new Promise((resolve) => {
              machine.exec(['sh', '-c', line], { onStdout: resolve }).catch(() => {});
            });
            await Promise.race([begun, machine.halted]);
          };
          await Promise.all(machines.map(use));
          await Promise.all(machines.map((machine) => machine.dispose()));
        },
        [line],
      );
    await page.evaluate(() => auklet.current.dispose());
    while (workerThreads() > 0) await sleep(100);
  });
});
