// SPDX-License-Identifier: MIT
// Builds a public test suite for the guest and natively, runs it in both, and writes what each test did:
//   node run.mjs SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS]     (through ./auklet conformance)
//   node run.mjs SUITE --publish     takes the last run's result over into docs/results
// BUILD/conformance/SUITE.json gets { suite, version, only, timeout, totals, tests: [{ name, native, guest, output }] } and
// where and when it ran (tools/run-facts.mjs); output is the end of what a test printed in the guest that did not pass there.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runFacts } from '../tools/run-facts.mjs';
import { build, fail, OUTPUT_KEPT } from './common.mjs';
import { runInGuest } from './guest.mjs';
import { runNatively } from './native.mjs';
import { publish } from './publish.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' }, timeout: { type: 'string' }, publish: { type: 'boolean' } },
});
const name = positionals[0];
if (positionals.length !== 1 || !existsSync(join(import.meta.dirname, 'suites', `${basename(name ?? '')}.mjs`)))
  fail(
    'usage: run SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS], or run SUITE --publish; the suites are in tests/conformance/suites',
  );
if (values.publish) {
  await publish(name);
  process.exit();
}
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
  `${JSON.stringify({ suite: name, version, ...runFacts(), only: values.only, timeout, totals, tests }, undefined, 1)}\n`,
);
if (passes.length === 0) fail('no test passes natively');
for (const test of passes) if (test.guest !== 'pass') console.log(`${test.name}: ${test.guest}`);
console.log(
  `${name} ${version}: ${totals.tests} tests; pass natively ${totals.native}, of these in the guest ${totals.both} (${((100 * totals.both) / totals.native).toFixed(1)} %)`,
);
process.exit();
