// SPDX-License-Identifier: MIT
// ./auklet console: the machine in the thread of the command line program.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder } from './home-disks.mjs';
import { cli } from './machines.mjs';
import { PROMPT, Session } from './session.mjs';

function startConsole(suite, words = [], terminal = false) {
  const command = [process.execPath, cli, 'console', '--cpus', '2', ...words];
  const [program, ...rest] = terminal ? ['script', '-qec', command.join(' '), '/dev/null'] : command;
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
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

/** Nothing of the guest's is written by itself for an hour. */
const PATIENT =
  'echo 360000 > /proc/sys/vm/dirty_expire_centisecs; echo 0 > /proc/sys/vm/dirty_writeback_centisecs; mount -o remount,commit=3600 /root; sync';

/** What debugfs makes of the image of a machine that is gone: the journal has the last words. */
function contentOf(image, path) {
  spawnSync('e2fsck', ['-fy', '-E', 'journal_only', image]);
  return execFileSync('debugfs', ['-R', `cat ${path}`, image], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
}

test('who leaves with Ctrl-], or is told to, finds on the disk what was not synced', async (suite) => {
  const image = join(folder(suite), 'home.img');
  for (const [how, terminal, signal] of [
    ['typed', true],
    ['told', false, 'SIGTERM'],
    ['killed', false, 'SIGKILL'],
  ]) {
    const { child, session, closed } = startConsole(suite, ['--disk', `${image}:size=256M:ext4`], terminal);
    await session.waitFor(PROMPT);
    await session.run(PATIENT);
    await session.run(`echo ${how} > /root/${how}`);
    if (terminal) child.stdin.write('\x1d');
    else child.kill(signal);
    const isKilled = how === 'killed';
    assert.equal(await closed, isKilled ? null : 0);
    assert.equal(contentOf(image, `/root/${how}`), isKilled ? '' : `${how}\n`);
  }
});

const NOT_WRITTEN = /auklet: the guest has not written everything to its disks/;

test('who leaves twice does not wait for a guest that cannot write', async (suite) => {
  const image = join(folder(suite), 'home.img');
  const { child, session, closed } = startConsole(suite, ['--disk', `${image}:size=256M:ext4`], true);
  await session.waitFor(PROMPT);
  await session.run(`${PATIENT}; killall -STOP exec-agent; echo lost > /root/last`);
  child.stdin.write('\x1d');
  await session.waitFor('auklet: writing to the disks; Ctrl-] leaves at once');
  child.stdin.write('\x1d');
  assert.equal(await closed, 0);
  assert.doesNotMatch(session.transcript, NOT_WRITTEN);
});

test('who leaves is told if the guest could not write in time', async (suite) => {
  const image = join(folder(suite), 'home.img');
  const { child, session, closed } = startConsole(suite, ['--disk', `${image}:size=256M:ext4`], true);
  await session.waitFor(PROMPT);
  await session.run('killall -STOP exec-agent');
  child.stdin.write('\x1d');
  await session.waitFor(NOT_WRITTEN);
  assert.equal(await closed, 0);
});

test('who leaves is heard though the machine does not read what was typed before', async (suite) => {
  const { child, session, closed } = startConsole(suite, [], true);
  await session.waitFor(PROMPT);
  await session.write('stty raw -echo; echo rea\\dy; sleep 100000\r');
  await session.waitFor('ready');
  // More than a terminal, the guest's driver and what is on the way to it keep.
  child.stdin.write('x'.repeat(1 << 20));
  child.stdin.write('\x1d');
  assert.equal(await closed, 0);
});
