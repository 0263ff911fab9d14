// SPDX-License-Identifier: MIT
// BusyBox's own test suite, of the source and with the configuration that the guest's BusyBox is built from. A unit is what its
// runtest does for one applet: the applet's *.tests file, and the files of a folder of its name, one test each.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { commonFiles, makeTwin, source, version } from '../busybox.mjs';
import { filesBelow } from '../common.mjs';

export const timeout = 300;
export const batch = 10;
/** All of it: the verdicts are in the output. */
export const outputKept = 1 << 20;

/** Those that are not built too: runtest says so. */
function applets() {
  const names = readdirSync(join(source, 'testsuite'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.name.endsWith('.tests'))
    .map((entry) => entry.name.replace(/\.tests$/, ''));
  return [...new Set(names)].sort();
}

export async function prepare(folder, isWanted) {
  const files = [...commonFiles(), ...filesBelow(join(source, 'testsuite'), '/t/testsuite')];
  const inTwin = makeTwin(folder, 'busybox', files);
  const units = applets()
    .filter(isWanted)
    .map((name) => {
      const words = ['/t/busybox-run', 'testsuite', name];
      return { name, native: inTwin(...words), guest: { files: [], command: ['sh', ...words] } };
    });
  return { version: version(), units, files };
}

const VERDICTS = { PASS: 'pass', FAIL: 'fail', SKIPPED: 'skipped', UNTESTED: 'untested' };

/** What runtest -v printed: each test's verdict, and the output around it. */
function parse(applet, text) {
  const tests = new Map();
  let output = [];
  let last;
  for (const line of text.split('\n')) {
    const match = /^(PASS|FAIL|SKIPPED|UNTESTED): (.*)$/.exec(line);
    if (line.startsWith('======')) {
      output = [];
      last = undefined;
    } else if (match) {
      // Names are not always different.
      let name = `${applet}: ${match[2]}`;
      for (let count = 2; tests.has(name); ++count) name = `${applet}: ${match[2]} (${count})`;
      last = { verdict: VERDICTS[match[1]], output: [...output, line] };
      tests.set(name, last);
      output = [];
    } else {
      // Before the verdict is what was run, after it how it failed.
      (last?.output ?? output).push(line);
    }
  }
  return tests;
}

export function results(unit, native, guest) {
  const natives = parse(unit.name, native.output);
  const guests = parse(unit.name, guest.output);
  const missing = (run) => (typeof run.status === 'string' ? run.status : 'not run');
  const names = new Set([...natives.keys(), ...guests.keys()]);
  // A unit without tests is named too.
  if (names.size === 0) names.add(unit.name);
  return [...names].map((name) => ({
    name,
    native: natives.get(name)?.verdict ?? missing(native),
    guest: guests.get(name)?.verdict ?? missing(guest),
    output: guests.get(name)?.output.join('\n') ?? guest.output,
  }));
}
