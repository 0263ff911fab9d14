// SPDX-License-Identifier: MIT
// The time zone that a machine is given: TZ of its first program, of the console's shell, and of commands.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession, runCli } from './machines.mjs';
import { PROMPT } from './session.mjs';

const OF_INIT = `tr '\\0' '\\n' < /proc/1/environ | grep ^TZ=`;

test('boot({ timeZone })', async (suite) => {
  const { session } = await bootSession(suite, { timeZone: 'America/Argentina/Buenos_Aires' });
  await session.waitFor(PROMPT);
  assert.equal(
    await session.run(`echo $TZ; ${OF_INIT}`),
    'America/Argentina/Buenos_Aires\nTZ=America/Argentina/Buenos_Aires\n',
  );
});

test('without one, and one of the kernel arguments', async (suite) => {
  const { session } = await bootSession(suite);
  await session.waitFor(PROMPT);
  assert.equal(await session.run('echo "<$TZ>"'), '<>\n');
  const other = await bootSession(suite, { timeZone: 'Europe/Berlin', kernelArguments: 'TZ=Etc/GMT+5' });
  await other.session.waitFor(PROMPT);
  assert.equal(await other.session.run('echo "<$TZ>"'), '<Etc/GMT+5>\n');
});

test('the zone of ./auklet exec and console is that of its TZ', async () => {
  const script = `echo $TZ; ${OF_INIT}`;
  for (const zone of ['Europe/Berlin', 'America/New_York']) {
    const { stdout } = await runCli(['exec', '--', 'sh', '-c', script], { environment: { TZ: zone } });
    assert.equal(stdout, `${zone}\nTZ=${zone}\n`);
  }
  const { stdout } = await runCli(['console'], {
    environment: { TZ: 'Asia/Kolkata' },
    input: 'echo zone: $TZ; poweroff -f\n',
  });
  // Node.js may call it by its former name.
  assert.match(stdout, /\nzone: Asia\/(Kolkata|Calcutta)\r?\n/);
});

test('what is no name of a zone is refused', async () => {
  for (const timeZone of ['', 'Europe/Berlin quiet', 'a.b', '../etc/passwd', 'x'.repeat(65), 'Zürich', 5, null, '\n'])
    await assert.rejects(bootSession(undefined, { timeZone }), { name: 'MachineError', code: 'invalid-option' });
});
