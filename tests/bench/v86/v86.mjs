// SPDX-License-Identifier: MIT
// The v86 side of ./auklet bench --v86: the emulator in a process of its own, with Linux for i386 and Debian's BusyBox, and
// that same BusyBox natively.

import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROMPT, Session } from '../../boot/session.mjs';

const here = import.meta.dirname;

/** Downloads and builds what is missing in the folder. */
export function prepare(cache, folder, workload) {
  execFileSync(join(here, 'build.sh'), [cache, folder, workload], { stdio: ['ignore', 2, 2] });
}

/** A machine at its prompt, and the milliseconds that it took. feed(bytes) gets what it prints. */
export async function start(folder, feed = () => {}) {
  const child = spawn(process.execPath, [join(here, 'machine.mjs'), folder], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
  });
  // Node.js has started and the emulator's code is loaded: what the guest's boot is measured from, too.
  let started;
  child.on('message', () => (started = performance.now()));
  const session = new Session({ write: async (text) => void child.stdin.write(text), resize: () => {} });
  child.stdout.on('data', (bytes) => {
    feed(bytes);
    session.feed(bytes);
  });
  child.on('close', (status) => session.end(`v86 ended with ${status}`));
  // It may have ended by itself.
  child.stdin.on('error', () => {});
  const dispose = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill();
    await closed;
  };
  try {
    await session.waitFor(PROMPT);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { session, dispose, pid: child.pid, boot: performance.now() - started };
}

/** Runs the command in a machine; what it prints goes to feed. */
export async function run(folder, command, feed, patience) {
  const { session, dispose } = await start(folder, feed);
  try {
    const printed = await session.run(`${command}; echo "ended with $?."`, patience);
    if (!/^ended with 0\.$/m.test(printed)) throw new Error(`in v86, ${command} failed: ${printed.slice(-2000)}`);
  } finally {
    await dispose();
  }
}

/**
 * Words of a command that runs a shell script of the root that v86 has, natively: with the same BusyBox, and with files in
 * memory too. `program` takes the place of its cbench.
 */
export function natively(folder, script, program) {
  const user = process.getuid() === 0 ? [] : ['--user', '--map-root-user'];
  const inside = `
    set -e
    # In the build root, which is private already, / is no mount.
    mount --make-rprivate / 2>/dev/null || :
    root=$1 program=$2 script=$3
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount --rbind /proc "$root/proc"
    mount -t tmpfs tmp "$root/tmp"
    mount --bind "$program" "$root/cbench"
    exec chroot "$root" /bin/busybox env PATH=/bin /bin/busybox sh "$script"`;
  return [
    ...user,
    '--mount',
    '--propagation',
    'unchanged',
    'sh',
    '-c',
    inside,
    'sh',
    join(folder, 'root'),
    program,
    script,
  ];
}
