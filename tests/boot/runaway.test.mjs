// SPDX-License-Identifier: MIT
// Programs that make no system calls: twice as many of them as CPUs stop nobody, and every way to end one ends it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, WARNINGS } from './machines.mjs';
import { PROMPT } from './session.mjs';

const CONTROL_C = '\x03';
const CONTROL_BACKSLASH = '\x1c';

/** What the parent sees as a shell would show it, by case of runaway.c. */
const STATUS = {
  'kill-9': 137,
  kill: 143,
  'kill-INT': 130,
  'kill-RTMIN': 128 + 35,
  'kill-group': 143,
  'itimer-real': 142,
  'itimer-virtual': 154,
  'cpu-limit': 152,
  'hard-cpu-limit': 137,
  'threads-kill-9': 137,
  'threads-kill': 143,
  'main-thread-gone': 143,
  'exit_group-in-thread': 7,
  'exit_group-in-main': 7,
  'exec-in-thread': 7,
  'exec-in-main': 7,
  'trap-in-thread': 132,
  'abort-in-thread': 134,
  'fork-in-thread': 5,
  'terminal-closed': 129,
  'session-leader-killed': 129,
  'Ctrl-C': 130,
  'Ctrl-backslash': 131,
};
/**
 * Milliseconds from the cause to the return of waitpid, for one of them and for half of them. The goal is 100 on an idle
 * machine; with the debug kernel's tests and a build beside, two took 1,100 and 1,200, half of them 105.
 */
const MOST_LATE = 5000 * Number(process.env.AUKLET_PATIENCE ?? 1);
const USUALLY_LATE = 500 * Number(process.env.AUKLET_PATIENCE ?? 1);
/** Seconds for the end of one command, and for workers to come back: Chromium needs 2 to end one that spins. */
const PATIENCE = 60;

const programs = ['runaway', 'spin', 'lateness'].map((name) => ({
  path: `/root/${name}`,
  mode: 0o755,
  content: new Uint8Array(readFileSync(join(build, 'tests/programs', name))),
}));

/** Workers that run programs (kernel threads come and go), memories in use, and workers on their way back. */
async function resources(machine) {
  const text = await machine.diagnostics();
  const count = (pattern) => [...text.matchAll(pattern)].length;
  return {
    programs: count(/^worker \d+: (running|claimed|assigned), .* memory \d{1,4},/gm),
    memories: count(/^memory \d+: used/gm),
    ending: count(/^worker \d+: (abandoned|terminating)/gm),
  };
}

