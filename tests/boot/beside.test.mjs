// SPDX-License-Identifier: MIT
// machine.exec and machine.fs beside a login on the console, and standard input for every command.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession, runCli } from './machines.mjs';
import { PROMPT } from './session.mjs';

const text = (bytes) => new TextDecoder().decode(bytes);

test('commands and files beside a login', async (suite) => {
  const { machine, session } = await bootSession(suite, {
    exec: true,
    login: true,
    shares: [{ name: 'm', memory: true }],
  });
  await machine.started;
  // Neither waits for the other one.
  const [, first] = await Promise.all([session.waitFor(PROMPT), machine.exec(['cat'], { stdin: 'typed nowhere\n' })]);
  assert.equal(text(first.stdout), 'typed nowhere\n');
  await machine.fs.writeFile('/mnt/m/x', 'from the owner\n');
  assert.equal(await session.run('cat /mnt/m/x; echo from the login > /mnt/m/y'), 'from the owner\n');
  assert.equal(text(await machine.fs.readFile('/mnt/m/y')), 'from the login\n');
  // A command's terminal is not the console: what is typed goes to the login.
  await session.write('read -r line; echo "got $line"\r');
  const { status, stdout } = await machine.exec(['sh', '-c', 'echo in exec; cat; tty'], { stdin: 'input\n' });
  assert.deepEqual([status, text(stdout)], [1, 'in exec\ninput\nnot a tty\n']);
  await session.write('typed\r');
  await session.waitFor('got typed');
  // The login ends and begins anew; the agent stays.
  await session.write('exit\r');
  await session.waitFor(PROMPT);
  assert.equal((await machine.exec(['true'])).status, 0);
});

test('standard input reaches commands of every kind', async () => {
  for (const [words, input, expected] of [
    [['cat'], 'a\nb', 'a\nb'],
    [['sh'], 'echo $((1 + 2))\nexit 0\n', '3\n'],
    [['sh', '-c', 'read -r a; echo "<$a>"; cat'], 'one\ntwo\n', '<one>\ntwo\n'],
    [['sh', '-c', 'cat < /dev/stdin | tr a-z A-Z'], 'pipe\n', 'PIPE\n'],
    [['sh', '-c', '(sleep 0; cat) & wait; exec 0</proc/self/fd/0; cat'], 'x\n', 'x\n'],
    [['dd', 'bs=1'], 'dd', 'dd'],
    [['sort', '-'], 'b\na\n', 'a\nb\n'],
    [['head', '-n', '1'], 'line\n'.repeat(100_000), 'line\n'],
    [['xargs', '-n1', 'echo'], 'p q\n', 'p\nq\n'],
    [['wc', '-c'], 'z'.repeat(1_000_000), '1000000\n'],
    [['cat'], '', ''],
  ]) {
    const { stdout } = await runCli(['exec', '--', ...words], { input });
    assert.equal(stdout, expected, words.join(' '));
  }
});

test('a command is cancelled', async (suite) => {
  const { machine, session } = await bootSession(suite, { exec: true, login: true });
  await session.waitFor(PROMPT);
  const abort = new AbortController();
  let begun;
  const beginning = new Promise((resolve) => (begun = resolve));
  const result = machine.exec(['sh', '-c', 'echo begun; sleep 1000 & sleep 1001'], {
    signal: abort.signal,
    onStdout: () => begun(),
  });
  await beginning;
  abort.abort(new Error('enough'));
  await assert.rejects(result, { message: 'enough' });
  assert.equal(await session.run('while pidof sleep; do :; done | tail -n 0; echo none'), 'none\n');
  await assert.rejects(machine.exec(['true'], { signal: abort.signal }), { message: 'enough' });
  const late = new AbortController();
  assert.equal((await machine.exec(['true'], { signal: late.signal })).status, 0);
  late.abort();
  await assert.rejects(machine.exec(['true'], { signal: 'none' }), { code: 'invalid-option' });
});
