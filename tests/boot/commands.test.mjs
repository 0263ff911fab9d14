// SPDX-License-Identifier: MIT
// The list of commands, typed at the console of a machine in Node.js.

import { test } from 'node:test';
import { begin, commands, perform } from './commands.mjs';
import { bootSession } from './machines.mjs';

test('commands', async (suite) => {
  let session;
  for (const command of commands)
    await suite.test(command.name ?? command.run, async () => {
      if (session === undefined) {
        ({ session } = await bootSession(suite));
        await begin(session);
      }
      // What comes after a failure gets a machine of its own.
      const used = session;
      session = undefined;
      await perform(used, command);
      session = used;
    });
});
