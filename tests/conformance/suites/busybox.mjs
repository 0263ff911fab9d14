// SPDX-License-Identifier: MIT
// BusyBox's own test suite, of the source and with the configuration that the guest's BusyBox is built from. A unit is what its
// runtest does for one applet: the applet's *.tests file, and the files of a folder of its name, one test each.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build, must, nativeMusl, root } from '../common.mjs';

export const timeout = 300;
export const batch = 10;
/** All of it: the verdicts are in the output. */
export const outputKept = 1 << 20;

const source = join(build, 'busybox-build/src');
const configuration = join(build, 'busybox-build/obj/.config');
const runner = join(import.meta.dirname, 'busybox-run');

/** The same configuration, built with the native musl. */
function buildNatively(folder) {
  const headers = join(folder, 'busybox-headers');
  const object = join(folder, 'busybox-native');
  mkdirSync(headers, { recursive: true });
  mkdirSync(object, { recursive: true });
  // The kernel's headers, without those of the C library that are beside them.
  const architecture = must('gcc', ['-print-multiarch']).trim();
  for (const [name, from] of [
    ['linux', '/usr/include/linux'],
    ['mtd', '/usr/include/mtd'],
    ['asm-generic', '/usr/include/asm-generic'],
    ['asm', `/usr/include/${architecture}/asm`],
  ])
    if (!existsSync(join(headers, name))) symlinkSync(from, join(headers, name));

  const wanted = readFileSync(configuration, 'utf8');
  const config = join(object, '.config');
  if (!existsSync(config) || readFileSync(config, 'utf8') !== wanted) writeFileSync(config, wanted);
  const compiler = `CC=${nativeMusl(folder)} -idirafter ${headers}`;
  const make = [
    '-s',
    '-C',
    source,
    `O=${object}`,
    `-j${availableParallelism()}`,
    'CROSS_COMPILE=',
    compiler,
    'LDLIBS=',
  ];
  must('make', [...make, 'busybox_unstripped']);
  return join(object, 'busybox_unstripped');
}

/** The guest's root with the native BusyBox in it: the shell and every tool of the tests are BusyBox on both sides. */
function makeRoot(folder, program) {
  const tree = join(folder, 'busybox-root');
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  // /dev is this system's: devices cannot be made by every user.
  const image = join(build, 'initramfs/initramfs.cpio.gz');
  must('sh', ['-c', 'gzip -dc "$1" | cpio --quiet -idm -f "dev/*"', 'sh', image], { cwd: tree });
  cpSync(program, join(tree, 'bin/busybox'));
  mkdirSync(join(tree, 't'));
  for (const { path, from } of suiteFiles()) cpSync(from, join(tree, path));
  return tree;
}

/** The suite, its configuration and the script that runs it. */
function suiteFiles() {
  const tests = join(source, 'testsuite');
  const files = readdirSync(tests, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((from) => ({ path: `/t/testsuite/${from.slice(tests.length + 1)}`, from }));
  return [...files, { path: '/t/.config', from: configuration }, { path: '/t/busybox-run', from: runner }];
}

/** Those that are not built too: runtest says so. */
function applets() {
  const names = readdirSync(join(source, 'testsuite'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || entry.name.endsWith('.tests'))
    .map((entry) => entry.name.replace(/\.tests$/, ''));
  return [...new Set(names)].sort();
}

export async function prepare(folder, isWanted) {
  const version = readFileSync(join(root, 'userland/busybox/pin'), 'utf8').match(/^version=(.*)$/m)[1];
  const tree = makeRoot(folder, buildNatively(folder));
  // A file system in memory, as the guest's is. It ends with the namespace. In enter-root's root the mounts are private already,
  // and / is not a mount whose propagation could be changed.
  const enter = `set -e
    mount --make-rprivate / 2>&- || true
    mount -t tmpfs tmpfs .
    cd "$PWD"
    cp -a "$1/." .
    mount -t proc proc ./proc
    mount --rbind /sys ./sys
    mount --rbind /dev ./dev
    exec chroot . /bin/sh /t/busybox-run "$2"`;
  const units = applets()
    .filter(isWanted)
    .map((name) => ({
      name,
      native: {
        command: ['sh', '-c', enter, 'sh', tree, name],
        namespaces: ['--mount', '--propagation', 'unchanged', '--uts'],
      },
      guest: { files: [], command: ['sh', '/t/busybox-run', name] },
    }));
  return { version, units, files: suiteFiles() };
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
