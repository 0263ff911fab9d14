// SPDX-License-Identifier: MIT
// A computer whose clock is set, or that stands still, while a machine runs, and what the machine must do then. For Node.js
// and browsers.

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, WARNINGS } from '../boot/machines.mjs';

/** Seconds by which the clock is set, one after the other. */
const STEPS = [3600, -30, 86400];
/** Where the program's timer is: tests/programs/clock-step.c. */
const AHEAD = 1000;
/** Seconds by which the user of the guest sets its clock wrong. */
const OWN_DIFFERENCE = 100;

export const files = [
  {
    path: '/root/clock-step',
    mode: 0o755,
    content: new Uint8Array(readFileSync(join(build, 'tests/programs/clock-step'))),
  },
];

/** The wall clock of all programs that are started with `environment`. */
export class FalseClock {
  shift = 0;
  environment;
  #file;

  constructor(suite) {
    const folder = mkdtempSync(join(tmpdir(), 'auklet-clock-'));
    const path = join(folder, 'shift');
    this.#file = openSync(path, 'w');
    this.step(0);
    this.environment = { LD_PRELOAD: join(build, 'tests/clock/clock-shim.so'), AUKLET_TEST_CLOCK: path };
    suite.after(() => {
      closeSync(this.#file);
      rmSync(folder, { recursive: true });
    });
  }

  step(seconds) {
    this.shift += seconds;
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(this.shift);
    writeSync(this.#file, bytes, 0, 4, 0);
  }

  /** Seconds since 1970. */
  now() {
    return Date.now() / 1000 + this.shift;
  }
}

async function checkDate(session, clock, difference = 0) {
  const before = clock.now();
  const date = Number(await session.run('date +%s')) - difference;
  const after = clock.now();
  // A second for the clock, and one because the guest tells whole ones.
  assert(date > before - 2 && date < after + 1, `the guest's clock says ${date}, the computer's ${before} to ${after}`);
}

/** The machine goes on, with workers that it has and with new ones. */
async function checkMachine(session) {
  const jobs = 'sleep 300 & '.repeat(10);
  await session.run(`${jobs} usleep 1`);
  assert.match(await session.run('sleep 1; echo woken'), /^woken$/m);
}

/** A session at the prompt, with `files`. */
export async function followSteps(suite, session, clock) {
  const started = performance.now();
  await session.run('cd /root; ./clock-step > log &');
  // Until the program waits for the `count`th step; its monotonic clock in seconds.
  const ready = async (count) => {
    await session.run(
      `until [ $(grep -c ready log) = ${count} ] || ! pidof clock-step > /dev/null; do usleep 10000; done`,
    );
    const last = await session.run('grep -v leapt log | tail -n 1');
    return Number(last.match(/^ready (\S+)\n$/)?.[1] ?? assert.fail(last));
  };
  const first = await ready(1);
  const begun = performance.now();
  await checkDate(session, clock);
  for (const [index, step] of STEPS.entries())
    await suite.test(`the clock is set by ${step} s`, async () => {
      clock.step(step);
      await checkMachine(session);
      await ready(index + 2);
      const line = await session.run('grep leapt log | tail -n 1');
      const timer = step >= AHEAD ? 'has fired' : 'waits';
      assert.equal(line, `leapt: real ${step}, boot ${Math.max(step, 0)}, the timer ${timer}\n`);
      await checkDate(session, clock);
    });
  await suite.test('the monotonic clock goes on', async () => {
    const ended = performance.now();
    const guest = (await ready(STEPS.length + 1)) - first;
    assert(guest > 0 && guest <= (ended - started) / 1000 + 1, `${guest} s`);
    assert(guest >= ((ended - begun) / 1000) * 0.5, `${guest} s, of ${(ended - begun) / 1000}`);
  });
  await suite.test('who set the guest’s clock keeps the difference', async () => {
    await session.run(`date -s @$(($(date +%s) + ${OWN_DIFFERENCE}))`);
    await ready(STEPS.length + 2);
    clock.step(60);
    await ready(STEPS.length + 3);
    await checkDate(session, clock, OWN_DIFFERENCE);
  });
  await suite.test('no warning in the log', async () => assert.equal(await session.run(WARNINGS), ''));
}

/** The process and all that it has started, and so on. */
function processesOf(pid) {
  const children = new Map();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // It has ended.
    }
  }
  const all = [pid];
  for (const each of all) all.push(...(children.get(each) ?? []));
  return all;
}

/** Programs in the guest that keep its CPUs and its grace periods busy. */
export const BUSY = 'for cpu in 1 2; do while true; do /bin/true; done & done; usleep 1';

/** All threads of the machine's computer, which is process `pid` with its children, stand still for some seconds. */
export async function standStill(suite, session, clock, pid, seconds) {
  await suite.test(`all threads stand still for ${seconds} s`, async () => {
    await session.run(BUSY);
    const processes = processesOf(pid);
    for (const each of processes) process.kill(each, 'SIGSTOP');
    // Not a wait for something to happen: this is the time that is lost.
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    for (const each of processes) process.kill(each, 'SIGCONT');
    await checkMachine(session);
    await checkDate(session, clock);
  });
  await suite.test('no warning in the log', async () => assert.equal(await session.run(WARNINGS), ''));
}
