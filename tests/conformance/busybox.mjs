// SPDX-License-Identifier: MIT
// The native twin of the guest's root for BusyBox's suites: the same root image, and in it BusyBox of the same source and
// configuration, built with the native musl. So the shell and every tool of the tests are BusyBox on both sides.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build, must, nativeMusl, root } from './common.mjs';

export const source = join(build, 'busybox-build/src');
export const configuration = join(build, 'busybox-build/obj/.config');
export const version = () => readFileSync(join(root, 'userland/busybox/pin'), 'utf8').match(/^version=(.*)$/m)[1];

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
    // As in userland/busybox/build.sh.
    'CFLAGS_syslogd_and_logger.o=-Wno-error=incompatible-pointer-types',
  ];
  must('make', [...make, 'busybox_unstripped']);
  return join(object, 'busybox_unstripped');
}

/** Makes the twin with these files in it, and gives what turns words after sh into the native part of a unit. */
export function makeTwin(folder, name, files) {
  const program = buildNatively(folder);
  const tree = join(folder, `${name}-root`);
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree);
  // /dev is this system's: devices cannot be made by every user.
  const image = join(build, 'initramfs/initramfs.cpio.gz');
  must('sh', ['-c', 'gzip -dc "$1" | cpio --quiet -idm -f "dev/*"', 'sh', image], { cwd: tree });
  cpSync(program, join(tree, 'bin/busybox'));
  for (const { path, from } of files) cpSync(from, join(tree, path));
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
    shift
    exec chroot . /bin/sh "$@"`;
  return (...words) => ({
    command: ['sh', '-c', enter, 'sh', tree, ...words],
    namespaces: ['--mount', '--propagation', 'unchanged', '--uts'],
  });
}

/** What both sides run is in one script, with the configuration beside it. */
export const commonFiles = () => [
  { path: '/t/.config', from: configuration },
  { path: '/t/busybox-run', from: join(import.meta.dirname, 'busybox-run') },
];
