// SPDX-License-Identifier: MIT
// fix.sh and bench.sh of --workload, unchanged: in the guest, natively with Debian's BusyBox, and in v86.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli } from '../../boot/machines.mjs';
import { output, progress, sdk } from '../programs.mjs';
import * as v86 from '../v86/v86.mjs';

/** Wall time between the markers "@@S name units" and "@@E name" of fix.sh: best of the rounds after the first, µs a unit. */
function markerTimes() {
  const results = {};
  let pending = '';
  let open;
  return {
    results,
    feed(bytes) {
      const time = performance.now();
      pending += bytes;
      const lines = pending.split('\n');
      pending = lines.pop();
      for (const line of lines) {
        const [mark, name, units] = line.trim().split(' ');
        if (mark === '@@S') open = { name, units: Number(units), time };
        else if (mark === '@@E' && open?.name === name) {
          const rounds = (results[name] ??= []);
          rounds.push(((time - open.time) * 1000) / open.units);
        }
      }
    },
  };
}

const bestRounds = (results) =>
  Object.fromEntries(
    Object.entries(results).map(([name, rounds]) => [name, Math.min(...rounds.slice(rounds.length > 1 ? 1 : 0))]),
  );

/** Lines "BENCH name units best_cs ..." of bench.sh and "CB name rate unit" of cbench, which it runs: µs a unit, or rates. */
function parseRates(text) {
  const results = {};
  for (const line of text.split('\n')) {
    const [kind, name, first, second] = line.trim().split(' ');
    if (kind === 'BENCH') results[name] = { value: (Number(second) * 1e4) / Number(first), unit: 'µs' };
    if (kind === 'CB') results[`c.${name}`] = { value: Number(first), unit: line.trim().split(' ').slice(3).join(' ') };
  }
  return results;
}

/** fix.sh and bench.sh of the folder, natively and in the guest; fix.sh in the folder's v86, if one is given. */
export async function measureWorkload(folder, v86Folder) {
  execFileSync(sdk, ['-O2', '-o', join(output, 'cbench-guest'), join(folder, 'cbench.c'), '-lm']);
  // Static: in the root of v86 there are no libraries.
  execFileSync('clang-22', ['-O2', '-static', '-o', join(output, 'cbench-native'), join(folder, 'cbench.c'), '-lm']);
  /** What it printed, and the times of the markers in it. */
  const run = (program, words, environment) =>
    new Promise((resolve, reject) => {
      const times = markerTimes();
      let text = '';
      const child = spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', (bytes) => {
        times.feed(bytes);
        text += bytes;
      });
      child.on('close', (status) =>
        status === 0
          ? resolve({ text, times: bestRounds(times.results) })
          : reject(new Error(`${words.at(-1)} ended with ${status}`)),
      );
    });
  // Natively: the same shell and tools, from Debian's BusyBox; that of v86, in its root, where there is one.
  const tools = join(output, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const applet of execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (!existsSync(join(tools, applet))) symlinkSync('/bin/busybox', join(tools, applet));
  const temporary = join(tmpdir(), 'auklet-bench');
  mkdirSync(temporary, { recursive: true });
  const cbench = join(output, 'cbench-native');
  const natively = (script, environment) =>
    v86Folder === undefined
      ? run('/bin/busybox', ['sh', join(folder, script)], {
          PATH: tools,
          TMPDIR: temporary,
          LIB: join(folder, 'benchlib.sh'),
          CB: cbench,
          ...environment,
        })
      : run('unshare', v86.natively(v86Folder, `/${script}`, cbench), { PATH: process.env.PATH, ...environment });
  const put = (host, guest) => ['--put', `${host}:${guest}`];
  const inGuest = (script) =>
    run(
      process.execPath,
      [
        ...[cli, 'exec', '--cpus', '2'],
        ...put(join(folder, script), `/${script}`),
        ...put(join(folder, 'benchlib.sh'), '/benchlib.sh'),
        ...put(join(output, 'cbench-guest'), '/cbench'),
        ...['--', 'sh', `/${script}`],
      ],
      process.env,
    );
  progress('fix.sh, natively');
  // More of the same work, where it takes too little time.
  const fixNative = await natively('fix.sh', { MULT: '4' });
  progress('fix.sh, in the guest');
  const fixGuest = await inGuest('fix.sh');
  const fixV86 = markerTimes();
  if (v86Folder !== undefined) {
    progress('fix.sh, in v86');
    await v86.run(v86Folder, 'sh /fix.sh', fixV86.feed, 3600_000);
  }
  progress('bench.sh, natively');
  const benchNative = await natively('bench.sh', {});
  progress('bench.sh, in the guest');
  const benchGuest = await inGuest('bench.sh');
  return {
    fix: { native: fixNative.times, guest: fixGuest.times, v86: bestRounds(fixV86.results) },
    bench: { native: parseRates(benchNative.text), guest: parseRates(benchGuest.text) },
  };
}
