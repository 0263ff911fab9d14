// SPDX-License-Identifier: MIT
// A machine on standard input and output: console.mjs here|worker KERNEL-ARGUMENTS. Its host is in this thread or in a worker.

import { join } from 'node:path';
import { build } from '../boot/machines.mjs';
import { SCREEN } from '../boot/session.mjs';
import { files } from './clock.mjs';

const [where, kernelArguments] = process.argv.slice(2);
const { startMachine, startMachineHere } = await import(join(build, 'cli/machine.mjs'));
const machine = await (where === 'here' ? startMachineHere : startMachine)({ ...SCREEN, files, kernelArguments });
machine.on('output', (bytes) => process.stdout.write(bytes));
machine.on('log', (level, message) => console.error(`${level}: ${message}`));
machine.on('error', (error) => console.error(error));
process.stdin.on('data', (bytes) => machine.write(bytes));
process.stdin.on('end', () => void machine.dispose());
