// SPDX-License-Identifier: MIT
// What strace prints of some commands, line by line: process numbers and addresses apart, all of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec } from './machines.mjs';

/** Runs strace with its output in a file, and gives the lines of that; PID and ADDRESS stand for what may differ. */
async function trace(words, { expectedStatus = 0 } = {}) {
  const script = `env -i PATH=/bin:/usr/bin strace -o /tmp/trace ${words} > /dev/null 2>&1; status=$?; cat /tmp/trace; exit $status`;
  const { status, stdout, stderr } = await exec(['sh', '-c', script], { words: ['--timeout', '60', '--diagnose'] });
  assert.equal(status, expectedStatus, stderr);
  const pids = new Map();
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/0x[0-9a-f]{4,}/g, 'ADDRESS')
        .replace(/(pid +|si_pid=|kill\(|set_tid_address\(ADDRESS\) = )(\d+)/g, (_, before, pid) => {
          if (!pids.has(pid)) pids.set(pid, `PID${pids.size + 1}`);
          return before.replace(/^pid +/, 'pid ') + pids.get(pid);
        }),
    );
}

test('a command’s calls, strings, flags and results', async () => {
  assert.deepEqual(await trace('cat /etc/hostname'), [
    'execve("/bin/cat", ["cat", "/etc/hostname"], ADDRESS /* 1 var */) = 0',
    'set_tid_address(ADDRESS) = PID1',
    'getuid() = 0',
    'openat(AT_FDCWD, "/etc/hostname", O_RDONLY|O_LARGEFILE) = 3',
    'sendfile64(1, 3, NULL, 16777216) = 7',
    'sendfile64(1, 3, NULL, 16777216) = 0',
    'close(3) = 0',
    'exit_group(0) = ?',
    '+++ exited with 0 +++',
  ]);
});

test('errors, and the status of the command', async () => {
  assert.deepEqual(await trace('-e trace=openat,write cat /nonexistent', { expectedStatus: 1 }), [
    'openat(AT_FDCWD, "/nonexistent", O_RDONLY|O_LARGEFILE) = -1 ENOENT (No such file or directory)',
    "write(2, \"cat: can't open '/nonexistent': \"..., 58) = 58",
    '+++ exited with 1 +++',
  ]);
});

test('signals', async () => {
  assert.deepEqual(await trace(`-e trace=write,kill sh -c 'echo "a\tb"; kill -TERM $$'`, { expectedStatus: 143 }), [
    'write(1, "a\\tb\\n", 4) = 4',
    'kill(PID1, SIGTERM) = 0',
    '--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=PID1, si_uid=0} ---',
    '+++ killed by SIGTERM +++',
  ]);
});

test('children, with -f', async () => {
  assert.deepEqual(await trace(`-f -e mkdirat,exit_group sh -c 'mkdir /tmp/d; exit 3'`, { expectedStatus: 3 }), [
    '[pid PID1] mkdirat(AT_FDCWD, "/tmp/d", 0777) = 0',
    '[pid PID1] exit_group(0) = ?',
    '[pid PID1] +++ exited with 0 +++',
    '--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=PID1, si_uid=0, si_status=0} ---',
    'exit_group(3) = ?',
    '+++ exited with 3 +++',
  ]);
});

test('a running process, with -p', async () => {
  const words = `-e trace=ppoll_time64,read,exit_group -p $pid & tracer=$!`;
  const { stdout } = await exec(
    [
      'sh',
      '-c',
      // The process ends when it has read a line, which is written when its waiting for it has been seen.
      `mkfifo /tmp/fifo; sh -c 'read word; exit 5' < /tmp/fifo & pid=$!
       exec 3> /tmp/fifo
       strace -o /tmp/trace ${words}
       until [ -s /tmp/trace ]; do :; done
       echo x >&3
       wait $tracer; cat /tmp/trace`,
    ],
    { words: ['--timeout', '60', '--diagnose'] },
  );
  assert.deepEqual(stdout.trimEnd().split('\n').slice(-3), [
    'read(0, "\\n", 1) = 1',
    'exit_group(5) = ?',
    '+++ exited with 5 +++',
  ]);
});

test('a summary, with -c', async () => {
  assert.deepEqual(await trace('-c -e trace=openat,sendfile64 cat /etc/hostname /nonexistent', { expectedStatus: 1 }), [
    '    calls    errors syscall',
    '--------- --------- ----------------',
    '        2         1 openat',
    '        2           sendfile64',
    '--------- --------- ----------------',
    '        4         1 total',
  ]);
});

test('names that are no system calls and commands that are not there', async () => {
  const check = async (command, error) => {
    const { status, stdout, stderr } = await exec(command);
    assert.deepEqual({ status, stdout, stderr }, { status: 1, stdout: '', stderr: error });
  };
  await check(['strace', '-e', 'trace=nonsense', 'true'], 'strace: nonsense: no such system call\n');
  await check(['strace', 'nonsense'], 'strace: nonsense: No such file or directory\n');
  await check(['strace', '-p', '99999'], 'strace: 99999: No such process\n');
});
