// SPDX-License-Identifier: MIT
// The Open POSIX Test Suite, Debian's source package posixtestsuite. Its tests are single files under conformance/, and each
// is a unit.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build, isNewer, nativeMusl, OUTPUT_KEPT, parallel, unpack } from '../common.mjs';

export const timeout = 60;
/** Programs in one machine at a time: they are in its memory. */
export const batch = 40;
export const outputKept = OUTPUT_KEPT;

/** Exit statuses of a test, as its run_tests documents them. */
const VERDICTS = { 0: 'pass', 1: 'fail', 2: 'unresolved', 4: 'unsupported', 5: 'untested' };

// The suite's own flags and LDFLAGS. Newer compilers make errors of some old habits in it.
const FLAGS = [
  '-O2',
  '-std=gnu99',
  '-D_GNU_SOURCE',
  '-w',
  '-Wno-error=implicit-function-declaration',
  '-Wno-error=int-conversion',
];

/** Every test: name, and either the arguments of a compiler or a script. `compileOnly`: there is nothing to run. */
function findTests(source) {
  const found = [];
  for (const entry of readdirSync(join(source, 'conformance'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/^[0-9]+-.*\.c$|^[0-9]+-[0-9]+\.sh$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path
      .slice(source.length + 1)
      .replace(/^conformance\//, '')
      .replace(/\.(c|sh)$/, '');
    if (entry.name.endsWith('.sh')) {
      found.push({ name: `${name}.sh`, script: path });
      continue;
    }
    const compileOnly = /-buildonly\.c$/.test(entry.name) || name.startsWith('definitions/');
    found.push({
      name,
      compileOnly,
      compile: [...FLAGS, `-I${join(source, 'include')}`, ...(compileOnly ? ['-c'] : []), path],
      libraries: compileOnly ? [] : ['-lpthread', '-lrt', '-lm'],
    });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Compiles tests; the result has { program } or { error } of each that is not a script. */
async function compileAll(tests, compiler, inputs, flags, folder) {
  mkdirSync(folder, { recursive: true });
  const compiled = new Map();
  await parallel(
    availableParallelism(),
    tests.filter((test) => test.compile),
    async (test) => {
      const program = join(folder, test.name.replaceAll('/', '+'));
      const source = test.compile.at(-1);
      if (isNewer(program, [source, ...inputs])) return void compiled.set(test.name, { program });
      const words = [...flags, ...test.compile, '-o', program, ...test.libraries];
      const error = await new Promise((resolve) =>
        execFile(compiler, words, { maxBuffer: 1 << 24 }, (failure, _, stderr) =>
          resolve(failure ? stderr || failure.message : ''),
        ),
      );
      compiled.set(test.name, error === '' ? { program } : { error: error.slice(0, OUTPUT_KEPT) });
    },
  );
  return compiled;
}

export async function prepare(folder, isWanted) {
  const { source, version } = unpack('posixtestsuite', folder);
  const tests = findTests(source).filter((test) => isWanted(test.name));
  const native = nativeMusl(folder);
  const natives = await compileAll(tests, native, [native], ['-static'], join(folder, 'posixtestsuite-native'));
  const compiler = join(build, 'sdk/bin/wasm32-linux-musl-clang');
  const inputs = [compiler, join(build, 'sdk/sysroot/lib/libc.a')];
  const guests = await compileAll(tests, compiler, inputs, [], join(folder, 'posixtestsuite-guest'));
  const units = tests.map((test) => {
    const unit = { name: test.name, nativeError: undefined, guestError: undefined };
    const path = `/t/${test.name.replaceAll('/', '+')}`;
    if (test.script)
      return {
        ...unit,
        native: { command: ['sh', test.script] },
        guest: { files: [{ path, from: test.script }], command: ['sh', path] },
      };
    const { program: nativeProgram, error: nativeError } = natives.get(test.name);
    const { program: guestProgram, error: guestError } = guests.get(test.name);
    Object.assign(unit, { nativeError, guestError });
    if (test.compileOnly) return unit;
    if (nativeProgram) unit.native = { command: [nativeProgram] };
    if (guestProgram) unit.guest = { files: [{ path, from: guestProgram }], command: [path] };
    return unit;
  });
  return { version, units, files: [] };
}

const verdictOf = (error, run) => {
  if (error !== undefined) return 'does not compile';
  if (run === undefined) return 'pass'; // It had to compile only.
  return VERDICTS[run.status] ?? (typeof run.status === 'string' ? run.status : `status ${run.status}`);
};

export function results(unit, native, guest) {
  return [
    {
      name: unit.name,
      native: verdictOf(unit.nativeError, native),
      guest: verdictOf(unit.guestError, guest),
      output: guest?.output ?? unit.guestError,
    },
  ];
}
