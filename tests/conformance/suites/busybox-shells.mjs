// SPDX-License-Identifier: MIT
// The tests of BusyBox's two shells, ash and hush, which are beside its other tests. Each is a unit.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { commonFiles, makeTwin, source, version } from '../busybox.mjs';
import { build, filesBelow, must, nativeMusl } from '../common.mjs';

export const timeout = 180;
export const batch = 40;
/** The verdict is at its begin, before a difference of some lines. */
export const outputKept = 1 << 16;

const SHELLS = ['ash_test', 'hush_test'];
/** Small programs that the tests use: old C. */
const HELPERS = ['printenv', 'recho', 'zecho'];

function compileHelpers(folder, compiler, flags) {
  mkdirSync(folder, { recursive: true });
  return HELPERS.map((name) => {
    const from = join(folder, name);
    must(compiler, [...flags, '-O2', '-std=gnu99', '-w', '-o', from, join(source, 'shell/ash_test', `${name}.c`)]);
    return { path: `/t/helpers/${name}`, from };
  });
}

export async function prepare(folder, isWanted) {
  const tests = [
    ...commonFiles(),
    ...SHELLS.flatMap((shell) => filesBelow(join(source, 'shell', shell), `/t/${shell}`)),
  ];
  const compiler = join(build, 'sdk/bin/wasm32-linux-musl-clang');
  const files = [...tests, ...compileHelpers(join(folder, 'busybox-shells-guest'), compiler, [])];
  const natives = compileHelpers(join(folder, 'busybox-shells-native'), nativeMusl(folder), ['-static']);
  const inTwin = makeTwin(folder, 'busybox-shells', [...tests, ...natives]);
  const units = SHELLS.flatMap((shell) =>
    filesBelow(join(source, 'shell', shell), '')
      .map(({ path }) => path.slice(1))
      .filter((path) => path.endsWith('.tests') && isWanted(path))
      .sort()
      .map((name) => {
        const words = ['/t/busybox-run', shell, name];
        return { name, native: inTwin(...words), guest: { files: [], command: ['sh', ...words] } };
      }),
  );
  return { version: version(), units, files };
}

const VERDICTS = { ok: 'pass', fail: 'fail', skip: 'skipped' };

/** From the line of run-all; messages of the test may be in it. */
function verdictOf({ status, output }) {
  if (typeof status === 'string') return status;
  return VERDICTS[/ (ok|fail|skip)( \(.*\))?$/m.exec(output)?.[1]] ?? 'not run';
}

export const results = ({ name }, native, guest) => [
  { name, native: verdictOf(native), guest: verdictOf(guest), output: guest.output },
];
