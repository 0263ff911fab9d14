// SPDX-License-Identifier: MIT
// What execve refuses: each bad module gives ENOEXEC, and the machine goes on.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec } from './machines.mjs';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const text = (value) => [value.length, ...Buffer.from(value)];
const section = (id, content) => [id, content.length, ...content];
const types = section(1, [1, 0x60, 1, 0x7f, 0]); // (i32) -> ()
const memory = [...text('linux'), ...text('memory'), 0x02, 0x03, 1, 0x80, 0x80, 0x04]; // shared, 1 to 65536 pages

const bad = {
  'an empty file': [],
  'wrong magic': [0x00, 0x61, 0x73, 0x6e, 0x01, 0x00, 0x00, 0x00],
  'wrong version': [0x00, 0x61, 0x73, 0x6d, 0x02, 0x00, 0x00, 0x00],
  'magic only': HEADER.slice(0, 4),
  'a module with nothing in it': HEADER,
  'no start function': [...HEADER, ...types, ...section(2, [1, ...memory])],
  'an unknown import': [...HEADER, ...types, ...section(2, [2, ...memory, ...text('linux'), ...text('reboot'), 0, 0])],
  'an import of another module': [
    ...HEADER,
    ...types,
    ...section(2, [2, ...memory, ...text('env'), ...text('x'), 0, 0]),
  ],
  'an unshared memory': [...HEADER, ...types, ...section(2, [1, ...text('linux'), ...text('memory'), 0x02, 0x00, 1])],
  'an invalid section': [...HEADER, 0x7f, 1, 0],
};

test('bad executables', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const cases = Object.entries(bad).map(([name, bytes], index) => ({
    name,
    path: join(folder, `bad${index}`),
    bytes: Buffer.from(bytes),
  }));
  const shell = join(build, 'busybox/busybox');
  const whole = readFileSync(shell);
  for (const part of [0.001, 0.5, 0.999])
    cases.push({
      name: `busybox cut at ${part}`,
      path: join(folder, `cut${part}`),
      bytes: whole.subarray(0, whole.length * part),
    });
  for (const { path, bytes } of cases) writeFileSync(path, bytes, { mode: 0o755 });
  // env, not the shell: a shell takes what execve refuses for a script.
  const script = cases.map(({ path }) => `env ${path}; echo $?`).join('\n');
  const { stdout, stderr } = await exec(['sh', '-c', `${script}\necho done`], {
    words: cases.flatMap(({ path }) => ['--put', `${path}:${path}`]),
  });
  const statuses = stdout.trimEnd().split('\n');
  const messages = stderr.trimEnd().split('\n');
  assert.equal(statuses.pop(), 'done', 'the machine goes on');
  for (const [index, { name }] of cases.entries())
    await suite.test(name, () => {
      assert.equal(statuses[index], '126');
      assert.match(messages[index] ?? '', /Exec format error/);
    });
});
