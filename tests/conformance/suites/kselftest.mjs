// SPDX-License-Identifier: MIT
// The kernel's selftests, tools/testing/selftests of the tree that the guest's kernel is built from: the folders that ask what
// system calls do. A unit is a program, as "make run_tests" runs it; each line "ok" or "not ok" of its output is a test, and its
// exit status is one more.

import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build, filesBelow, nativeMusl, parallel, root } from '../common.mjs';

/** Seconds: raw_skew and nsleep-lat take two minutes. */
export const timeout = 240;
export const batch = 12;
export const outputKept = 1 << 16;

const kernel = join(build, 'kernel/source');
const selftests = join(kernel, 'tools/testing/selftests');

/** Exit statuses, from kselftest.h. */
const VERDICTS = { 0: 'pass', 1: 'fail', 2: 'expected failure', 3: 'unexpected pass', 4: 'skipped' };

/** Where the programs are on both sides: paths are in their output. */
const PLACE = '/mnt';

/** What programs get from glibc's headers, also without asking for it. */
const INCLUDES = join(root, 'tests/conformance/include');
const GLIBC_HABITS = ['-include', 'libgen.h', '-include', 'sys/select.h', '-DMSG_COPY=040000', `-I${INCLUDES}`];

const REQUEUE_PI = '-b,-b -l,-b -o,-l,-o,-b -l -t 5000,-l -t 5000,-b -l -t 500000,-b -o -t 5000,-l -t 2000000000';

/** Runs a program of net in a network namespace of its own, with the settings that its script makes. */
const IN_NAMESPACE = `#!/bin/sh
PATH=$PWD:$PATH
ip link set lo up
cd /proc/sys/net
case $1 in
*/ipv6_flowlabel)
	echo 0 2147483647 > ipv4/ping_group_range
	echo 4 > ipv6/flowlabel_reflect ;;
*/stress_reuseport_listen)
	echo 1 > ipv6/ip_nonlocal_bind
	ulimit -n 24100 ;;
*/ip_local_port_range) echo 40000 49999 > ipv4/ip_local_port_range ;;
*/reuseaddr_ports_exhausted)
	echo 32768 32768 > ipv4/ip_local_port_range
	echo 1 > ipv4/ip_autobind_reuse ;;
*/ip_defrag) echo 9000000 > ipv4/ipfrag_high_thresh; echo 9000000 > ipv6/ip6frag_high_thresh ;;
*/tcp_fastopen_backup_key) echo 3 > ipv4/tcp_fastopen ;;
*/udpgso)
	ip link set lo mtu 1500
	ip addr add dev lo 10.0.0.1/32
	ip addr add dev lo fd00::1/128
	while ip addr show lo | grep -q tentative; do :; done ;;
esac
cd "$OLDPWD"
exec "$@"
`;

/** The arguments that the scripts of net give. What these programs need is loopback, and no veth, eBPF or module. */
const NET_RUNS = {
  bind_timewait: [''],
  bind_wildcard: [''],
  ip_defrag: ['-4', '-4o', '-6', '-6o'],
  ip_local_port_range: [''],
  ipv6_flowlabel: ['-l 1', '-l 1 -p', '-l 1 -s', '-l 1 -p -s'],
  ipv6_flowlabel_mgr: [''],
  'netlink-dumps': [''],
  psock_fanout: [''],
  psock_snd: ['-d', '-d -b', '', '-b', '-q', '-V', '-v', '-v -c', '-l 0', '-l 1472', '-d -l 1472', '-v -c -g -l 1473'],
  psock_tpacket: [''],
  reuseaddr_conflict: [''],
  reuseaddr_ports_exhausted: [''],
  reuseport_addr_any: [''],
  reuseport_bpf: [''],
  reuseport_bpf_cpu: [''],
  reuseport_dualstack: [''],
  rxtimestamp: [''],
  sk_bind_sendto_listen: [''],
  sk_connect_zero_addr: [''],
  sk_so_peek_off: [''],
  so_incoming_cpu: [''],
  so_netns_cookie: [''],
  socket: [''],
  stress_reuseport_listen: ['300 80'],
  tcp_fastopen_backup_key: ['-4', '-6', '-4s', '-6s', '-4r', '-6r', '-4sr', '-6sr'],
  tcp_inq: ['-4', '-6'],
  txring_overwrite: [''],
  udpgso: ['-4 -C', '-4 -C -s', '-6 -C', '-6 -C -s', '-4 -C -m', '-6 -C -m'],
};

