// SPDX-License-Identifier: MIT
// Limits are errors: in a machine with few workers and memories, what wants one too many gets EAGAIN or ENOMEM, everything
// else lives, and a fork bomb leaves a usable shell when it is killed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

const CONTROL_C = '\x03';
const PROCESSES = 24;
const TASKS = 40;

const options = {
  memoryLimit: PROCESSES,
  workerLimit: TASKS,
  processMemory: 64,
  files: [
    { path: '/bin/limits', mode: 0o755, content: new Uint8Array(readFileSync(join(build, 'tests/programs/limits'))) },
  ],
};

/** Memories of processes in use. */
const memoriesUsed = async (machine) => [...(await machine.diagnostics()).matchAll(/^memory \d+: used/gm)].length;

/** What the guest says of itself as a warning or worse, without what it must say at its limits. */
const UNEXPECTED = `${WARNINGS} | grep -v "no worker for a new task\\|callbacks suppressed"`;

test('errors for the caller', async (suite) => {
  const { machine } = await bootSession(suite, { ...options, exec: true });
  const run = async (...command) => {
    const { status, stdout, stderr } = await machine.exec(command);
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return { status, text };
  };
  await run('true');
  const before = await memoriesUsed(machine);
  for (const [name, expected] of [
    // init, the agent, and the program itself have one each.
    ['processes', `processes: ${PROCESSES - before - 1}\n`],
    ['spawned', `spawned processes: ${PROCESSES - before - 1}\n`],
    // One worker is left for a task that is killed.
    ['threads', `threads: ${TASKS - before - 2}\n`],
    ['user-limit', 'user limit\n'],
    ['burst', 'burst\n'],
    ['exec-in-old-thread', 'executed in an old thread\n'],
    ['memory', /^\d\d MiB\nmemory\n$/],
    ['processes', `processes: ${PROCESSES - before - 1}\n`],
  ])
    await suite.test(name, async () => {
      const { status, text } = await run('/bin/limits', name);
      if (typeof expected === 'string') assert.equal(text, expected);
      else assert.match(text, expected);
      assert.equal(status, 0);
    });
  await suite.test('memories come back', async () => assert.equal(await memoriesUsed(machine), before));
  await suite.test('no warning in the log', async () => assert.equal((await run('sh', '-c', UNEXPECTED)).text, ''));
});

test('fork bombs', async (suite) => {
  const { machine, session } = await bootSession(suite, options);
  await session.waitFor(PROMPT);
  const before = await memoriesUsed(machine);
  /** Until the bomb has taken what there is. */
  const exploded = async () => {
    while ((await memoriesUsed(machine)) < PROCESSES) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  /** What a line prints, without what the shell says of jobs. */
  const run = async (line) =>
    (await session.run(line))
      .split('\n')
      .filter((text) => text !== '' && !/^\[\d+\]/.test(text))
      .join('\n');
  const usable = async () => {
    // Killed processes end soon, but the shell may need one of them before.
    while ((await memoriesUsed(machine)) >= PROCESSES) await new Promise((resolve) => setTimeout(resolve, 10));
    // In the foreground a job ends when its first process does; the others end soon.
    assert.equal(await run('while pidof limits > /dev/null; do usleep 10000; done; echo gone'), 'gone');
    assert.equal(await run('seq 1000 | sort -rn | tail -n 1'), '1');
    while ((await memoriesUsed(machine)) > before) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  await suite.test('in the foreground: Ctrl-C', async () => {
    await session.write('limits bomb\r');
    await exploded();
    await session.write(CONTROL_C);
    await session.waitFor(PROMPT);
    await usable();
  });
  await suite.test('in the background: kill, which is the shell itself', async () => {
    // What it says may come right behind the prompt, which is then no longer at the end.
    await session.run('limits bomb > /dev/null &');
    await exploded();
    assert.match(await session.run('/bin/true'), /can't fork: Resource temporarily unavailable/);
    await session.run('kill -9 %1');
    await session.write('\r');
    await session.waitFor(PROMPT);
    await usable();
  });
  await suite.test("of a user with a limit: killall, for which root's shell can fork", async () => {
    await session.run('chpst -u nobody sh -c "ulimit -u 10; exec limits bomb" > /dev/null &');
    assert.equal(await run('until [ $(pidof limits | wc -w) = 10 ]; do usleep 10000; done; echo ten'), 'ten');
    // The processes of one job, which end while others of them are made.
    await session.run('while killall -9 limits 2> /dev/null; do :; done');
    await session.write('\r');
    await session.waitFor(PROMPT);
    await usable();
  });
  await suite.test('of the shell', async () => {
    // A shell that cannot fork ends, but others can then: it may burn out, or not. The group is that of its first process.
    await session.write("sh -c 'bomb() { bomb | bomb & }; bomb' &\r");
    await session.waitFor(/can't fork/);
    await session.write('kill -9 -$!\r');
    // What is left of it may still write, also into the prompt.
    while ((await memoriesUsed(machine)) > before) await new Promise((resolve) => setTimeout(resolve, 10));
    await session.write('echo $((6 * 7))\r');
    await session.waitFor(/\n42\n/);
    await session.waitFor(PROMPT);
    await usable();
  });
  await suite.test('no warning in the log', async () => assert.equal(await session.run(UNEXPECTED), ''));
});

test('files fill the memory', async (suite) => {
  const { machine } = await bootSession(suite, { memory: 64, exec: true });
  const script = [
    'dd if=/dev/zero of=/tmp/large bs=1M count=100 2>&1 | grep -c "No space left on device"',
    // What is there can be changed, and programs run.
    'echo new | dd of=/tmp/large conv=notrunc 2> /dev/null && head -c 4 /tmp/large',
    'seq 1000 | sort -rn | tail -n 1',
    'rm /tmp/large && echo again > /tmp/small && cat /tmp/small',
    UNEXPECTED,
  ].join('\n');
  const { stdout } = await machine.exec(['sh', '-c', script]);
  assert.equal(new TextDecoder().decode(stdout), '1\nnew\n1\nagain\n');
});
