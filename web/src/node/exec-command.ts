// SPDX-License-Identifier: MIT
// The command `auklet exec`: boots a machine, runs one command in it, and ends
// with the command's status.

import type { Machine } from '../api/machine.ts';
import { engineTimeZone } from '../api/time-zone.ts';
import { MachineError, type MachineEnd } from '../api/types.ts';
import { TYPED_OPTIONS } from '../machine/options.ts';
import { within } from '../machine/platform.ts';
import { disksOf, rootOf } from './disks.ts';
import { Gets } from './gets.ts';
import { filesOf, startMachineHere } from './machine.ts';
import { NETWORK_LISTS, NETWORK_VALUES, networkOf } from './network.ts';
import { numberOption, parseCommandLine, sizeOptions, UsageError } from './options.ts';
import { Output } from './output.ts';
import { pcapOf, PCAP_VALUES } from './pcap.ts';
import { sharesOf } from './shares.ts';

/** The status when the time is over, as of timeout(1). */
const TIMED_OUT = 124;
/**
 * The status when not the command but the machine has failed, as of docker(1).
 */
const MACHINE_FAILED = 125;

/** Signals that are passed on to the command, with Linux's numbers. */
const FORWARDED = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export async function exec(input: readonly string[]): Promise<number> {
  const line = parseCommandLine('exec', input, {
    values: [...TYPED_OPTIONS, 'timeout', 'arguments', 'root', 'root-cache', ...NETWORK_VALUES, ...PCAP_VALUES],
    flags: ['console', 'diagnose'],
    lists: ['put', 'get', 'disk', 'share', ...NETWORK_LISTS],
  });
  if (line.words.length > 0)
    throw new UsageError(`exec: write -- before the command: ./auklet exec -- ${line.words.join(' ')}`);
  if (line.rest === undefined || line.rest.length === 0)
    throw new UsageError(
      'exec: no command; usage: ./auklet exec [OPTIONS] -- COMMAND ARGS...; ./auklet exec --help lists the options',
    );
  const sizes = sizeOptions(line);
  const timeout = numberOption(line, 'timeout', { least: 1, most: 1_000_000, unit: ' s' });
  const kernelArguments = line.values.get('arguments');
  const files = await filesOf(line.lists.get('put')!);
  const disks = disksOf(line.lists.get('disk')!);
  const shares = sharesOf(line.lists.get('share')!);
  const gets = new Gets(line.lists.get('get')!);
  const network = networkOf(line);
  const timeZone = engineTimeZone();
  const pcap = pcapOf(line, network.network !== undefined, (message) => console.error(`auklet: ${message}`));

  const options = {
    exec: true,
    files,
    disks,
    ...rootOf(line),
    ...network,
    shares: [...shares, ...gets.shares()],
    ...sizes,
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(kernelArguments === undefined ? {} : { kernelArguments }),
  };
  const machine = await startMachineHere(options, pcap?.record);
  const stdout = new Output(1);
  const stderr = new Output(2);
  if (line.flags.has('console')) machine.on('output', (bytes) => void stderr.writeAll(bytes));
  let diskFailed = false;
  machine.on('log', (level, message) => {
    if (level === 'error') diskFailed = true;
    if (level !== 'information') console.error(`auklet: ${level}: ${message}`);
  });

  const ends: Promise<number>[] = [
    machine
      .exec(line.rest, {
        stdin: process.stdin,
        environment: process.env.TERM === undefined ? {} : { TERM: process.env.TERM },
        onStdout: (bytes) => pass(stdout, bytes),
        onStderr: (bytes) => pass(stderr, bytes),
      })
      .then((result) => result.status),
    // The command may end the machine itself. A failure of the machine is
    // reported as the failure of the command, below.
    machine.halted.then((end) => (end === 'failed' ? new Promise<never>(() => {}) : ended(end))),
  ];
  // The process leaves without waiting for the machine's many workers.
  let leave: (status: number) => void = () => {};
  /** Nobody waits for the command any more. */
  let left = false;
  ends.push(
    new Promise((resolve) => {
      leave = (status) => {
        left = true;
        resolve(status);
      };
    }),
  );
  function pass(output: Output, bytes: Uint8Array): void {
    // The status is as if SIGPIPE had ended the command.
    if (!output.writeAll(bytes)) leave(128 + 13);
  }
  let signalled = false;
  for (const [signal, number] of Object.entries(FORWARDED) as [keyof typeof FORWARDED, number][])
    process.on(signal, () => {
      if (signalled || !machine.kill(signal)) leave(128 + number);
      signalled = true;
    });
  function ended(end: MachineEnd): number {
    if (end !== 'panic') return 0;
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
          left = true;
          resolve(TIMED_OUT);
        }, timeout * 1000),
      ),
    );
  const status = await Promise.race(ends).catch(async (error: unknown) => {
    // If the machine has ended, that is reported, and not the command's
    // failure.
    const halted = await Promise.race([machine.halted, Promise.resolve(undefined)]);
    if (halted !== undefined && halted !== 'failed') return ended(halted);
    process.stderr.write(machine.transcript);
    console.error(`auklet: ${error instanceof Error ? error.message : String(error)}`);
    return MACHINE_FAILED;
  });
  await pcap?.close();
  const failures = left ? [] : await gets.fetch(machine);
  gets.end();
  for (const failure of failures) console.error(`auklet: ${failure}`);
  if (failures.length > 0 && status === 0) return MACHINE_FAILED;
  if (disks.length === 0) return status;
  const synced = await finish(machine);
  if (!synced) console.error('auklet: not all that was written to files is on the disks');
  return status === 0 && (!synced || diskFailed) ? MACHINE_FAILED : status;
}

/** Milliseconds for the guest to sync. One that hangs does not. */
const SYNC_PATIENCE = 60_000;

/**
 * Lets the guest write to its disks what programs have written to files. True
 * if it has done so; a machine that has ended has.
 */
async function finish(machine: Machine): Promise<boolean> {
  let synced = false;
  const sync = machine.exec(['sync']).then(
    ({ status }) => (synced = status === 0),
    (error: unknown) => (synced = error instanceof MachineError && error.code === 'halted'),
  );
  await within(SYNC_PATIENCE, sync);
  await machine.dispose();
  return synced;
}
