// SPDX-License-Identifier: MIT
// Recursion until the engine's stack is full, in browsers, whose stacks cannot be chosen: SIGSEGV, also in a system call, and the
// machine goes on. AUKLET_TEST_BROWSER: chromium or firefox; WebKit takes too long.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from '../boot/machines.mjs';
import { BROWSER, launchPage, servePage } from './browsers.mjs';

const SCRIPT = `
  f() { [ $1 -eq 0 ] && return; stat / > /dev/null; f $(($1 - 1)); }
  for depth in $(seq 100 25 1000) 100000; do (f $depth) 2> /dev/null; done
  awk 'function f(n) { print n > "/dev/null"; fflush(); return n ? 1 + f(n - 1) : 0 } BEGIN { f(1000000) }' 2> /dev/null
  kill -l $(($? - 128))
  engine-stack | tail -n 2`;

test(`recursion in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const page = await launchPage(suite);
  await page.goto(address);
  await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
  const program = readFileSync(join(build, 'tests/programs/engine-stack')).toString('base64');
  const output = await page.evaluate(
    async ([script, program]) => {
      const content = Uint8Array.from(atob(program), (character) => character.charCodeAt(0));
      const files = [{ path: '/bin/engine-stack', mode: 0o755, content }];
      const machine = new auklet.Machine({ cpus: 2, memory: 128, exec: true, files });
      const { stdout } = await machine.exec(['sh', '-c', script]);
      const after = await machine.exec(['echo', 'and works']);
      await machine.dispose();
      return new TextDecoder().decode(stdout) + new TextDecoder().decode(after.stdout);
    },
    [SCRIPT, program],
  );
  assert.equal(output, 'SEGV\nhandled\nthe machine goes on\nand works\n');
});
