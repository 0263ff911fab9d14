// SPDX-License-Identifier: MIT
// Runs each program of tests/programs and compares what it prints with NAME.expected. NAME.status holds the exit status if it
// is not 0, NAME.stdin its input. Each has a machine of its own; with another Node.js (AUKLET_TEST_NODE) all have one.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec, root } from './machines.mjs';

const sources = join(root, 'tests/programs');

const only = process.env.AUKLET_TEST_PROGRAMS?.split(' ');
const names = readdirSync(sources)
  .filter((name) => name.endsWith('.expected'))
  .map((name) => name.slice(0, -'.expected'.length))
  .filter((name) => only?.includes(name) ?? true);

const optional = (path, missing) => (existsSync(path) ? readFileSync(path, 'utf8') : missing);
const program = (name) => ['--put', `${join(build, 'tests/programs', name)}:/root/${name}`];

function check(name, { status, stdout, stderr }) {
  const base = join(sources, name);
  assert.equal(stdout, readFileSync(`${base}.expected`, 'utf8'), stderr);
  assert.equal(status, Number(optional(`${base}.status`, '0')), stderr);
}

if (process.env.AUKLET_TEST_NODE === undefined) {
  for (const name of names)
    test(name, async () => {
      check(
        name,
        await exec([`/root/${name}`], {
          words: ['--timeout', '120', '--diagnose', ...program(name)],
          input: optional(join(sources, `${name}.stdin`), ''),
        }),
      );
    });
} else {
  /** A line that no program prints. */
  const MARK = '---- end of a program:';
  let ends;
  test('one machine', async () => {
    const inputs = names.filter((name) => existsSync(join(sources, `${name}.stdin`)));
    const commands = names.map((name) => {
      const input = inputs.includes(name) ? `/root/${name}.stdin` : '/dev/null';
      return `/root/${name} < ${input} 2> /tmp/stderr; echo "${MARK} $?"; cat /tmp/stderr >&2; rm -rf /tmp/*`;
    });
    const { stdout, stderr } = await exec(['sh', '-c', commands.join('\n')], {
      node: process.env.AUKLET_TEST_NODE,
      words: [
        ...['--timeout', '600', '--diagnose'],
        ...names.flatMap(program),
        ...inputs.flatMap((name) => ['--put', `${join(sources, `${name}.stdin`)}:/root/${name}.stdin`]),
      ],
    });
    ends = [...stdout.matchAll(new RegExp(`([^]*?)${MARK} (\\d+)\\n`, 'g'))];
    assert.equal(ends.length, names.length, `${stdout}\n${stderr}`);
  });
  for (const [index, name] of names.entries())
    test(name, () => {
      const [, stdout, status] = ends[index];
      check(name, { status: Number(status), stdout, stderr: '' });
    });
}
