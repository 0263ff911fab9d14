// SPDX-License-Identifier: MIT
// The Open POSIX Test Suite, Debian's source package posixtestsuite. Its tests are single files under conformance/.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export const sourcePackage = 'posixtestsuite';

/** Exit statuses of a test, as its run_tests documents them. */
export const verdicts = { 0: 'pass', 1: 'fail', 2: 'unresolved', 4: 'unsupported', 5: 'untested' };

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
export function tests(source) {
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
