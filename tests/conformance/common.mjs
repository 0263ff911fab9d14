// SPDX-License-Identifier: MIT
// What the suites and their runner share: folders, source packages, compilers, the shape of a unit.
//
// A suite (suites/NAME.mjs) exports
//   prepare(folder, isWanted)  builds it for both sides; its result is { version, units, files }, where files are in every
//                              machine. isWanted(name) says of a unit whether it is to be run.
//   results(unit, native, guest)   what each test of a unit did: [{ name, native, guest, output }]
//   timeout, batch, outputKept     seconds for a unit; units in one machine; bytes of a unit's output
// A unit is what one process runs:
//   name     without spaces
//   native   { command, namespaces } or undefined, where it cannot be run
//   guest    { files, command } or undefined; files are only there until the unit has run
// Files are { path, from }: the path in the guest and the file here. What became of a unit is { status, output }; status is that of the process, 'hung', 'machine lost',
// 'kernel report' or 'host error'.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
export const build = process.env.AUKLET_BUILD ?? join(root, 'build');
const cache = process.env.AUKLET_CACHE;

/** Of a test's output that is kept in the result, in characters. */
export const OUTPUT_KEPT = 2000;

export function fail(message) {
  console.error(`conformance: ${message}`);
  process.exit(1);
}

export function must(command, words, options = {}) {
  const settings = { encoding: 'utf8', maxBuffer: 1 << 26, ...options };
  const { status, stdout, stderr, error } = spawnSync(command, words, settings);
  if (status !== 0) fail(`${command} ${words.join(' ')} failed:\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** The unpacked source package. */
export function unpack(name, folder) {
  const sources = join(cache, 'sources');
  must('sh', [join(root, 'tools/fetch-source'), name, sources]);
  const source = join(folder, name);
  if (!existsSync(source)) must('dpkg-source', ['--no-check', '--extract', join(sources, `${name}.dsc`), source]);
  const version = readFileSync(join(sources, `${name}.dsc`), 'utf8').match(/^Version: (.*)$/m)[1];
  return { source, version };
}

/** A native musl of the version that the guest has; its compiler. */
export function nativeMusl(folder) {
  const prefix = join(folder, 'native');
  const compiler = join(prefix, 'bin/musl-gcc');
  if (!existsSync(compiler)) {
    const { source } = unpack('musl', folder);
    const options = { cwd: source, env: { ...process.env, CC: 'gcc' } };
    must('./configure', [`--prefix=${prefix}`, '--disable-shared', '--enable-wrapper=gcc'], options);
    must('make', ['-s', `-j${availableParallelism()}`, 'install'], options);
  }
  return compiler;
}

/** Calls work(item) for all items, so many at a time. */
export async function parallel(count, items, work) {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

export const isNewer = (file, than) =>
  existsSync(file) && statSync(file).mtimeMs > Math.max(...than.map((one) => statSync(one).mtimeMs));

/** The files of a folder, for the guest's folder `path`. */
export const filesBelow = (folder, path) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((from) => ({ path: `${path}/${from.slice(folder.length + 1)}`, from }));
