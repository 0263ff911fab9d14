// SPDX-License-Identifier: MIT
// The command line program behind ./auklet: console, exec, relay, serve.

import { MachineError } from '../api/types.ts';
import { consoleCommand } from './console-command.ts';
import { exec } from './exec-command.ts';
import { helpFor, HelpWanted, UsageError } from './options.ts';
import { relayCommand } from './relay.ts';
import { serveCommand } from './serve-command.ts';

const COMMANDS: Record<string, (words: readonly string[]) => Promise<number>> = {
  console: consoleCommand,
  exec,
  relay: relayCommand,
  serve: serveCommand,
};

async function main(): Promise<number> {
  const [name = '', ...words] = process.argv.slice(2);
  if (['help', '--help', '-h'].includes(name)) throw helpFor(words[0]);
  const command = COMMANDS[name];
  if (command === undefined)
    throw new UsageError(`unknown command ${name}; known are ${Object.keys(COMMANDS).join(', ')}`);
  return command(words);
}

let status: number;
try {
  status = await main();
} catch (error) {
  if (error instanceof HelpWanted) {
    process.stdout.write(error.message);
    status = 0;
  } else {
    status = error instanceof UsageError ? error.status : 1;
    // Users can act on the messages of our own errors. All other errors are
    // bugs, and their stacks say where.
    const known = error instanceof UsageError || error instanceof MachineError;
    console.error(`auklet: ${known ? error.message : ((error as Error)?.stack ?? String(error))}`);
  }
}
// Workers of a machine that still runs end with the process.
process.exit(status);
