// SPDX-License-Identifier: MIT
// From the kernel to the prompt: with 1, 2 and 4 CPUs, a clean log, the right time; and an idle machine does nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

for (const cpus of [1, 2, 4]) {
  test(`${cpus} CPUs`, async (suite) => {
    const { session } = await bootSession(suite, { cpus });
    const { before } = await session.waitFor(PROMPT);
    assert.doesNotMatch(before, /WARNING|BUG:|Oops|Call [Tt]race|rcu.*stall|lockup/, 'the log of a boot is clean');
    assert.equal(await session.run('grep -c ^processor /proc/cpuinfo'), `${cpus}\n`);
    assert.equal(await session.run('cat /sys/devices/system/cpu/online'), cpus === 1 ? '0\n' : `0-${cpus - 1}\n`);
    const now = Number(await session.run('date +%s'));
    assert(Math.abs(now - Date.now() / 1000) < 5, `the guest's clock says ${now}`);
    // Messages of level warning and worse have no place in a boot without faults.
    assert.equal(await session.run(WARNINGS), '');
  });
}

test('workers that come late', async (suite) => {
  const { session } = await bootSession(suite, { initialWorkers: 0 });
  await session.waitFor(PROMPT);
  assert.equal(await session.run(WARNINGS), '');
});

test('what is mounted and set up', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  const mounts = await session.run('cat /proc/mounts');
  for (const type of ['proc', 'sysfs', 'devtmpfs', 'devpts']) assert.match(mounts, new RegExp(` ${type} `));
  assert.match(await session.run('head -n 1 /etc/passwd'), /^root:/);
  assert.match(await session.run('hostname'), /^auklet\n$/);
  assert.equal(await session.run('tty'), '/dev/hvc0\n');
  assert.equal(await session.run('head -c 32 /dev/hwrng | wc -c'), '32\n');
});

test('an idle machine uses under 1 % of a core', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  await session.run('true');
  // Not a wait for something to happen: the ten seconds are what is measured.
  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await pause(2);
  const before = process.cpuUsage();
  await pause(10);
  const { user, system } = process.cpuUsage(before);
  const percent = ((user + system) / 1e6 / 10) * 100;
  assert(percent < 1, `${percent.toFixed(2)} % of a core`);
  assert.equal(await session.run('echo awake'), 'awake\n');
});
