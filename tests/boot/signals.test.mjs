// SPDX-License-Identifier: MIT
// Signals to ./auklet exec reach the guest's command and its children; a second one ends the program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import { bootSession, cli } from './machines.mjs';

function start(suite, script) {
  const child = spawn(process.execPath, [cli, 'exec', '--', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
  suite.after(() => child.kill('SIGKILL'));
  let output = '';
  let complaints = '';
  let waiter = () => {};
  child.stderr.on('data', (bytes) => (complaints += bytes));
  const closed = once(child, 'close').then(([status, signal]) => {
    waiter();
    return { status, signal, output, complaints };
  });
  let ended = false;
  void closed.then(() => (ended = true));
  const waitFor = async (text) => {
    while (!output.includes(text)) {
      assert(!ended, `ended without ${text}: ${output}${complaints}`);
      await new Promise((resolve) => (waiter = resolve));
    }
  };
  const read = () =>
    child.stdout.on('data', (bytes) => {
      output += bytes;
      waiter();
    });
  return { child, closed, waitFor, read };
}

/** Whether the process has a handler for the signal of this number. */
function catches({ pid }, number) {
  const [, mask] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/SigCgt:\s+(\w+)/);
  return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n;
}

for (const [signal, status] of [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  test(`${signal} ends a command that has no handler`, async (suite) => {
    const { child, closed, waitFor, read } = start(suite, 'echo ready; exec sleep 1000');
    read();
    await waitFor('ready\n');
    child.kill(signal);
    assert.deepEqual(await closed, { status, signal: null, output: 'ready\n', complaints: '' });
  });

  test(`${signal} reaches a handler, and the status is the command's`, async (suite) => {
    const { child, closed, waitFor, read } = start(
      suite,
      `trap 'echo handled; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 1000 & wait; done`,
    );
    read();
    await waitFor('ready\n');
    child.kill(signal);
    assert.deepEqual(await closed, { status: 5, signal: null, output: 'ready\nhandled\n', complaints: '' });
  });
}

test('the whole process group gets it', async (suite) => {
  const { child, closed, waitFor, read } = start(
    suite,
    `trap 'echo parent' TERM; sh -c 'trap "echo child; exit" TERM; echo ready; sleep 1000 & wait'; echo end`,
  );
  read();
  await waitFor('ready\n');
  child.kill('SIGTERM');
  const { status, output } = await closed;
  assert.deepEqual({ status, output }, { status: 0, output: 'ready\nchild\nparent\nend\n' });
});

test('a signal while the machine boots waits for the command', async (suite) => {
  const { child, closed, read } = start(suite, 'sleep 1000');
  read();
  // The handler is there before the machine is.
  while (!catches(child, 1)) await pause(10);
  child.kill('SIGHUP');
  const { status, signal } = await closed;
  assert.deepEqual({ status, signal }, { status: 129, signal: null });
});

test('a second signal ends the program', async (suite) => {
  const { child, closed, waitFor, read } = start(
    suite,
    `trap 'echo once' INT TERM; echo ready; while :; do sleep 1000 & wait; done`,
  );
  read();
  await waitFor('ready\n');
  child.kill('SIGTERM');
  await waitFor('once\n');
  child.kill('SIGINT');
  const { status, signal, output } = await closed;
  assert.deepEqual({ status, signal, output }, { status: 130, signal: null, output: 'ready\nonce\n' });
});

test('a program whose output nobody reads can be ended', async (suite) => {
  const { child, closed } = start(suite, 'yes');
  await once(child.stdout, 'readable');
  // Once it waits for its reader, the signal does what it does by default.
  while (catches(child, 15)) await pause(10);
  child.kill('SIGTERM');
  child.stdout.resume();
  const { status, signal } = await closed;
  assert.deepEqual({ status, signal }, { status: null, signal: 'SIGTERM' });
});

test('Machine.kill: one command after the other, and wrong signals', async (suite) => {
  const { machine } = await bootSession(suite, { exec: true });
  assert.equal(machine.kill('SIGTERM'), false, 'nothing runs');
  for (const [signal, status] of [
    ['SIGKILL', 137],
    [2, 130],
    ['SIGUSR1', 138],
  ]) {
    const { result, ready } = run(machine, 'echo ready; exec sleep 1000');
    await ready;
    assert.equal(machine.kill(signal), true);
    assert.equal((await result).status, status);
  }
  // One that comes too late is not the next command's.
  const { result, ready } = run(machine, 'echo ready; exec sleep 0.1');
  await ready;
  for (let count = 0; count < 500; ++count) machine.kill('SIGCONT');
  assert.equal((await result).status, 0);
  const next = await machine.exec(['sh', '-c', 'trap "echo late" CONT; sleep 0.1; sleep 0.1']);
  assert.deepEqual([next.status, new TextDecoder().decode(next.stdout)], [0, '']);
  for (const wrong of [0, 65, 1.5, Number.NaN, -9, 'SIGNONE', 'TERM'])
    assert.throws(() => machine.kill(wrong), { code: 'invalid-option' });
});

function run(machine, script) {
  let ready;
  const started = new Promise((resolve) => (ready = resolve));
  const result = machine.exec(['sh', '-c', script], { onStdout: () => ready() });
  return { result, ready: started };
}
