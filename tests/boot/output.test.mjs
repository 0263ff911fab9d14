// SPDX-License-Identifier: MIT
// Output waits for who reads it: the program that writes sleeps, nothing is lost, and nothing grows.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bootSession, cli } from './machines.mjs';
import { PROMPT } from './session.mjs';

const MIB = 1024 * 1024;

/** What is on its way at most (the host's limits and a page of the terminal's driver), with room for pieces. */
const MOST_ON_THE_WAY = 1.5 * MIB;

/** What comes without an answer (virtio::ConsoleDevice::output_limit). */
const LIMIT = 128 * 1024;

/** Resolves when the counter is at the limit and has not changed for a while: that nothing happens is what is waited for. */
async function still(counter) {
  while (counter() < LIMIT) await new Promise((resolve) => setTimeout(resolve, 10));
  for (let last = -1, same = 0; same < 10; last = counter()) {
    same = counter() === last ? same + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a console whose handler takes its time', async (suite) => {
  const { machine, session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  let bytes = 0;
  let text = '';
  let take;
  let open = false;
  machine.on('output', (piece) => {
    bytes += piece.length;
    text += new TextDecoder().decode(piece);
    return open ? undefined : new Promise((resolve) => (take = [...(take ?? []), resolve]));
  });
  await session.write('stty -echo; seq 1000000; echo all\\ there\r');
  await still(() => bytes);
  assert.ok(bytes < MOST_ON_THE_WAY, `${bytes} bytes came without an answer`);
  // Whoever writes sleeps, and nobody polls.
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 200_000, `${user + system} µs in a second of waiting`);

  open = true;
  take.forEach((resolve) => resolve());
  await session.waitFor(/\nall there\n/);
  const numbers = text.match(/^\d+\r$/gm).map(Number);
  assert.equal(numbers.length, 1_000_000);
  assert.ok(numbers.every((number, index) => number === index + 1));
});

test('Ctrl-C ends what waits', async (suite) => {
  const { machine, session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  let open = false;
  let bytes = 0;
  const take = [];
  machine.on('output', (piece) => {
    bytes += piece.length;
    return open ? undefined : new Promise((resolve) => take.push(resolve));
  });
  await session.write('yes\r');
  await still(() => bytes);
  await session.write('\x03');
  open = true;
  take.forEach((resolve) => resolve());
  await session.waitFor(PROMPT);
  assert.ok(bytes < 2 * MOST_ON_THE_WAY, `${bytes} bytes`);
});

test('kernel messages do not wait for a terminal', async (suite) => {
  const { machine, session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  let text = '';
  machine.on('output', (piece) => {
    text += new TextDecoder().decode(piece);
    return new Promise(() => {});
  });
  await session.write('yes & sleep 1; echo h > /proc/sysrq-trigger\r');
  await session.waitFor(/sysrq: HELP/);
  assert.match(text, /sysrq: HELP/);
});

test('a command whose output is taken late, all of which comes before its end', async (suite) => {
  const { machine } = await bootSession(suite, { exec: true });
  let waiting = 0;
  let most = 0;
  let bytes = 0;
  const { status } = await machine.exec(['sh', '-c', 'head -c 5000000 /dev/zero; echo last >&2'], {
    onStdout: async (piece) => {
      bytes += piece.length;
      waiting += piece.length;
      most = Math.max(most, waiting);
      await new Promise((resolve) => setTimeout(resolve, 2));
      waiting -= piece.length;
    },
  });
  assert.equal(status, 0);
  assert.equal(bytes, 5_000_000);
  assert.equal(waiting, 0);
  assert.ok(most < MOST_ON_THE_WAY, `${most} bytes were not taken`);
});

test('nobody listens: nothing waits', async (suite) => {
  const { machine } = await bootSession(suite, { exec: true });
  const { status } = await machine.exec(['sh', '-c', 'seq 300000 > /dev/console']);
  assert.equal(status, 0);
});

test('./auklet console into a pipe that nobody reads', async (suite) => {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2'], { stdio: ['pipe', 'pipe', 'inherit'] });
  suite.after(() => child.kill('SIGKILL'));
  const of = (file, pattern) => Number(readFileSync(`/proc/${child.pid}/${file}`, 'utf8').match(pattern)[1]);
  const ticks = () => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  let text = '';
  for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
    text += piece;
    if (/# $/.test(text)) break;
  }
  child.stdout.pause();
  const first = of('status', /VmRSS:\s+(\d+) kB/);
  child.stdin.write('stty -echo; seq 10000000; echo all\\ there\r');
  // Until the whole process does (nearly) nothing.
  for (let last = -100; ticks() - last > 5; last = ticks(), await new Promise((resolve) => setTimeout(resolve, 500)));
  const grown = (of('status', /VmRSS:\s+(\d+) kB/) - first) / 1024;
  // seq, and a worker in reserve, which the machine starts when it is first used; the output would be 75 MiB.
  assert.ok(grown < 56, `${grown} MiB more`);
});
