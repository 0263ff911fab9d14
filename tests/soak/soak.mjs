// SPDX-License-Identifier: MIT
// A mixed load in one machine for a long time: soak.sh runs in the guest, this watches it from outside.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, root } from '../boot/machines.mjs';
import { PROMPT } from '../boot/session.mjs';

/** Test programs whose output does not depend on how busy the machine is. */
const PROGRAMS = [
  'callbacks',
  'cancel',
  'files',
  'fork',
  'isolation',
  'malloc',
  'memory',
  'pipe',
  'setjmp',
  'signals',
  'signals-pending',
  'spawn',
  'threads',
  'waitpid',
];

/** How long (ms) a load may need for its last round. */
const LAST_ROUNDS = 120_000;

export const SECONDS = Number(process.env.AUKLET_SOAK_SECONDS ?? 1800);

/** The files of the guest: {path, mode, content}. */
export function soakFiles() {
  const programs = join(root, 'tests/programs');
  const files = [
    { path: '/root/soak/soak.sh', mode: 0o755, content: readFileSync(join(root, 'tests/soak/soak.sh')) },
    { path: '/root/soak/spin', mode: 0o755, content: readFileSync(join(build, 'tests/programs/spin')) },
  ];
  for (const name of PROGRAMS) {
    files.push({
      path: `/root/soak/programs/${name}`,
      mode: 0o755,
      content: readFileSync(join(build, 'tests/programs', name)),
    });
    for (const file of readdirSync(programs).filter((file) => /\.(expected|stdin|status)$/.test(file)))
      if (file.startsWith(`${name}.`))
        files.push({ path: `/root/soak/programs/${file}`, mode: 0o644, content: readFileSync(join(programs, file)) });
  }
  return files.map((file) => ({ ...file, content: new Uint8Array(file.content) }));
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/**
 * Runs the load for `seconds` in a session at its prompt. `resident` gives the memory (bytes) of what executes the machine.
 * It must be flat after the first minute: the last third of the time may need 10 % more than the first third.
 */
export async function soak(session, { seconds = SECONDS, resident, report }) {
  await session.waitFor(PROMPT);
  await session.write(`/root/soak/soak.sh ${seconds}\r`);
  const samples = [];
  for (;;) {
    const line = await session.waitFor(/soak: (?:(\d+) s, (\d+) KiB.*|end.*|passed|failed|.* already)\n/, LAST_ROUNDS);
    if (/passed|failed|already/.test(line[0])) {
      report?.(line[0].trim());
      assert.match(line[0], /passed/, `${line.before}${line[0]}`);
      break;
    }
    const mebibytes = (await resident()) / 1048576;
    report?.(`${line[0].trim()}, ${mebibytes.toFixed(0)} MiB resident`);
    if (line[1] !== undefined && Number(line[1]) > 60)
      samples.push({ available: Number(line[2]), resident: mebibytes });
  }
  await session.waitFor(PROMPT);
  if (samples.length < 6) return;
  const third = Math.floor(samples.length / 3);
  const at = (kind, part) => median(part.map((sample) => sample[kind]));
  const [first, last] = [samples.slice(0, third), samples.slice(-third)];
  const figures = {
    resident: [at('resident', first), at('resident', last)],
    available: [at('available', first) / 1024, at('available', last) / 1024],
  };
  report?.(
    Object.entries(figures)
      .map(([kind, [before, after]]) => `${kind}: ${before.toFixed(1)} MiB, later ${after.toFixed(1)} MiB`)
      .join('; '),
  );
  assert.ok(figures.resident[1] <= figures.resident[0] * 1.1, 'the machine needs more and more memory');
  assert.ok(figures.available[1] >= figures.available[0] * 0.95, 'the guest has less and less memory');
}
