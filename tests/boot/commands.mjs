// SPDX-License-Identifier: MIT
// What is typed at the prompt and what must come back; run in Node.js and in Chromium.
//
// { run, output }     types a line; a string is the exact output, a pattern must match it, a function checks it
// { steps }           keys and expectations in turn: { send }, { expect }, { resize: [columns, rows] }, { prompt: true },
//                    { interruptAfter }: Ctrl-C after each such output until the prompt comes
// Programs may leave no files and no jobs behind.

import assert from 'node:assert/strict';
import { PROMPT, SCREEN } from './session.mjs';

const CONTROL_C = '\x03';
const CONTROL_Z = '\x1a';
const ESCAPE = '\x1b';
/**
 * Keys for a job must not come before it has the terminal: the echo of its command line comes from the shell, which still
 * has the terminal in its own mode (no echo, no line editing, no signals) then. The job says when.
 */
const READY = 'sh -c "echo ready; ';

export const commands = [
  { run: 'cd /root', output: '' },
  {
    name: 'ls /',
    run: 'ls -1 /',
    output: (text) => {
      const names = text.split('\n');
      for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'sbin', 'sys', 'tmp', 'usr'])
        assert(names.includes(name), name);
    },
  },
  { run: 'ls /', output: /\bbin\b.*\bdev\b/s },
  { run: 'pwd', output: '/root\n' },
  { run: 'uname -a', output: /^Linux auklet 6\.12\.\d+\S* .* wasm GNU\/Linux\n$/ },
  { run: 'uptime', output: /^ \d\d:\d\d:\d\d up .*load average: \d+\.\d\d, \d+\.\d\d, \d+\.\d\d\n$/ },
  { run: 'top -b -n1', output: /Mem: \d+K used.*CPU:.*\bPID\b.*COMMAND.*\btop -b -n1/s },
  { run: 'ps | grep kthreadd', output: /^ +2 \S+ .*\[kthreadd\]\n/m },
  { run: 'echo through a descriptor | cat /dev/fd/5 /dev/stdin 5< /dev/null', output: 'through a descriptor\n' },
  { run: 'head /proc/cpuinfo', output: /^processor\s*: 0\n/ },
  { run: 'mount', output: /^proc on \/proc type proc .*\n(.*\n)*sysfs on \/sys type sysfs/m },
  { run: 'find /proc -maxdepth 2 -name cmdline', output: /^\/proc\/1\/cmdline\n/m },
  { name: 'usleep', run: 'time usleep 1234567', output: /^real\t0m 1\.(2[3-9]|[3-9]\d)s\n/m },
  { run: 'iostat', output: /^Linux 6\.12.*\n(.*\n)*avg-cpu: /m },
  { run: 'strings /bin/busybox | head', output: (text) => assert.equal(text.trimEnd().split('\n').length, 10) },
  { run: 'grep Cpus_allowed_list /proc/self/status', output: /^Cpus_allowed_list:\t0(-\d)?\n$/ },
  { run: 'echo Hello >> world && cat world', output: 'Hello\n' },
  { run: 'echo Hello >> world && cat world; rm world', output: 'Hello\nHello\n' },
  { run: 'exec sh', output: '' },
  {
    name: 'watch -n1 date ended with Ctrl-C',
    steps: [
      { send: 'watch -n1 date\r' },
      { expect: /Every 1\.0s: date/ },
      { expect: /Every 1\.0s: date/ },
      // While watch waits for date, it ignores Ctrl-C, as system() must: only the pause between two dates ends it.
      { interruptAfter: /UTC \d+\n/ },
    ],
  },
  {
    name: 'vi writes a file',
    steps: [
      { send: 'vi /tmp/poem\r' },
      { expect: /- \/tmp\/poem/ },
      { send: 'iroses are red' },
      { expect: 'roses are red' },
      { send: '\rviolets are blue' },
      { expect: 'violets are blue' },
      { send: ESCAPE },
      // Sent at once, the next key would be one with Escape.
      { expect: /- \/tmp\/poem \[Modified\]/ },
      { send: ':wq\r' },
      { prompt: true },
    ],
  },
  { run: 'cat /tmp/poem; rm /tmp/poem', output: 'roses are red\nviolets are blue\n' },
  { run: 'seq 100 | grep 7 | sort -rn | head -n 5 | tr "\\n" " "; echo', output: '97 87 79 78 77 \n' },
  { run: 'seq 20000 | cat | cat | cat | wc -l', output: '20000\n' },
  // More than the console's queue and its driver hold.
  { run: 'seq 50000', output: Array.from({ length: 50000 }, (_, index) => `${index + 1}\n`).join('') },
  { run: 'x=$(exit 3); echo $?', output: '3\n' },
  {
    name: 'here-document',
    steps: [
      { send: 'cat << END | tr a-z A-Z\r' },
      { expect: /> $/ },
      { send: 'one\r' },
      { expect: /one\n> $/ },
      { send: 'two $((1 + 1))\r' },
      { expect: /\n> $/ },
      { send: 'END\r' },
      { expect: /ONE\nTWO 2\n/ },
      { prompt: true },
    ],
  },
  {
    name: 'background jobs: jobs, Ctrl-Z, bg, fg',
    steps: [
      { send: 'sleep 1000 &\r' },
      { prompt: true },
      { send: 'jobs\r' },
      { expect: /\[1\]\+?  ?Running +sleep 1000/ },
      { prompt: true },
      { send: READY + 'exec cat"\r' },
      { expect: /\nready\n/ },
      { send: 'echoed\r' },
      { expect: /echoed\nechoed\n/ },
      { send: CONTROL_Z },
      { expect: /\[2\]\+ +Stopped.*cat/ },
      { prompt: true },
      { send: 'fg %2\r' },
      { expect: /exec cat.*\n/ },
      { send: 'again\r' },
      { expect: /again\nagain\n/ },
      { send: CONTROL_Z },
      { expect: /Stopped/ },
      { prompt: true },
      { send: 'kill -9 %2; fg %2; echo status $?\r' },
      { expect: /status 137/ },
      { prompt: true },
      { send: READY + 'exec sleep 1001"\r' },
      { expect: /\nready\n/ },
      { send: CONTROL_Z },
      { expect: /Stopped.*sleep 1001/ },
      { prompt: true },
      { send: 'bg\r' },
      // No prompt is waited for: the SIGCHLD of the job that goes on may interrupt its write, also natively, and musl drops it then.
      { expect: /sleep 1001.*\n/ },
      { send: 'jobs\r' },
      { expect: /Running +sh -c .*sleep 1001/ },
      { prompt: true },
      { send: 'kill %1 %2; wait; echo all gone\r' },
      { expect: /\nall gone\n/ },
      { prompt: true },
      { send: 'jobs\r' },
      { prompt: true },
    ],
  },
  {
    name: "trap 'echo got' INT",
    steps: [
      { send: "trap 'echo got' INT\r" },
      { prompt: true },
      { send: 'kill -INT $$\r' },
      { expect: /\ngot\n/ },
      { prompt: true },
      { send: 'trap - INT\r' },
      { prompt: true },
    ],
  },
  {
    name: 'kill',
    // An interactive shell ignores SIGTERM, and so does its child until it has become sleep.
    run: 'sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; kill $!; wait $!; echo $?',
    output: /(^|\n)143\n/,
  },
  {
    name: 'sleep 100 ended by Ctrl-C',
    steps: [
      { send: READY + 'exec sleep 100"\r' },
      { expect: /\nready\n/ },
      { send: CONTROL_C },
      { prompt: true },
      { send: 'echo $?\r' },
      { expect: /\n130\n/ },
      { prompt: true },
    ],
  },
  {
    name: 'stty size after a resize',
    steps: [
      { resize: [100, 30] },
      // The size travels by an interrupt of its own: asking again is how a program would notice without SIGWINCH.
      { send: 'until [ "$(stty size)" = "30 100" ]; do usleep 10000; done; echo size $(stty size)\r' },
      { expect: /\nsize 30 100\n/ },
      { prompt: true },
      { resize: [SCREEN.columns, SCREEN.rows] },
      { send: 'until [ "$(stty size)" = "40 240" ]; do usleep 10000; done; echo size $(stty size)\r' },
      { expect: /\nsize 40 240\n/ },
      { prompt: true },
    ],
  },
  {
    name: 'UTF-8 typed and echoed',
    steps: [
      { send: 'echo Käuzchen → 鳥 🐧\r' },
      { expect: 'echo Käuzchen → 鳥 🐧\n' },
      { expect: 'Käuzchen → 鳥 🐧\n' },
      { prompt: true },
    ],
  },
  {
    name: 'nc between two jobs over loopback',
    // The listener may not listen yet when the client starts.
    run: '(nc -l -p 7000 > /tmp/got &); until echo hello over loopback | nc 127.0.0.1 7000 2> /dev/null; do usleep 20000; done; until [ -s /tmp/got ]; do usleep 20000; done; cat /tmp/got; rm /tmp/got',
    output: 'hello over loopback\n',
  },
  {
    name: 'wget of a page of httpd, whose port it looks up',
    run: 'mkdir /tmp/www; echo served > /tmp/www/index.html; httpd -f -h /tmp/www & until wget -qO - http://127.0.0.1/ 2> /dev/null; do usleep 20000; done; kill $!; wait $!; rm -r /tmp/www',
    output: /(^|\n)served\n/,
  },
  {
    name: 'an out-of-bounds store ends one process with 139',
    run: 'sh -c "kill -SEGV \\$\\$"; echo $?',
    output: /139\n$/,
  },
  {
    name: 'a paste of 64 KiB arrives whole',
    paste: 65536,
  },
];

