// SPDX-License-Identifier: MIT
// Builds a public test suite for the guest and natively, runs it in both, and writes what each test did:
//   node run.mjs SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS]     (through tests/conformance/run)
// BUILD/conformance/SUITE.json gets { suite, version, totals, tests: [{ name, native, guest, output }] }, where output is the
// end of what a test printed in the guest that did not pass there.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, fail, OUTPUT_KEPT } from './common.mjs';
import { runInGuest } from './guest.mjs';
import { runNatively } from './native.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' }, timeout: { type: 'string' } },
});
const name = positionals[0];
if (positionals.length !== 1 || !existsSync(join(import.meta.dirname, 'suites', `${basename(name ?? '')}.mjs`)))
  fail('usage: run SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS]; the suites are in tests/conformance/suites');
const suite = await import(join(import.meta.dirname, 'suites', `${name}.mjs`));
const timeout = Number(values.timeout ?? suite.timeout);
const folder = join(build, 'conformance');
mkdirSync(folder, { recursive: true });

console.error('compiling');
const { version, units, files } = await suite.prepare(folder, (unit) => new RegExp(values.only).test(unit));
console.error('running');
const guest = await runInGuest(
  suite,
  files,
  units.filter((unit) => unit.guest),
  timeout,
);
const native = await runNatively(
  units.filter((unit) => unit.native),
  folder,
  timeout,
);

const tests = units
  .flatMap((unit) => suite.results(unit, native.get(unit.name), guest.get(unit.name)))
  .map(({ output, ...verdicts }) =>
    output === undefined || verdicts.guest === 'pass' ? verdicts : { ...verdicts, output: output.slice(-OUTPUT_KEPT) },
  );
const passes = tests.filter((test) => test.native === 'pass');
const totals = {
  tests: tests.length,
  native: passes.length,
  guest: tests.filter((test) => test.guest === 'pass').length,
  both: passes.filter((test) => test.guest === 'pass').length,
};
writeFileSync(
  join(folder, `${name}.json`),
  `${JSON.stringify({ suite: name, version, totals, tests }, undefined, 1)}\n`,
);
if (passes.length === 0) fail('no test passes natively');
for (const test of passes) if (test.guest !== 'pass') console.log(`${test.name}: ${test.guest}`);
console.log(
  `${name} ${version}: ${totals.tests} tests; pass natively ${totals.native}, of these in the guest ${totals.both} (${((100 * totals.both) / totals.native).toFixed(1)} %)`,
);
process.exit();
