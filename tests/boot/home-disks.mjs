// SPDX-License-Identifier: MIT
// Machines with a disk "home" in a file, and what e2fsprogs say of the file.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));

export const MIB = 1 << 20;
const text = (bytes) => new TextDecoder().decode(bytes);

export function folder(suite) {
  const path = mkdtempSync(join(tmpdir(), 'auklet-home-'));
  suite.after(() => rmSync(path, { recursive: true }));
  return path;
}

export const homeDisk = (file, size = '256M') => ({ name: 'home', file, size, format: 'ext4' });

/** A machine, its console's text, and a function that runs a line of shell, which must succeed, for its output. */
export async function start(suite, disk, options = {}) {
  const machine = await startMachine({ exec: true, disks: [disk], ...options });
  suite.after(() => machine.dispose());
  const output = [];
  machine.on('output', (bytes) => output.push(text(bytes)));
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    assert.equal(status, 0, `${line}: ${text(stderr)}`);
    return text(stdout);
  };
  return { machine, run, console: () => output.join('') };
}

/** What a field of the superblock is, as e2fsprogs shows it. */
export function field(file, name) {
  const output = execFileSync('dumpe2fs', ['-h', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return output.match(new RegExp(`^${name}: +(.*)$`, 'm'))[1];
}

export function assertClean(file) {
  assert.doesNotMatch(field(file, 'Filesystem features'), /needs_recovery/);
  const { status, stdout, stderr } = spawnSync('e2fsck', ['-fn', file], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
}

/** The file system after a power cut: what the journal has is done, as the next mount would. */
export function assertCleanAfterCrash(file) {
  // 1: something was done
  assert([0, 1].includes(spawnSync('e2fsck', ['-fy', '-E', 'journal_only', file]).status));
  assertClean(file);
}
