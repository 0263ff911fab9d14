// SPDX-License-Identifier: MIT
// auklet exec: boots a machine, runs one command in it, and ends with its status.

import { writeSync } from 'node:fs';
import type { HaltReason } from '../api/types.ts';
import { filesOf, startMachineHere } from './machine.ts';
import { numberOption, parseCommandLine, UsageError } from './options.ts';

/** As of timeout(1). */
const TIMED_OUT = 124;
/** As of docker(1): the machine failed, not the command. */
const MACHINE_FAILED = 125;

/** Writes all, also to a pipe whose reader is slow. False: nobody reads any more. */
function writeAll(descriptor: number, bytes: Uint8Array): boolean {
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') {
        // A non-blocking pipe that is full. Output must not be lost, and there is nothing better to do.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        continue;
      }
      if (code === 'EPIPE') return false;
      throw error;
    }
  }
  return true;
}

export async function exec(input: readonly string[]): Promise<number> {
  const line = parseCommandLine('exec', input, {
    values: ['cpus', 'memory', 'timeout', 'arguments'],
    flags: ['console', 'diagnose'],
    puts: true,
  });
  if (line.words.length > 0)
    throw new UsageError(`exec: write -- before the command: ./auklet exec -- ${line.words.join(' ')}`);
  if (line.rest === undefined || line.rest.length === 0)
    throw new UsageError(
      'exec: no command; usage: ./auklet exec [--put HOST:GUEST]... [--cpus N] [--memory MIB] [--timeout S [--diagnose]] -- COMMAND ARGS...',
    );
  const cpus = numberOption(line, 'cpus', 1, 8);
  const memory = numberOption(line, 'memory', 16, 4095);
  const timeout = numberOption(line, 'timeout', 1, 1_000_000);
  const kernelArguments = line.values.get('arguments');
  const files = await filesOf(line.puts);

  const machine = await startMachineHere({
    exec: true,
    files,
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(kernelArguments === undefined ? {} : { kernelArguments }),
  });
  if (line.flags.has('console')) machine.on('output', (bytes) => void writeAll(2, bytes));
  machine.on('log', (level, message) => {
    if (level !== 'information') console.error(`auklet: ${level}: ${message}`);
  });

  const ends: Promise<number>[] = [
    machine
      .exec(line.rest, {
        stdin: process.stdin,
        environment: process.env.TERM === undefined ? {} : { TERM: process.env.TERM },
        onStdout: (bytes) => pass(1, bytes),
        onStderr: (bytes) => pass(2, bytes),
      })
      .then((result) => result.status),
    // The command may end the machine itself.
    machine.halted.then((reason) => ended(reason)),
  ];
  // Pending machines hold many workers: the process is left without waiting for them.
  let readerGone: (status: number) => void = () => {};
  ends.push(new Promise((resolve) => (readerGone = resolve)));
  function pass(descriptor: number, bytes: Uint8Array): void {
    // As if SIGPIPE had ended the command.
    if (!writeAll(descriptor, bytes)) readerGone(128 + 13);
  }
  function ended(reason: HaltReason): number {
    if (reason !== 'panic') return 0;
    process.stderr.write(machine.transcript);
    console.error('auklet: the kernel panicked');
    return MACHINE_FAILED;
  }
  if (timeout !== undefined)
    ends.push(
      new Promise((resolve) =>
        setTimeout(async () => {
          console.error(`auklet: no end after ${timeout} s`);
          if (line.flags.has('diagnose')) console.error(await machine.diagnostics());
          resolve(TIMED_OUT);
        }, timeout * 1000),
      ),
    );
  try {
    return await Promise.race(ends);
  } catch (error) {
    // The machine's end is reported as that, not as the failure of the command.
    const halted = await Promise.race([machine.halted, Promise.resolve(undefined)]);
    if (halted !== undefined) return ended(halted);
    process.stderr.write(machine.transcript);
    console.error(`auklet: ${error instanceof Error ? error.message : String(error)}`);
    return MACHINE_FAILED;
  }
}
