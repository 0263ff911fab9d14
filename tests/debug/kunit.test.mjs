// SPDX-License-Identifier: MIT
// The KUnit suites of the debug kernel, which it runs during the boot when it is told to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootSession } from '../boot/machines.mjs';
import { plain } from '../boot/session.mjs';

/** What fails, and why. */
const EXPECTED = [
  // Address 0 is memory in wasm: the kernel's own null pointers do not trap.
  'kunit_test_fault_null_dereference',
  'kunit_fault',
  // __builtin_dynamic_object_size of an object with __counted_by: the test expects what older compilers say.
  'DEFINE_FLEX_test',
  'overflow',
];

test('KUnit', async (suite) => {
  // Some suites provoke warnings on purpose: no check of the log here.
  const { machine, session } = await bootSession(undefined, { kernelArguments: 'kunit.enable=1' });
  suite.after(() => machine.dispose());
  // Lines of KUnit may look like the end of any prompt.
  await session.waitFor(/\nauklet:~# $/);
  // "ok 3 name" of a suite is not indented, of a test it is by four columns, of a case with parameters by eight.
  const lines = plain(session.transcript).split('\n');
  const results = lines
    .map((line) => line.match(/^(?<indent> *)(?<failed>not )?ok \d+ (?<name>[^#]*?)(?: # (?<note>.*))?$/)?.groups)
    .filter((result) => result !== undefined);
  const suites = results.filter((result) => result.indent === '');
  const skipped = results.filter((result) => result.indent !== '' && result.note?.startsWith('SKIP'));
  const failed = results.filter((result) => result.failed !== undefined);
  suite.diagnostic(
    `${suites.length} suites, ${results.length - suites.length} tests, ${skipped.length} of these skipped`,
  );
  assert(suites.length >= 49, `only ${suites.length} suites have run`);
  assert.deepEqual(
    failed.map((result) => result.name),
    EXPECTED,
    plain(session.transcript),
  );
});
