// SPDX-License-Identifier: MIT
// The command `auklet console`: a machine in this terminal.

import { writeSync } from 'node:fs';
import type { Machine } from '../api/machine.ts';
import { engineTimeZone } from '../api/time-zone.ts';
import type { MachineEnd } from '../api/types.ts';
import { TYPED_OPTIONS } from '../machine/options.ts';
import { within } from '../machine/platform.ts';
import { ConsoleInput } from './console-input.ts';
import { disksOf, rootOf } from './disks.ts';
import { filesOf, startMachineHere } from './machine.ts';
import { NETWORK_LISTS, NETWORK_VALUES, networkOf } from './network.ts';
import { parseCommandLine, sizeOptions, UsageError } from './options.ts';
import { pcapOf, PCAP_VALUES } from './pcap.ts';
import { sharesOf } from './shares.ts';

/** Milliseconds for the guest to write to its disks when somebody leaves. */
const SYNC_PATIENCE = 10_000;

/**
 * Signals that other programs send. A key that would send one goes to the
 * machine.
 */
const ENDING = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
/**
 * Undoes what a full-screen program may leave behind: colours, a hidden cursor,
 * the other screen, mouse reports, bracketed paste, keys of the application
 * mode.
 */
const RESET_TERMINAL =
  '\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>';

/**
 * Runs a machine in this terminal. Resolves with the reason of the machine's
 * end once all output is written or nobody reads it any more; or with 'left'.
 * Rejects if the machine fails. `syncs`: the machine has disks, and an exec
 * agent that writes everything to them when somebody leaves. Whoever leaves
 * once more does not wait for that.
 */
async function session(machine: Machine, readerGone: Promise<'left'>, syncs: boolean): Promise<MachineEnd | 'left'> {
  let left!: (how: 'left') => void;
  let failed!: (error: Error) => void;
  let hurry!: () => void;
  const leaving = new Promise<'left'>((resolve, reject) => {
    left = resolve;
    failed = reject;
  });
  const hurried = new Promise<void>((resolve) => (hurry = resolve));
  let leaves = false;
  const leave = () => {
    if (leaves) hurry();
    leaves = true;
    input.end();
    left('left');
  };
  const size = () => machine.resize(process.stdout.columns || 80, process.stdout.rows || 24);
  const input = new ConsoleInput(machine, process.stdin, {
    leave: () => {
      if (syncs && !leaves) process.stderr.write('\r\nauklet: writing to the disks; Ctrl-] leaves at once\r\n');
      leave();
    },
    lost: () => process.stderr.write('\r\nauklet: the machine does not read its input, of which more is lost\r\n'),
  });
  const take = (bytes: Buffer) => input.take(bytes);
  let written: Promise<void> = Promise.resolve();
  machine.on('output', (bytes) => {
    written = new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
    return written;
  });
  machine.on('error', (error) => failed(error));
  process.stdout.on('resize', size);
  process.stdin.on('data', take);
  for (const signal of ENDING) process.on(signal, leave);
  process.stdin.resume();
  try {
    const how = await Promise.race([machine.halted, leaving, readerGone]);
    if (how !== 'left') await Promise.race([written, leaving, readerGone]);
    else if (syncs) await untilWritten(machine, hurried);
    return how;
  } finally {
    process.stdout.off('resize', size);
    process.stdin.off('data', take);
    input.end();
    for (const signal of ENDING) process.off(signal, leave);
    process.stdin.pause();
  }
}

/** Lets the guest write to its disks, unless somebody is in a hurry. */
async function untilWritten(machine: Machine, hurried: Promise<void>): Promise<void> {
  let isOver = false;
  const over = () => (isOver = true);
  await within(SYNC_PATIENCE, Promise.race([machine.exec(['sync']).catch(() => {}), hurried]).then(over));
  if (!isOver) process.stderr.write('\r\nauklet: the guest has not written everything to its disks\r\n');
}

export async function consoleCommand(words: readonly string[]): Promise<number> {
  const line = parseCommandLine('console', words, {
    values: [...TYPED_OPTIONS, 'root', 'root-cache', ...NETWORK_VALUES, ...PCAP_VALUES],
    lists: ['put', 'disk', 'share', ...NETWORK_LISTS],
  });
  if (line.words.length > 0)
    throw new UsageError(`console: write kernel arguments after --: ./auklet console -- ${line.words.join(' ')}`);
  const sizes = sizeOptions(line);
  const files = await filesOf(line.lists.get('put')!);
  const disks = disksOf(line.lists.get('disk')!);
  const shares = sharesOf(line.lists.get('share')!);
  const syncs = disks.some(({ readOnly }) => readOnly !== true);
  const network = networkOf(line);
  const timeZone = engineTimeZone();
  const pcap = pcapOf(line, network.network !== undefined, (message) =>
    process.stderr.write(`\r\nauklet: ${message}\r\n`),
  );
  const terminal = process.stdin.isTTY;
  const readerGone = new Promise<'left'>((resolve, reject) =>
    process.stdout.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' ? resolve('left') : reject(error),
    ),
  );
  // Between two machines, nobody else handles a rejection.
  readerGone.catch(() => {});
  if (terminal) {
    console.error('Ctrl-] leaves.');
    process.stdin.setRawMode(true);
  }
  try {
    for (;;) {
      const options = {
        columns: process.stdout.columns || 80,
        rows: process.stdout.rows || 24,
        files,
        disks,
        ...rootOf(line),
        ...network,
        shares,
        ...sizes,
        // The agent runs sync.
        ...(syncs ? { exec: true, login: true } : {}),
        ...(timeZone === undefined ? {} : { timeZone }),
        ...(line.rest === undefined ? {} : { kernelArguments: line.rest.join(' ') }),
      };
      const machine = await startMachineHere(options, pcap?.record);
      machine.on('log', (level, message) => {
        if (level === 'error') process.stderr.write(`\r\nauklet: ${message}\r\n`);
      });
      const how = await session(machine, readerGone, syncs);
      await pcap?.finish();
      if (how !== 'restart') {
        if (how === 'panic') process.stderr.write('\r\nauklet: the kernel panicked\r\n');
        return how === 'panic' ? 125 : 0;
      }
      await machine.dispose();
    }
  } finally {
    if (terminal) process.stdin.setRawMode(false);
    if (process.stdout.isTTY) writeSync(1, `${RESET_TERMINAL}\r\n`);
    await pcap?.close();
  }
}
