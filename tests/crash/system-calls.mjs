// SPDX-License-Identifier: MIT
// What strace has seen of a disk: its writes, its flushes, and what was said afterwards.

import assert from 'node:assert/strict';

/** The calls that write, and those that flush. */
export const CALLS = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'fdatasync', 'fsync'];

/**
 * The calls in strace's output, in the order in which they returned: { call, text, result }. A call that others came between is
 * in two lines of its thread.
 */
export function callsOf(output) {
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

/**
 * Checks that a flush is between the write of each step and what was said of it. Step 3 writes bytes that begin with "STEP 3.",
 * and then somebody else writes "ACK 3.". `ofDisk` tells which calls are the disk's.
 */
export function checkSteps(seen, steps, ofDisk) {
  for (let step = 1; step <= steps; ++step) {
    const place = (what, matches, from = 0) => {
      const index = seen.findIndex((call, number) => number >= from && matches(call));
      assert(index >= 0, `step ${step}: no ${what}`);
      return index;
    };
    const written = place('write', (call) => ofDisk(call) && call.text.includes(`"STEP ${step}.`));
    assert.equal(seen[written].result, 4096);
    const synced = place('sync after it', (call) => ofDisk(call) && /sync$/.test(call.call) && call.after > written);
    assert.equal(seen[synced].result, 0);
    const said = place('line', (call) => !ofDisk(call) && call.text.includes(`ACK ${step}.`));
    assert(seen[said].after > synced, `step ${step} was acknowledged before it was on the medium`);
    // Nothing is written later that the acknowledgement is about.
    const late = seen.findIndex(
      (call, number) => number > synced && ofDisk(call) && call.text.includes(`"STEP ${step}.`),
    );
    assert.equal(late, -1);
  }
}
