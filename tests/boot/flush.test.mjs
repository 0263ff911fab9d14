// SPDX-License-Identifier: MIT
// What a program has synced to a disk in a file has reached the computer's fdatasync: strace shows the system calls.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CALLS, callsOf, checkSteps } from '../crash/system-calls.mjs';
import { cli } from './machines.mjs';

const STEPS = 10;

test('an fdatasync is between a write and what the guest says of it', (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-flush-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const image = join(folder, 'disk.img');
  const trace = join(folder, 'trace');
  // No file system: a journal would write at other times, too.
  const script = `for i in $(seq ${STEPS}); do
      echo "STEP $i." | dd of=/dev/vda bs=4096 seek=$i conv=notrunc,fsync 2>/dev/null && echo "ACK $i."; done`;
  const output = execFileSync(
    'strace',
    [
      ...['-f', '-y', '-s', '128', '-e', `trace=${CALLS.join(',')}`, '-e', 'signal=none', '-o', trace],
      ...[process.execPath, cli, 'exec', '--disk', `${image}:size=1M`, '--', 'sh', '-c', script],
    ],
    { encoding: 'utf8' },
  );
  assert.equal(output, Array.from({ length: STEPS }, (_, index) => `ACK ${index + 1}.\n`).join(''));

  checkSteps(callsOf(readFileSync(trace, 'utf8')), STEPS, (call) => call.text.includes(`<${image}>`));
});
