// SPDX-License-Identifier: MIT
// Takes long; run with: ./auklet test -C soak -R soak. A mixed load for AUKLET_SOAK_SECONDS (30 minutes) on each number
// of CPUs in AUKLET_SOAK_CPUS ("1 2 4").

import { test } from 'node:test';
import { bootSession } from '../boot/machines.mjs';
import { soak, soakFiles } from './soak.mjs';

for (const cpus of (process.env.AUKLET_SOAK_CPUS ?? '1 2 4').split(' ').map(Number))
  test(`${cpus} CPUs in Node.js`, async (suite) => {
    const { session, machine } = await bootSession(suite, { cpus, files: soakFiles() });
    try {
      await soak(session, {
        resident: async () => process.memoryUsage.rss(),
        report: console.log,
      });
    } catch (error) {
      console.log(await machine.diagnostics());
      throw error;
    }
  });
