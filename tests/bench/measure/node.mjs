// SPDX-License-Identifier: MIT
// The guest in Node.js, and the same programs natively.

import { execFileSync, spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { bootSession, cli, exec } from '../../boot/machines.mjs';
import { PROMPT } from '../../boot/session.mjs';
import {
  COUNTS,
  LATENESS,
  measureGuest,
  median,
  output,
  parseCompute,
  parseLateness,
  parseMicro,
} from '../programs.mjs';
import { idlePercent, residentMiB } from './processes.mjs';
import { measureShares } from './shares.mjs';

export function measureNatively() {
  const run = (name, words = []) => execFileSync(join(output, `${name}-native`), words, { encoding: 'utf8' });
  return {
    ...parseMicro(run('micro')),
    ...parseLateness(run('lateness', [String(2 * cpus().length), LATENESS[1]])),
    ...parseCompute(run('compute', COUNTS)),
  };
}

async function guestInNode() {
  const boots = [];
  const echoes = [];
  for (let round = 0; round < 7; ++round) {
    const start = performance.now();
    const { machine, session } = await bootSession(undefined, { cpus: 2 });
    await session.waitFor(PROMPT);
    boots.push(performance.now() - start);
    for (const key of 'echo of keys') {
      const pressed = performance.now();
      await session.write(key);
      await session.waitFor(key);
      echoes.push(performance.now() - pressed);
    }
    await machine.dispose();
  }
  const run = async (name, words) => {
    const put = ['--put', `${join(output, name)}:/root/${name}`];
    const { status, stdout, stderr } = await exec([`/root/${name}`, ...words], { words: ['--cpus', '2', ...put] });
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return { boot: median(boots), echo: median(echoes), ...(await measureGuest(run)) };
}

/** Idle CPU and resident memory of a process with one machine at the prompt. */
async function idleInNode() {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    let text = '';
    await new Promise((resolve) =>
      child.stdout.on('data', (bytes) => {
        text += bytes;
        if (PROMPT.test(text.replaceAll('\r', ''))) resolve();
      }),
    );
    const idle = await idlePercent(() => [child.pid]);
    return { idle, resident: residentMiB(child.pid) };
  } finally {
    child.kill();
  }
}

export async function measureNode() {
  return { ...(await guestInNode()), ...(await idleInNode()), ...(await measureShares()) };
}