/**
 * For each folder what its Makefile says: flags and libraries; `helper`, a file linked with all programs; `parts`, programs that are
 * only run by others; `files`, which it makes; `within`, which runs a program. And `variants`, from futex's run.sh: arguments of
 * further runs of a program. `runs`: the only programs, with the arguments of each run.
 * Left out is what no Makefile runs by itself: the tests in `timers` that set the clock, and exec/load_address, which is about the addresses in ELF files.
 */
const FOLDERS = {
  'futex/functional': {
    flags: [`-I${join(selftests, 'futex/include')}`, '-pthread'],
    variants: { futex_requeue_pi: REQUEUE_PI.split(',') },
  },
  timers: {
    leaveOut:
      /^(alarmtimer-suspend|valid-adjtimex|adjtick|change_skew|skew_consistency|clocksource-switch|freq-step|leap-a-day|leapcrash|set-tai|set-2038|set-tz)$/,
    libraries: ['-lm'],
  },
  sigaltstack: {},
  clone3: { flags: ['-std=gnu99'] },
  pidfd: { flags: ['-pthread'] },
  'filesystems/epoll': {},
  'filesystems/eventfd': {},
  exec: {
    leaveOut: /^load_address$/,
    files: { script: '#!/bin/sh\nexit $*\n' },
    before:
      'mkdir -p subdir; ln -sf execveat execveat.symlink; cp execveat execveat.denatured; chmod -x execveat.denatured; ',
  },
  ipc: {},
  kcmp: {},
  net: {
    runs: NET_RUNS,
    files: { 'in-namespace': IN_NAMESPACE, ip: '#!/bin/sh\nexec busybox ip "$@"\n' },
    within: 'busybox unshare -n ./in-namespace',
    flags: ['-pthread', '-include', 'sys/types.h', '-include', 'netinet/if_ether.h'],
  },
  'net/af_unix': { flags: ['-DSO_PASSPIDFD=76', '-DSO_PEERPIDFD=77'] },
  mqueue: { libraries: ['-lpopt'] },
  openat2: { helper: 'helpers.c' },
  ptrace: {},
  proc: { flags: [`-I${join(kernel, 'tools/include')}`, '-pthread'] },
  splice: { parts: ['default_file_splice_read', 'splice_read'] },
  tmpfs: {},
  sched: {},
};

/** The programs of a folder that are not left out, and the scripts. */
function contents(name) {
  const { leaveOut, helper, runs } = FOLDERS[name];
  if (runs !== undefined) return { programs: Object.keys(runs), scripts: [] };
  const names = readdirSync(join(selftests, name));
  return {
    programs: names
      .filter((file) => file.endsWith('.c') && file !== helper)
      .map((file) => file.slice(0, -2))
      .filter((program) => !leaveOut?.test(program)),
    scripts: names.filter((file) => /\.(sh|py)$/.test(file) && file !== 'run.sh'),
  };
}

/** Compiles a folder's programs; the result has the messages of those that do not compile. */
async function compileFolder(name, compiler, flags, output) {
  const { flags: own = [], libraries = [], helper, files = {} } = FOLDERS[name];
  const { programs, scripts } = contents(name);
  const source = join(selftests, name);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(output, file), text, { mode: 0o755 });
  for (const script of scripts) copyFileSync(join(source, script), join(output, script));
  const errors = new Map();
  await parallel(availableParallelism(), programs, async (program) => {
    const sources = [`${program}.c`, ...(helper === undefined ? [] : [helper])].map((file) => join(source, file));
    const words = ['-O2', '-w', '-D_GNU_SOURCE', ...GLIBC_HABITS, `-I${selftests}`, ...own, ...flags, ...sources];
    const error = await new Promise((resolve) =>
      execFile(
        compiler,
        [...words, '-o', join(output, program), '-lpthread', '-lrt', ...libraries],
        { maxBuffer: 1 << 24 },
        (failure, _, stderr) => resolve(failure ? stderr || failure.message : undefined),
      ),
    );
    if (error !== undefined) errors.set(program, error);
  });
  return errors;
}

