// SPDX-License-Identifier: MIT
// ./auklet exec: output byte for byte and apart, input, status, signals, files, time-out, errors in one line.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, cli, exec, runCli } from './machines.mjs';

async function check(command, expected, options) {
  const { status, stdout, stderr } = await exec(command, options);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '', ...expected });
}

test('standard output and error are apart', () =>
  check(['sh', '-c', 'echo out; echo err >&2; echo out again'], { stdout: 'out\nout again\n', stderr: 'err\n' }));
test('the status', () => check(['sh', '-c', 'exit 7'], { status: 7 }));
test('128 + signal', () => check(['sh', '-c', 'kill -TERM $$'], { status: 143 }));
test('no such command', async () => {
  const { status, stderr } = await exec(['no-such-command']);
  assert.equal(status, 127);
  assert.match(stderr, /no-such-command/);
});
test('arguments arrive as they are', () =>
  check(['printf', '%s|', 'a b', '', '"', "'", '$HOME', '\\', 'ü', 'new\nline'], {
    stdout: 'a b||"|\'|$HOME|\\|ü|new\nline|',
  }));
test('standard input, with its end', () => check(['wc', '-c'], { stdout: '11\n' }, { input: 'hello\nworld' }));
test('a command that does not read its input', () => check(['true'], {}, { input: randomBytes(3_000_000) }));
test('3 MB in and out, byte for byte', async () => {
  const bytes = randomBytes(3_000_000);
  const { status, stdoutBytes } = await exec(['cat'], { input: bytes });
  assert.equal(status, 0);
  assert(bytes.equals(stdoutBytes));
});

test('output waits for a slow reader', async (suite) => {
  const child = spawn(process.execPath, [cli, 'exec', '--', 'yes'], { stdio: ['ignore', 'pipe', 'inherit'] });
  suite.after(() => child.kill('SIGKILL'));
  const resident = () => Number(readFileSync(`/proc/${child.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+) kB/)[1]) / 1024;
  let first;
  let bytes = 0;
  for await (const piece of child.stdout) {
    first ??= resident();
    bytes += piece.length;
    // Some milliseconds of work for 64 KiB, which the guest writes in less than one.
    pbkdf2Sync('password', 'salt', Math.ceil(piece.length / 8), 32, 'sha512');
    if (bytes > 32e6) break;
  }
  const last = resident();
  assert.ok(last < first + 64, `${first} MiB at first, ${last} after 32 MB of output`);
});

test('workers that start later do not collect garbage for the size of the kernel memory', async () => {
  const program = join(build, 'tests/programs/pthreads');
  const { status, stdout } = await exec(['/root/pthreads'], {
    flags: ['--trace-gc'],
    words: ['--cpus', '2', '--put', `${program}:/root/pthreads`],
  });
  assert.equal(status, 0);
  // [process:isolate] time: kind ... reason
  const collections = stdout.match(/^\[\d+:\w+\].*/gm) ?? [];
  const isolates = (lines) => new Set(lines.map((line) => line.slice(0, line.indexOf(']')))).size;
  assert.ok(isolates(collections) > 20, stdout);
  // Of the CPUs, and of the three workers that a machine starts with.
  const pressed = isolates(collections.filter((line) => line.includes('external memory pressure')));
  assert.ok(pressed <= 2 + 3, `${pressed} of ${isolates(collections)}\n${stdout}`);
});

test('files are put with their mode', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'data'), 'content\n');
  chmodSync(join(folder, 'data'), 0o640);
  writeFileSync(join(folder, 'script'), '#!/bin/sh\necho "ran with $1"\n');
  chmodSync(join(folder, 'script'), 0o755);
  const words = ['--put', `${folder}/data:/deep/er/data`, '--put', `${folder}/script:/usr/local/bin/script`];
  await check(
    ['sh', '-c', 'stat -c "%a" /deep/er/data; cat /deep/er/data; script it'],
    { stdout: '640\ncontent\nran with it\n' },
    { words },
  );
});

test('CPUs and memory', async () => {
  await check(['grep', '-c', '^processor', '/proc/cpuinfo'], { stdout: '3\n' }, { words: ['--cpus', '3'] });
  const { stdout } = await exec(['awk', '/MemTotal/ { print int($2 / 1024) }', '/proc/meminfo'], {
    words: ['--memory', '256'],
  });
  assert(Number(stdout) > 200 && Number(stdout) <= 256, stdout);
});

test('time-out', async () => {
  const { status, stderr } = await exec(['sleep', '1000'], { words: ['--timeout', '5'] });
  assert.equal(status, 124);
  assert.match(stderr, /^auklet: no end after 5 s\n$/);
});

test('the command ends the machine', () => check(['poweroff', '-f'], {}));

for (const [name, words, message] of [
  ['no command', ['exec'], /no command/],
  ['command without --', ['exec', 'ls'], /write -- before the command/],
  ['unknown option', ['exec', '--fast', '--', 'ls'], /unknown option --fast/],
  ['missing file', ['exec', '--put', '/no/such:/x', '--', 'ls'], /there is no file \/no\/such/],
  ['relative guest path', ['exec', '--put', '/etc/hostname:x', '--', 'ls'], /ABSOLUTE/],
  ['too many CPUs', ['exec', '--cpus', '9', '--', 'ls'], /1 to 8/],
  ['time-out that is no number', ['exec', '--timeout', 'soon', '--', 'ls'], /whole number/],
  ['unknown command', ['explode'], /unknown command explode/],
]) {
  test(`error: ${name}`, async () => {
    const { status, stdout, stderr } = await runCli(words);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, message);
    assert.match(stderr, /^auklet: [^\n]+\n$/, 'one line');
  });
}
