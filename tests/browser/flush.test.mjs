// SPDX-License-Identifier: MIT
// What a program has synced to a saved disk has reached the browser's fdatasync or fsync: strace shows the system calls.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CALLS, callsOf, checkSteps } from '../crash/system-calls.mjs';
import { BROWSER, browserPath, launchPages, makeProfile, servePage } from './browsers.mjs';

const STEPS = 10;

/** Of requests to a server, by which the page tells what the guest has said. */
const SENDS = ['sendto', 'sendmsg'];

/** In the page: each step writes a page of the disk and syncs it; the page then asks the server for "ACK n.". */
async function run(steps) {
  const machine = new auklet.Machine({
    cpus: 1,
    memory: 128,
    exec: true,
    disks: [{ name: 'work', saved: true, format: 'raw', size: '1M' }],
  });
  // No file system: a journal would write at other times, too.
  const script = `for i in $(seq ${steps}); do
      echo "STEP $i." | dd of=/dev/vda bs=4096 seek=$i conv=notrunc,fsync 2>/dev/null && echo "$i"; done`;
  const asked = [];
  const { status } = await machine.exec(['sh', '-c', script], {
    onStdout: (bytes) => {
      for (const step of new TextDecoder().decode(bytes).trim().split('\n'))
        asked.push(fetch(`ACK ${step}.`).catch(() => {}));
    },
  });
  await Promise.all(asked);
  await machine.dispose();
  return status;
}

test(`a flush is between a write and what the guest says of it, in ${BROWSER}`, async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-flush-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const trace = join(folder, 'trace');
  const traced = join(folder, 'traced');
  const calls = [...CALLS, ...SENDS].join(',');
  const options = `-f --seccomp-bpf -y -s 64 -e trace=${calls} -e signal=none -o ${trace}`;
  writeFileSync(traced, `#!/bin/sh\nexec strace ${options} ${browserPath()} "$@"\n`);
  chmodSync(traced, 0o755);
  const profile = makeProfile(suite);
  const { newPage, context, browser } = await launchPages(suite, profile, traced);
  const page = await newPage();
  await page.goto(`${await servePage(suite)}?saving=0`);
  await page.waitForFunction(() => globalThis.auklet !== undefined);
  await page.evaluate(() => auklet.current?.dispose());
  assert.equal(await page.evaluate(run, STEPS), 0);
  await (context ?? browser).close();
  const seen = callsOf(readFileSync(trace, 'utf8').replaceAll('ACK%20', 'ACK '));
  checkSteps(seen, STEPS, (call) => call.text.includes(`<${profile}/`));
});
