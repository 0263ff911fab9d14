// SPDX-License-Identifier: MIT
// ./auklet console: the machine in the thread of the command line program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cli } from './machines.mjs';
import { PROMPT, Session } from './session.mjs';

function startConsole(suite) {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const session = new Session({ write: async (text) => void child.stdin.write(text) });
  child.stdout.on('data', (bytes) => session.feed(bytes));
  let complaints = '';
  child.stderr.on('data', (bytes) => (complaints += bytes));
  // The machine may end while it is typed to.
  child.stdin.on('error', () => {});
  const closed = once(child, 'close').then(([status]) => {
    session.end(`status ${status}: ${complaints}`);
    assert.equal(complaints, '');
    return status;
  });
  suite.after(() => child.kill('SIGKILL'));
  return { child, session, closed };
}

/** Of a running process, in kB. */
const addressSpace = ({ pid }) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmSize:\s+(\d+) kB/)[1]);

test('a session, until the machine powers off', async (suite) => {
  const { session, closed } = startConsole(suite);
  await session.waitFor(PROMPT);
  assert.equal(await session.run('echo $((6 * 7))'), '42\n');
  await session.write('poweroff\r');
  assert.equal(await closed, 0);
});

test('machines that restarted give their memory back', async (suite) => {
  const { child, session } = startConsole(suite);
  await session.waitFor(PROMPT);
  const first = addressSpace(child);
  let last;
  for (let round = 0; round < 12; ++round) {
    await session.write('reboot -f\r');
    await session.waitFor(PROMPT);
    last = addressSpace(child);
  }
  // What the engine has not collected yet is there twice or more; all twelve would be ten times as much.
  assert.ok(last < 5 * first, `${first} kB at first, ${last} after twelve restarts`);
});

test('a flood of output arrives before the end', async (suite) => {
  const { child, session, closed } = startConsole(suite);
  await session.waitFor(PROMPT);
  child.stdout.removeAllListeners('data');
  await session.write('stty -echo; seq 500000; poweroff -f\r');
  const seen = [];
  for await (const piece of child.stdout) seen.push(piece);
  assert.equal(await closed, 0);
  const lines = Buffer.concat(seen)
    .toString()
    .match(/^\d+\r$/gm);
  assert.equal(lines.length, 500000);
  assert.ok(lines.every((line, index) => Number(line) === index + 1));
});

test('its reader leaves', async (suite) => {
  const { child, session, closed } = startConsole(suite);
  await session.waitFor(PROMPT);
  child.stdout.destroy();
  await session.write('echo more\r');
  assert.equal(await closed, 0);
});
