// SPDX-License-Identifier: MIT
// The list of commands, typed at the console of a machine in Node.js.

import { test } from 'node:test';
import { begin, commands, perform } from './commands.mjs';
import { bootSession } from './machines.mjs';

test('commands', async (suite) => {
  const { session } = await bootSession(suite);
  await begin(session);
  for (const command of commands) await suite.test(command.name ?? command.run, () => perform(session, command));
});