export async function prepare(folder, isWanted) {
  const native = nativeMusl(folder);
  // The headers of the same kernel version; those of the architecture are this computer's.
  const nativeFlags = ['-static', '-idirafter', '/usr/include/x86_64-linux-gnu', '-idirafter', '/usr/include'];
  const compiler = join(build, 'sdk/bin/wasm32-linux-musl-clang');
  const nativeRoot = join(folder, 'kselftest-native');
  const units = [];
  const files = [];
  for (const [name, { parts = [], variants = {}, before = '', within = '', runs: only }] of Object.entries(FOLDERS)) {
    const { programs, scripts } = contents(name);
    const runs = [...programs, ...scripts]
      .filter((program) => !parts.includes(program))
      .flatMap((program) =>
        (only?.[program] ?? ['', ...(variants[program] ?? [])]).map((words) => ({ program, words })),
      )
      .map((run) => ({ ...run, name: [`${name}/${run.program}`, ...run.words.split(' ').filter(Boolean)].join('_') }))
      .filter((run) => isWanted(run.name));
    if (runs.length === 0) continue;
    const natives = join(nativeRoot, name);
    const guests = join(folder, 'kselftest-guest', name);
    const nativeErrors = await compileFolder(name, native, nativeFlags, natives);
    const guestErrors = await compileFolder(name, compiler, [], guests);
    files.push(...filesBelow(guests, `${PLACE}/${name}`));
    for (const { program, words, name: unit } of runs) {
      const start = `cd ${PLACE}/${name} && { ${before}exec ${within} ./${program} ${words}; }`;
      units.push({
        name: unit,
        nativeError: nativeErrors.get(program),
        guestError: guestErrors.get(program),
        native: nativeErrors.has(program)
          ? undefined
          : {
              command: ['sh', '-c', `mount --make-rprivate / 2>&-; mount --bind ${nativeRoot} ${PLACE} && ${start}`],
              namespaces: ['--mount', '--propagation', 'unchanged'],
            },
        guest: guestErrors.has(program) ? undefined : { files: [], command: ['sh', '-c', `"${start}"`] },
      });
    }
  }
  const makefile = readFileSync(join(kernel, 'Makefile'), 'utf8');
  const [, ...numbers] = makefile.match(/^VERSION = (\d+)\nPATCHLEVEL = (\d+)\nSUBLEVEL = (\d+)/m);
  return { version: numbers.join('.'), units, files };
}

const statusOf = (error, run) => {
  if (error !== undefined) return 'does not compile';
  return VERDICTS[run.status] ?? (typeof run.status === 'string' ? run.status : `status ${run.status}`);
};

/** Lines of the Test Anything Protocol: what a test is called -> its verdict. */
function linesOf(run) {
  const lines = new Map();
  for (const [, not, text] of (run?.output ?? '').matchAll(/^(not )?ok(?: \d+)?[ -]*(.*)$/gm)) {
    const [, what, directive] = text.match(/^(.*?)(?: ?# ?(SKIP|XFAIL|TODO).*)?$/i);
    // Descriptions that differ from run to run: addresses, times, process numbers.
    const key = what.replaceAll(/0x[0-9a-f]+|\d+/gi, 'N').trim();
    const verdict = directive !== undefined ? directive.toLowerCase() : not ? 'fail' : 'pass';
    const name = Array.from({ length: 1000 }, (_, k) => (k === 0 ? key : `${key} (${k + 1})`)).find(
      (one) => !lines.has(one),
    );
    lines.set(name, verdict);
  }
  return lines;
}

export function results(unit, native, guest) {
  const nativeLines = linesOf(native);
  const guestLines = linesOf(guest);
  const output = guest?.output ?? unit.guestError;
  return [
    { name: unit.name, native: statusOf(unit.nativeError, native), guest: statusOf(unit.guestError, guest), output },
    ...[...new Set([...nativeLines.keys(), ...guestLines.keys()])].map((line) => ({
      name: `${unit.name}: ${line}`,
      native: nativeLines.get(line) ?? 'not run',
      guest: guestLines.get(line) ?? 'not run',
      output,
    })),
  ];
}
