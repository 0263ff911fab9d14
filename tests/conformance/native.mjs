// SPDX-License-Identifier: MIT
// Runs the units of a suite in the build environment.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parallel } from './common.mjs';

/** Most tests sleep most of the time. */
const AT_ONCE = 4;

// The first process, and as in the guest its name is init. It is not the test: signals that have no handler do not reach it.
// What this program has inherited beyond standard input and outputs is not the test's. (dash closes no descriptor above 9.)
const FIRST_PROCESS = `
  printf init > /proc/self/comm
  for file in /proc/self/fd/*; do
    descriptor=\${file##*/}
    [ "$descriptor" -le 2 ] || eval "exec $descriptor>&-"
  done
  timeout -s KILL "$@"
  exit $?`;

/** In namespaces of its own and without some capabilities: a test may set the clock, or send signals to everyone. */
export async function runNatively(units, folder, timeout) {
  const results = new Map();
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch, { recursive: true });
  await parallel(AT_ONCE, units.entries(), async ([index, { name, native }]) => {
    const namespaces = ['--pid', '--ipc', '--fork', '--kill-child', ...(native.namespaces ?? [])];
    const limits = ['setpriv', '--bounding-set=-sys_time,-sys_boot,-sys_module'];
    const words = ['bash', '-c', FIRST_PROCESS, 'bash', String(timeout), ...native.command];
    const file = join(folder, `output-${index}`);
    const output = openSync(file, 'w');
    const child = spawn('unshare', [...namespaces, ...limits, ...words], {
      cwd: scratch,
      stdio: ['ignore', output, output],
    });
    const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ? 137 : code)));
    closeSync(output);
    results.set(name, { status: status === 137 ? 'hung' : status, output: readFileSync(file, 'utf8') });
    rmSync(file);
  });
  return results;
}
