// SPDX-License-Identifier: MIT
// Disks: ext4 in the guest, on an image in a file of this computer, and natively the file system in which that image is.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../../boot/machines.mjs';
import { output, parseMicro, sdk } from '../programs.mjs';

const source = join(import.meta.dirname, '../disk.c');
const folder = join(output, 'disk');
const native = join(output, 'disk-native');
const guest = join(output, 'disk-guest');
const archive = join(output, 'tree.tar');
const IMAGE_SIZE = '4G';

/** What this computer has in memory of a file, it has no more, as far as it is on the medium. */
const forget = (file) => execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);

/**
 * The lines of disk.c. `run(words)` runs a program and resolves to its output; `at(name)` is a path on the disk; `cold()` empties
 * the caches.
 */
async function measure({ program, tar, tree, run, at, cold }) {
  const results = {};
  const add = async (...words) => Object.assign(results, parseMicro(await run([program, ...words])));
  // Once for nothing: a computer may take long to give memory that nobody has had, to the guest or to its own cache.
  await run([program, 'write', at('large')]);
  await cold();
  await add('write', at('large'));
  await cold();
  await add('read', at('large'));
  await cold('guest');
  await add('random', at('large'));
  await add('sync', at('small'));
  await add('time', 'diskTar', ...tar, 'xf', tree, '-C', at('.'));
  await add('walk', at('tree'), 'diskWalkFirst');
  await add('walk', at('tree'), 'diskWalk');
  return results;
}

async function measureNatively() {
  const at = (name) => join(folder, name);
  return measure({
    program: native,
    tar: ['/bin/busybox', 'tar'],
    tree: archive,
    run: async ([program, ...words]) => execFileSync(program, words, { encoding: 'utf8' }),
    at,
    cold: async () => forget(at('large')),
  });
}

async function measureGuest() {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const image = join(folder, 'image');
  // All of it is made now, as an old file system has it.
  const ready = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', ...ready, image, IMAGE_SIZE]);
  const machine = await startMachine({
    cpus: 2,
    exec: true,
    disks: [{ name: 'measured', file: image }],
    files: [
      { path: '/bin/disk', mode: 0o755, content: readFileSync(guest) },
      { path: '/root/tree.tar', content: readFileSync(archive) },
    ],
  });
  const run = async (words) => {
    const { status, stdout, stderr } = await machine.exec(words);
    if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  };
  try {
    await machine.started;
    await run(['mount', '-t', 'ext4', '/dev/vda', '/mnt']);
    return await measure({
      program: 'disk',
      tar: ['tar'],
      tree: '/root/tree.tar',
      run,
      at: (name) => `/mnt/${name}`,
      cold: async (which) => {
        await run(['sh', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches']);
        if (which !== 'guest') forget(image);
      },
    });
  } finally {
    await machine.dispose();
  }
}

/** Natively and in the guest: nanoseconds. */
export async function measureDisks() {
  for (const [compiler, program] of [
    ['clang-22', native],
    [sdk, guest],
  ])
    execFileSync(compiler, ['-O2', '-o', program, source]);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  try {
    execFileSync(native, ['make-tree', join(folder, 'tree')]);
    execFileSync('tar', ['-cf', archive, '-C', folder, 'tree']);
    rmSync(join(folder, 'tree'), { recursive: true });
    return { native: await measureNatively(), guest: await measureGuest() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