/** Makes 64-character lines; the last is shorter. */
function pasteText(size) {
  const line = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-';
  return Array.from({ length: size / 64 }, () => line).join('\n') + '\n';
}

async function interrupt(session, pattern) {
  const either = new RegExp(`${pattern.source}|${PROMPT.source}`);
  while (!PROMPT.test((await session.waitFor(either))[0])) await session.write(CONTROL_C);
}

/** Runs one entry of the list in a Session. */
export async function perform(session, { run, output, steps, paste }) {
  if (paste !== undefined) {
    await session.write('stty -echo; echo ready; cat > /tmp/paste; stty echo\r');
    await session.waitFor('\nready\n');
    await session.write(pasteText(paste).replaceAll('\n', '\r'));
    await session.write('\x04');
    await session.waitFor(/# $/);
    const { createHash } = await import('node:crypto');
    const expected = createHash('md5').update(pasteText(paste)).digest('hex');
    assert.equal(
      await session.run('md5sum < /tmp/paste; wc -c < /tmp/paste; rm /tmp/paste'),
      `${expected}  -\n${paste}\n`,
    );
    return;
  }
  if (run !== undefined) {
    const text = await session.run(run);
    if (typeof output === 'string') assert.equal(text, output);
    else if (output instanceof RegExp) assert.match(text, output);
    else output(text);
    return;
  }
  for (const step of steps) {
    if (step.send !== undefined) await session.write(step.send);
    else if (step.resize !== undefined) await session.resize(...step.resize);
    else if (step.interruptAfter !== undefined) await interrupt(session, step.interruptAfter);
    else await session.waitFor(step.prompt ? PROMPT : step.expect);
  }
}

/** Waits for the first prompt, and for a screen on which no line wraps. */
export async function begin(session) {
  await session.waitFor(PROMPT);
  const { columns, rows } = SCREEN;
  await session.resize(columns, rows);
  // The shell writes its prompt again when the size changes: the answer needs a mark of its own.
  await session.write(`until [ "$(stty size)" = "${rows} ${columns}" ]; do usleep 10000; done; echo ready\r`);
  await session.waitFor('\nready\n');
  await session.waitFor(PROMPT);
}