/** Waits until what programs had is free again. */
async function comeBack(machine, before) {
  const deadline = Date.now() + PATIENCE * 1000;
  for (;;) {
    const now = await resources(machine);
    if (now.programs <= before.programs && now.memories <= before.memories && now.ending === 0) return;
    if (Date.now() > deadline)
      assert.fail(`after ${PATIENCE} s: ${JSON.stringify(now)}, before: ${JSON.stringify(before)}
${await machine.diagnostics()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const cpus of [1, 2]) {
  test(`seen by the parent, ${cpus} CPUs`, async (suite) => {
    const { machine, session } = await bootSession(suite, { cpus, exec: true, files: programs });
    const failure = async (message) =>
      new Error(`${message}\n---- transcript ----\n${session.transcript}\n${await machine.diagnostics()}`);
    const exec = async (command) => {
      let timer;
      const patience = new Promise((_, reject) => {
        timer = setTimeout(
          async () => reject(await failure(`${command.join(' ')}: no end in ${PATIENCE} s`)),
          PATIENCE * 1000,
        );
      });
      const { status, stdout, stderr } = await Promise.race([machine.exec(command), patience]);
      clearTimeout(timer);
      const text = new TextDecoder().decode(stdout);
      if (status !== 0)
        throw await failure(`${command.join(' ')} ended with ${status}: ${text}${new TextDecoder().decode(stderr)}`);
      return text;
    };
    await exec(['true']);
    const before = await resources(machine);
    const lateness = [];
    for (const [name, expected] of Object.entries(STATUS))
      await suite.test(name, async (report) => {
        const output = await exec(['/root/runaway', name]);
        const [, status, took] = output.match(/^\S+ (\d+) (\S+)\n$/) ?? assert.fail(output);
        report.diagnostic(`status ${status} after ${took} ms`);
        assert.equal(Number(status), expected);
        lateness.push(Math.abs(Number(took)));
        assert(lateness.at(-1) < MOST_LATE, `${took} ms`);
      });
    await suite.test('soon, mostly', () => {
      const median = lateness.sort((a, b) => a - b)[lateness.length >> 1];
      assert(median < USUALLY_LATE, `${lateness.join(' ')} ms`);
    });
    await suite.test('/proc/PID/stat counts their CPU time', async () => {
      const percent = Number((await exec(['/root/runaway', 'cpu-time'])).split(' ')[1]);
      assert(percent > 50 && percent < 120, `${percent} %`);
    });
    await suite.test('a periodic timer', async (report) => {
      const output = await exec(['/root/lateness', String(2 * cpus)]);
      const [, median, late] = output.match(/^median (\d+)\np99 (\d+)\nworst \d+\n$/) ?? assert.fail(output);
      report.diagnostic(`lateness: median ${median / 1e6} ms, 99th percentile ${late / 1e6} ms`);
    });
    await suite.test('workers and memories come back', () => comeBack(machine, before));
    await suite.test('no warning in the log', async () => {
      assert.equal(await exec(['sh', '-c', `${WARNINGS} || true`]), '');
    });
  });

  test(`at the prompt, ${cpus} CPUs`, async (suite) => {
    const { machine, session } = await bootSession(suite, { cpus, files: programs });
    await session.waitFor(PROMPT);
    await session.run('cd /root; mkfifo fifo');
    // Until it has been seen in user mode: it may not have come back yet from saying that it spins.
    await session.run('used() { cut -d " " -f 14 /proc/$1/stat; }');
    await session.run('start() { ./spin > fifo & read line < fifo; until [ $(used $!) != 0 ]; do usleep 1000; done; }');
    const before = await resources(machine);
    /** The last line of the output, without what the shell reports of jobs. */
    const last = async (line) =>
      (await session.run(line))
        .trimEnd()
        .split('\n')
        .filter((text) => !/^\[\d+\]/.test(text))
        .at(-1);
    const spinners = async () => (await last('pidof spin | wc -w')).trim();

    for (let count = 1; count <= 2 * cpus; ++count) assert.equal(await last('start; echo "$line"'), 'spinning');
    assert.equal(await spinners(), String(2 * cpus));
    await suite.test('the shell answers', async () => assert.equal(await last('echo $((6 * 7))'), '42'));
    for (const [name, keys, status] of [
      ['Ctrl-C', CONTROL_C, 130],
      ['Ctrl-backslash', CONTROL_BACKSLASH, 131],
    ])
      await suite.test(name, async () => {
        await session.write('./spin\r');
        await session.waitFor(/^spinning\n/m);
        await session.write(keys);
        await session.waitFor(PROMPT);
        assert.equal(await last('echo $?'), String(status));
      });
    for (const [command, status] of [
      ['kill -9', 137],
      ['kill', 143],
      ['kill -HUP', 129],
      ['kill -QUIT', 131],
      ['kill -XCPU', 152],
    ])
      await suite.test(command, async () =>
        assert.equal(await last(`start; ${command} $!; wait $!; echo $?`), String(status)),
      );
    // The same statuses as of BusyBox on any Linux: its timeout does not turn the signal into 124, and a hard limit kills.
    for (const [command, status] of [
      ['timeout 1 ./spin', 143],
      ['timeout -s KILL 1 ./spin', 137],
      ['(ulimit -S -t 1; exec ./spin)', 152],
      ['(ulimit -t 1; exec ./spin)', 137],
    ])
      await suite.test(command, async () => assert.equal(await last(`${command}; echo $?`), String(status)));
    await suite.test('top and the load', async () => {
      assert.equal(await spinners(), String(2 * cpus));
      const text = await session.run('top -b -n 2 -d 1');
      const [, second] = text.match(/^Mem: .*^(Mem: .*)/ms);
      const shares = [...second.matchAll(/ R .* (\d+\.\d) \.\/spin$/gm)].map(([, share]) => Number(share));
      assert.equal(shares.length, 2 * cpus, second);
      const sum = shares.reduce((one, other) => one + other, 0);
      assert(sum > 50 && sum <= 110, `${sum} %: ${second}`);
      const [, running] = (await last('cat /proc/loadavg')).match(/^\S+ \S+ \S+ (\d+)\//);
      assert(Number(running) >= 2 * cpus, `${running} are running`);
    });
    await suite.test('workers and memories come back', async () => {
      await session.run('kill -9 $(pidof spin); wait');
      assert.equal(await spinners(), '0');
      await comeBack(machine, before);
    });
    await suite.test('no warning in the log', async () => {
      assert.equal(await session.run(WARNINGS), '');
    });
    await suite.test('the kernel is out of memory', async () => {
      // The oldest way to ask for it; the spinner is the one to be killed.
      const line = 'echo 1000 > /proc/$!/oom_score_adj; echo f > /proc/sysrq-trigger; wait $!; echo $?';
      assert.equal(await last(`start; ${line}`), '137');
    });
    await suite.test('the session hangs up', async () => {
      await session.write("sh -c './spin > fifo & read line < fifo; kill -9 $PPID; wait'\r");
      await session.waitFor(/\n/);
      // Of the shell that init starts next.
      await session.waitFor(PROMPT);
      assert.equal(await last('while pidof spin > /dev/null; do usleep 10000; done; echo gone'), 'gone');
      await comeBack(machine, before);
    });
  });
}
