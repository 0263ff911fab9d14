// SPDX-License-Identifier: MIT
// What a program has synced to a disk in a file has reached the computer's fdatasync: strace shows the system calls.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cli } from './machines.mjs';

const STEPS = 10;

/**
 * The calls in strace's output, in the order in which they returned: { call, text, result }. A call that others came between is
 * in two lines of its thread.
 */
function callsOf(output) {
  const begun = new Map();
  const calls = [];
  for (const line of output.split('\n')) {
    const [, thread, rest] = line.match(/^(\d+)\s+(.*)$/) ?? [];
    if (rest === undefined) continue;
    const cut = rest.match(/^(.*) <unfinished \.\.\.>$/);
    if (cut !== null) {
      begun.set(thread, { text: cut[1], after: calls.length });
      continue;
    }
    const resumed = rest.match(/^<\.\.\. \w+ resumed>(.*)$/);
    const { text, after } = resumed === null ? { text: rest, after: calls.length } : begun.get(thread);
    const whole = resumed === null ? text : text + resumed[1];
    const [, call, result] = whole.match(/^(\w+)\(.* = (-?\d+)[^=]*$/) ?? [];
    // `after`: how many calls had returned when this one began.
    if (call !== undefined) calls.push({ call, text: whole, result: Number(result), after });
  }
  return calls;
}

test('an fdatasync is between a write and what the guest says of it', (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-flush-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const image = join(folder, 'disk.img');
  const trace = join(folder, 'trace');
  // No file system: a journal would write at other times, too.
  const script = `for i in $(seq ${STEPS}); do
      echo "STEP $i." | dd of=/dev/vda bs=4096 seek=$i conv=notrunc,fsync 2>/dev/null && echo "ACK $i."; done`;
  const calls = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'fdatasync', 'fsync'];
  const output = execFileSync(
    'strace',
    [
      ...['-f', '-y', '-s', '16', '-e', `trace=${calls.join(',')}`, '-e', 'signal=none', '-o', trace],
      ...[process.execPath, cli, 'exec', '--disk', `${image}:size=1M`, '--', 'sh', '-c', script],
    ],
    { encoding: 'utf8' },
  );
  assert.equal(output, Array.from({ length: STEPS }, (_, index) => `ACK ${index + 1}.\n`).join(''));

  const seen = callsOf(readFileSync(trace, 'utf8'));
  const ofImage = ({ text }) => text.includes(`<${image}>`);
  for (let step = 1; step <= STEPS; ++step) {
    const place = (what, matches, from = 0) => {
      const index = seen.findIndex((call, number) => number >= from && matches(call));
      assert(index >= 0, `step ${step}: no ${what}`);
      return index;
    };
    const written = place('write', (call) => ofImage(call) && call.text.includes(`"STEP ${step}.`));
    assert.equal(seen[written].result, 4096);
    const synced = place('sync after it', (call) => ofImage(call) && /sync$/.test(call.call) && call.after > written);
    assert.equal(seen[synced].result, 0);
    const said = place('line', (call) => !ofImage(call) && call.text.includes(`"ACK ${step}.`));
    assert(seen[said].after > synced, `step ${step} was acknowledged before it was on the medium`);
    // Nothing is written later that the acknowledgement is about.
    const late = seen.findIndex(
      (call, number) => number > synced && ofImage(call) && call.text.includes(`"STEP ${step}.`),
    );
    assert.equal(late, -1);
  }
});
