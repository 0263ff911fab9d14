// SPDX-License-Identifier: MIT
// Machines for tests in Node.js: the same bundle as ./auklet console and exec.

import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { KERNEL_REPORT, plain, SCREEN, Session } from './session.mjs';

export const root = resolve(import.meta.dirname, '../..');
export const build = resolve(process.env.AUKLET_BUILD ?? join(root, 'build'));
export const cli = join(build, 'cli/auklet.mjs');

/**
 * A command that prints the warnings in the kernel's log. The debug kernel says at that level what it looks for; what it finds
 * fails every test in the end.
 */
export const WARNINGS = process.env.AUKLET_KERNEL === undefined ? 'dmesg -r | grep -E "^<[0-4]>"' : 'true';

/** A machine with a Session on its console. Dispose of it when the test is over: `test.after(...)`. */
export async function bootSession(test, options = {}) {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const machine = await startMachine({ ...SCREEN, ...options });
  const session = new Session({
    write: async (text) => machine.write(text),
    resize: async (columns, rows) => machine.resize(columns, rows),
  });
  machine.on('output', (bytes) => session.feed(bytes));
  machine.on('error', (error) => session.end(`${error.message}\n${error.detail ?? ''}`));
  machine.on('halted', (reason) => session.end(reason));
  test?.after(async () => {
    await machine.dispose();
    const log = plain(session.transcript);
    const report = log.match(KERNEL_REPORT);
    if (report !== null)
      throw new Error(`the kernel reported a fault:\n${log.slice(report.index, report.index + 10000)}`);
  });
  return { machine, session };
}

/** Runs the command line program; returns status and output. */
export function runCli(words, { input = '', node = process.execPath, flags = [], environment = {}, cwd } = {}) {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(node, [...flags, cli, ...words], { env: { ...process.env, ...environment }, cwd });
    const stdout = [];
    const stderr = [];
    child.stdout.on('data', (bytes) => stdout.push(bytes));
    child.stderr.on('data', (bytes) => stderr.push(bytes));
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolvePromise({
        status,
        signal,
        stdout: Buffer.concat(stdout).toString(),
        stdoutBytes: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
    // The command may end without reading.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

export const exec = (command, options = {}) => runCli(['exec', ...(options.words ?? []), '--', ...command], options);
