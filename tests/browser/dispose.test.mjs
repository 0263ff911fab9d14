// SPDX-License-Identifier: MIT
// dispose() in browsers: soon, whatever the guest does. AUKLET_TEST_BROWSER: chromium, firefox or webkit.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
});
