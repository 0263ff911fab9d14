// SPDX-License-Identifier: MIT
// The API in Node.js: options, events, what handlers may do, and the ways of an end.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));

/** Resolves with all output up to the pattern. */
function outputOf(machine, pattern) {
  return new Promise((resolve) => {
    let text = '';
    machine.on('output', (bytes) => {
      text += new TextDecoder().decode(bytes);
      if (pattern.test(text)) resolve(text);
    });
  });
}

for (const [name, options, message] of [
  ['an unknown name', { cpuss: 2 }, /has no cpuss; known are cpus, memory/],
  ['a value of another type', { cpus: '2' }, /cpus must be a whole number from 1 to 8, not "2"/],
  ['a fraction', { memory: 64.5 }, /memory must be a whole number from 32 to 4095/],
  ['too few CPUs', { cpus: 0 }, /from 1 to 8/],
  ['too much memory', { memory: 999_999 }, /from 32 to 4095/],
  ['NaN', { columns: Number.NaN }, /columns must be/],
  ['a file without content', { files: [{ path: '/x' }] }, /files\[0\] needs a content, a link, or directory: true/],
  [
    'a file that is a number',
    { files: [{ path: '/x', content: 7 }] },
    /content must be a Uint8Array or a string, not 7/,
  ],
  ['a file with another name', { files: [{ path: '/x', content: '', modus: 7 }] }, /files\[0\] has no modus/],
  ['a relative path', { files: [{ path: 'x', content: '' }] }, /path must be an absolute path/],
  ['control characters', { kernelArguments: 'quiet\npanic=1' }, /control characters/],
])
  test(`refused: ${name}`, async () => {
    await assert.rejects(startMachine(options), (error) => {
      assert.equal(`${error.name} ${error.code}`, 'MachineError invalid-option');
      assert.match(error.message, message);
      return true;
    });
  });

test('the host’s own checks have the same code', async () => {
  const machine = await startMachine({ kernelArguments: 'x'.repeat(3000) });
  await assert.rejects(machine.started, { code: 'invalid-option' });
  assert.equal(await machine.halted, 'failed');
  await machine.dispose();
});

test('few processes and workers are possible', async (suite) => {
  const machine = await startMachine({ memoryLimit: 4, workerLimit: 16, exec: true });
  suite.after(() => machine.dispose());
  assert.equal((await machine.exec(['true'])).status, 0);
});

test('text as a file, and what exec refuses', async (suite) => {
  const machine = await startMachine({ exec: true, files: [{ path: '/root/text', content: 'grüße\n' }] });
  suite.after(() => machine.dispose());
  const { stdout } = await machine.exec(['cat', '/root/text']);
  assert.equal(new TextDecoder().decode(stdout), 'grüße\n');
  for (const [command, options] of [
    [[], {}],
    ['ls', {}],
    [['ls', 1], {}],
    [['ls'], { env: {} }],
    [['ls'], { stdin: 7 }],
    [['ls'], { onStdout: 'x' }],
  ])
    await assert.rejects(machine.exec(command, options), { code: 'invalid-option' });
});

test('output before the first handler is delivered to it', async (suite) => {
  const machine = await startMachine({});
  suite.after(() => machine.dispose());
  await machine.started;
  // All of the kernel's log has come by now, and nobody has seen it.
  const text = await outputOf(machine, /# $/);
  assert.match(text, /^[^]{0,40}Linux version/);
  assert.ok(machine.transcript.endsWith(text.slice(-100)));
});

test('a handler that throws stops neither the others nor the machine', async (suite) => {
  const reported = [];
  suite.mock.method(console, 'error', (error) => reported.push(error));
  const machine = await startMachine({});
  suite.after(() => machine.dispose());
  machine.on('output', () => {
    throw new Error('thrown');
  });
  machine.on('output', () => Promise.reject(new Error('rejected')));
  await outputOf(machine, /# $/);
  machine.write('echo $((6 * 7))\r');
  await outputOf(machine, /\n42\r\n/);
  const messages = new Set(reported.map((error) => error.message));
  assert.deepEqual([...messages].sort(), ['rejected', 'thrown']);
});

test('halted settles when the machine is disposed of', async () => {
  const machine = await startMachine({});
  await machine.started;
  await machine.dispose();
  assert.equal(await machine.halted, 'disposed');
});

test('input that nobody will take is waited for until the machine ends', async () => {
  const machine = await startMachine();
  machine.write('x'.repeat(100_000));
  const drained = machine.drained();
  await machine.dispose();
  await drained;
  machine.write('more');
  await machine.drained();
});
