// SPDX-License-Identifier: MIT
// What processes of this computer use while a machine is idle in them.

import { readFileSync } from 'node:fs';

/** Seconds. Workers of a page that was closed may run on for 2 s, so measurements wait. */
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Seconds. Browsers keep house every now and then. */
const IDLE_TIME = 30;

/** Percent of a core that processes use: pids() lists them. */
export async function idlePercent(pids) {
  const ticks = () =>
    pids()
      .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' '))
      .reduce((sum, fields) => sum + Number(fields[11]) + Number(fields[12]), 0);
  await pause(6);
  const before = ticks();
  await pause(IDLE_TIME);
  return ((ticks() - before) / 100 / IDLE_TIME) * 100;
}

/** Resident memory of a process. */
export const residentMiB = (pid) =>
  Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;
