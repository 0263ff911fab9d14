// SPDX-License-Identifier: MIT
// The emulator v86 in Node.js, of which ../v86 makes a machine.

import { join } from 'node:path';
import { median, output, progress } from '../programs.mjs';
import * as v86 from '../v86/v86.mjs';
import { idlePercent, residentMiB } from './processes.mjs';

/** The folder of --v86, with everything in it. */
export function prepareV86(workloadFolder) {
  if (process.arch !== 'x64') throw new Error('--v86 compares with native i386 programs, which need an x86-64 machine');
  const folder = join(output, 'v86');
  progress('what v86 needs (the first time: a kernel for it, several minutes)');
  v86.prepare(process.env.AUKLET_CACHE, folder, workloadFolder);
  return folder;
}

/** Boot, idle CPU and resident memory of v86, in a process of its own. */
export async function measureV86(folder) {
  const boots = [];
  for (let round = 0; ; ++round) {
    const machine = await v86.start(folder);
    try {
      boots.push(machine.boot);
      if (round < 2) continue;
      const idle = await idlePercent(() => [machine.pid]);
      return { boot: median(boots), idle, resident: residentMiB(machine.pid) };
    } finally {
      await machine.dispose();
    }
  }
}
