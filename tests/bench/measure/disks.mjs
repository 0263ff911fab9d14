// SPDX-License-Identifier: MIT
// Disks: ext4 in the guest, on an image in a file of this computer or in what Chromium keeps, and natively the file system in
// which these are.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../../boot/machines.mjs';
import { AT_PROMPT, launchPages } from '../../browser/browsers.mjs';
import { output, parseMicro, sdk } from '../programs.mjs';
import { withPage } from './chromium.mjs';

const source = join(import.meta.dirname, '../disk.c');
const folder = join(output, 'disk');
const native = join(output, 'disk-native');
const guest = join(output, 'disk-guest');
const archive = join(output, 'tree.tar');
const IMAGE_SIZE = '4G';

/** What this computer has in memory of a file, or of all large ones of a folder, it has no more, as far as it is on the medium. */
const forget = (path) =>
  execFileSync('find', [path, ...'-type f -size +1M -exec dd if={} iflag=nocache count=0 status=none ;'.split(' ')]);

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

/** `exec(words)` is that of a machine which has the disk's file system at `place`, the program and the archive. */
async function measureGuest(exec, place, cold) {
  const run = async (words) => {
    const { status, stdout, stderr } = await exec(words);
    if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return measure({
    program: 'disk',
    tar: ['tar'],
    tree: '/tree.tar',
    run,
    at: (name) => `${place}/${name}`,
    cold: async (which) => {
      await run(['sh', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches']);
      if (which !== 'guest') cold();
    },
  });
}

/** What a guest needs, with the contents of `read`. */
const filesOf = (read) => [
  { path: '/bin/disk', mode: 0o755, content: read(guest) },
  { path: '/tree.tar', content: read(archive) },
];

async function measureNode() {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const image = join(folder, 'image');
  // All of it is made now, as an old file system has it.
  const ready = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', ...ready, image, IMAGE_SIZE]);
  const machine = await startMachine({
    cpus: 2,
    exec: true,
    disks: [{ name: 'measured', file: image }],
    files: filesOf((file) => readFileSync(file)),
  });
  const text = (bytes) => new TextDecoder().decode(bytes);
  const exec = async (words) => {
    const { status, stdout, stderr } = await machine.exec(words);
    return { status, stdout: text(stdout), stderr: text(stderr) };
  };
  try {
    await machine.started;
    await exec(['mount', '-t', 'ext4', '/dev/vda', '/mnt']);
    return await measureGuest(exec, '/mnt', () => forget(image));
  } finally {
    await machine.dispose();
  }
}

/** On the disk "home", which Chromium keeps. */
const measureChromium = () =>
  withPage(async (scope, address) => {
    const profile = join(folder, 'profile');
    const { newPage } = await launchPages(scope, profile, '/usr/bin/chromium');
    const page = await newPage();
    await page.goto(`${address}?saving=0`);
    await page.waitForFunction(AT_PROMPT);
    const files = filesOf((file) => readFileSync(file).toString('base64'));
    await page.evaluate(
      async ([files, size]) => {
        const decode = (content) => Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        globalThis.measured = new auklet.Machine({
          cpus: 2,
          exec: true,
          disks: [{ name: 'home', saved: true, size }],
          files: files.map((file) => ({ ...file, content: decode(file.content) })),
        });
        await measured.started;
      },
      [files, IMAGE_SIZE],
    );
    const exec = (words) =>
      page.evaluate(async (words) => {
        const { status, stdout, stderr } = await measured.exec(words);
        const text = (bytes) => new TextDecoder().decode(bytes);
        return { status, stdout: text(stdout), stderr: text(stderr) };
      }, words);
    const results = await measureGuest(exec, '/root', () => forget(profile));
    await page.evaluate(() => measured.dispose());
    return results;
  });

/** Natively, and in the guest in Node.js, and in Chromium if that is asked for: nanoseconds. */
export async function measureDisks(inChromium) {
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
    const measured = { native: await measureNatively(), node: await measureNode() };
    return inChromium ? { ...measured, chromium: await measureChromium() } : measured;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
