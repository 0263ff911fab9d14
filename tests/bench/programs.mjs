// SPDX-License-Identifier: MIT
// The programs that are measured: compiled for the guest, natively, and as plain WebAssembly; and the numbers in what they
// print.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, root } from '../boot/machines.mjs';

const here = import.meta.dirname;
export const output = join(build, 'bench');
export const sdk = join(build, 'sdk/bin/wasm32-linux-musl-clang');

/** Units of each test of compute.c: a run takes about 100 ms natively. */
export const COMPUTE = [
  ['crc32', 600],
  ['sieve', 400],
  ['64-bit multiplication', 700],
  ['interpreter', 700],
  ['quicksort', 100],
  ['quicksort by a function', 60],
  ['matrix multiplication', 100],
];
/** Programs that spin, twice as many as CPUs, and ticks of the timer. */
export const LATENESS = ['4', '500'];
export const COUNTS = COMPUTE.map(([, count]) => String(count));

export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
export const progress = (text) => process.stderr.write(`bench: ${text}\n`);

export function compile() {
  const run = (compiler, name, suffix, sources, flags = []) =>
    execFileSync(compiler, ['-O2', ...flags, '-o', join(output, `${name}-${suffix}`), ...sources]);
  const source = (name) => join(here, name);
  for (const [compiler, suffix] of [
    ['clang-22', 'native'],
    [sdk, 'guest'],
  ]) {
    run(compiler, 'compute', suffix, [source('compute.c'), source('compute-main.c')]);
    run(compiler, 'micro', suffix, [source('micro.c')]);
    run(compiler, 'lateness', suffix, [join(root, 'tests/programs/lateness.c')]);
  }
  run(sdk, 'compute-safepoints', 'guest', [source('compute.c'), source('compute-main.c')], ['-fsafepoints']);
  run(sdk, 'compute-fork', 'guest', [source('compute.c'), source('compute-main.c')], ['-DREACHABLE_FORK']);
  // The guest's flags, without its libraries, and the same optimizer afterwards.
  const flags = readFileSync(join(build, 'sdk/share/target-flags'), 'utf8').split('\n');
  execFileSync('clang-22', [
    ...flags.filter((flag) => flag.startsWith('-') && !flag.startsWith('--target')),
    '--target=wasm32',
    '-O2',
    '-nostdlib',
    '-Wl,--no-entry',
    '-o',
    join(output, 'compute.wasm'),
    source('compute.c'),
  ]);
}

export function parseCompute(text) {
  const lines = text.trim().split('\n');
  return Object.fromEntries(
    lines.map((line, index) => [COMPUTE[index][0], Number(line.split(' ')[1]) / COMPUTE[index][1]]),
  );
}

export function parseMicro(text) {
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
  );
}

/** Nanoseconds of a 10 ms timer's lateness. */
export function parseLateness(text) {
  const numbers = parseMicro(text);
  return { 'lateness, median': numbers.median, 'lateness, 99 %': numbers.p99 };
}

/** What the guest is measured with; run(program, words) gives its output. */
export async function measureGuest(run) {
  return {
    ...parseMicro(await run('micro-guest', [])),
    ...parseMicro(await run('micro-guest', ['console', '/dev/console'])),
    ...parseLateness(await run('lateness-guest', LATENESS)),
    ...parseCompute(await run('compute-guest', COUNTS)),
    withFork: parseCompute(await run('compute-fork-guest', COUNTS)),
    withSafepoints: parseCompute(await run('compute-safepoints-guest', COUNTS)),
  };
}

/** Runs in Node.js here, and as text in a page. */
export async function plainCompute(base64, counts) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return counts.map((count, test) => {
    let best = Infinity;
    for (let round = 0; round < 5; ++round) {
      const start = performance.now();
      instance.exports.compute(test, Number(count));
      best = Math.min(best, performance.now() - start);
    }
    return `${test} ${best * 1e6}`;
  });
}

export async function measurePlain() {
  const base64 = readFileSync(join(output, 'compute.wasm')).toString('base64');
  return parseCompute((await plainCompute(base64, COUNTS)).join('\n'));
}
