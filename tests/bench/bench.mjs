// SPDX-License-Identifier: MIT
// ./auklet bench [--no-chromium] [--workload FOLDER [--v86] [--only-workload]]: one table of measurements in one run, the
// guest beside the same source as native code and as plain WebAssembly without Linux. Smaller is better.
//
// --workload (or AUKLET_WORKLOAD) names a folder with fix.sh, benchlib.sh, bench.sh and cbench.c, which run unchanged in
// the guest and natively (with Debian's BusyBox). Without it the table has no lines of them.
// --v86 runs fix.sh in the emulator v86 too (v86/build.sh makes a machine for it), with Debian's static i386 BusyBox, which
// then is the native one as well. --only-workload leaves out all other measurements of the guest.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootSession, build, cli, exec, root } from '../boot/machines.mjs';
import { PROMPT } from '../boot/session.mjs';
import { AT_PROMPT } from '../browser/browsers.mjs';
import * as v86 from './v86/v86.mjs';

const { values: options } = parseArgs({
  options: {
    'no-chromium': { type: 'boolean' },
    workload: { type: 'string', default: process.env.AUKLET_WORKLOAD },
    v86: { type: 'boolean' },
    'only-workload': { type: 'boolean' },
  },
});
if ((options.v86 || options['only-workload']) && options.workload === undefined)
  throw new Error('--v86 and --only-workload need --workload FOLDER');

const here = join(root, 'tests/bench');
const output = join(build, 'bench');
mkdirSync(output, { recursive: true });
const sdk = join(build, 'sdk/bin/wasm32-linux-musl-clang');

/** Units of each test of compute.c: a run takes about 100 ms natively. */
const COMPUTE = [
  ['crc32', 600],
  ['sieve', 400],
  ['64-bit multiplication', 700],
  ['interpreter', 700],
  ['quicksort', 100],
  ['quicksort by a function', 60],
  ['matrix multiplication', 100],
];
/** Programs that spin, twice as many as CPUs, and ticks of the timer. */
const LATENESS = ['4', '500'];
const COUNTS = COMPUTE.map(([, count]) => String(count));

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const progress = (text) => process.stderr.write(`bench: ${text}\n`);

// ---- compiling ----------------------------------------------------------------------------------------------------

function compile() {
  const run = (compiler, name, suffix, sources, flags = []) =>
    execFileSync(compiler, ['-O2', ...flags, '-o', join(output, `${name}-${suffix}`), ...sources]);
  const source = (name) => join(here, name);
  for (const [compiler, suffix] of [
    ['clang-22', 'native'],
    [sdk, 'guest'],
  ]) {
    run(compiler, 'compute', suffix, [source('compute.c'), source('compute-main.c')]);
    run(compiler, 'micro', suffix, [source('micro.c')]);
    run(compiler, 'lateness', suffix, [join(root, 'tests/programs/lateness.c')]);
  }
  run(sdk, 'compute-safepoints', 'guest', [source('compute.c'), source('compute-main.c')], ['-fsafepoints']);
  run(sdk, 'compute-fork', 'guest', [source('compute.c'), source('compute-main.c')], ['-DREACHABLE_FORK']);
  // The guest's flags, without its libraries, and the same optimizer afterwards.
  const flags = readFileSync(join(build, 'sdk/share/target-flags'), 'utf8').split('\n');
  execFileSync('clang-22', [
    ...flags.filter((flag) => flag.startsWith('-') && !flag.startsWith('--target')),
    '--target=wasm32',
    '-O2',
    '-nostdlib',
    '-Wl,--no-entry',
    '-o',
    join(output, 'compute.wasm'),
    source('compute.c'),
  ]);
}

// ---- measurements: each returns numbers by name ---------------------------------------------------------------------

function parseCompute(text) {
  const lines = text.trim().split('\n');
  return Object.fromEntries(
    lines.map((line, index) => [COMPUTE[index][0], Number(line.split(' ')[1]) / COMPUTE[index][1]]),
  );
}

function parseMicro(text) {
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
  );
}

/** Nanoseconds of a 10 ms timer's lateness. */
function parseLateness(text) {
  const numbers = parseMicro(text);
  return { 'lateness, median': numbers.median, 'lateness, 99 %': numbers.p99 };
}

/** What the guest is measured with; run(program, words) gives its output. */
async function measureGuest(run) {
  return {
    ...parseMicro(await run('micro-guest', [])),
    ...parseMicro(await run('micro-guest', ['console', '/dev/console'])),
    ...parseLateness(await run('lateness-guest', LATENESS)),
    ...parseCompute(await run('compute-guest', COUNTS)),
    withFork: parseCompute(await run('compute-fork-guest', COUNTS)),
    withSafepoints: parseCompute(await run('compute-safepoints-guest', COUNTS)),
  };
}

/** Runs in Node.js here, and as text in a page. */
async function plainCompute(base64, counts) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return counts.map((count, test) => {
    let best = Infinity;
    for (let round = 0; round < 5; ++round) {
      const start = performance.now();
      instance.exports.compute(test, Number(count));
      best = Math.min(best, performance.now() - start);
    }
    return `${test} ${best * 1e6}`;
  });
}

async function guestInNode() {
  const boots = [];
  const echoes = [];
  for (let round = 0; round < 7; ++round) {
    const start = performance.now();
    const { machine, session } = await bootSession(undefined, { cpus: 2 });
    await session.waitFor(PROMPT);
    boots.push(performance.now() - start);
    for (const key of 'echo of keys') {
      const pressed = performance.now();
      await session.write(key);
      await session.waitFor(key);
      echoes.push(performance.now() - pressed);
    }
    await machine.dispose();
  }
  const run = async (name, words) => {
    const put = ['--put', `${join(output, name)}:/root/${name}`];
    const { status, stdout, stderr } = await exec([`/root/${name}`, ...words], { words: ['--cpus', '2', ...put] });
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return { boot: median(boots), echo: median(echoes), ...(await measureGuest(run)) };
}

/** Seconds. Workers of a page that was closed may run on for 2 s, so measurements wait. */
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Seconds. Browsers keep house every now and then. */
const IDLE_TIME = 30;

/** Percent of a core that processes use: pids() lists them. */
async function idlePercent(pids) {
  const ticks = () =>
    pids()
      .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' '))
      .reduce((sum, fields) => sum + Number(fields[11]) + Number(fields[12]), 0);
  await pause(6);
  const before = ticks();
  await pause(IDLE_TIME);
  return ((ticks() - before) / 100 / IDLE_TIME) * 100;
}

/** Resident memory of a process. */
const residentMiB = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;

/** Idle CPU and resident memory of a process with one machine at the prompt. */
async function idleInNode() {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    let text = '';
    await new Promise((resolve) =>
      child.stdout.on('data', (bytes) => {
        text += bytes;
        if (PROMPT.test(text.replaceAll('\r', ''))) resolve();
      }),
    );
    const idle = await idlePercent(() => [child.pid]);
    return { idle, resident: residentMiB(child.pid) };
  } finally {
    child.kill();
  }
}

/** Boot, idle CPU and resident memory of v86, in a process of its own. */
async function v86InNode(folder) {
  const boots = [];
  for (let round = 0; ; ++round) {
    const machine = await v86.start(folder);
    try {
      boots.push(machine.boot);
      if (round < 2) continue;
      const idle = await idlePercent(() => [machine.pid]);
      return { boot: median(boots), idle, resident: residentMiB(machine.pid) };
    } finally {
      await machine.dispose();
    }
  }
}

/** The processes of the browser: what this process has started, and what those have. */
function browserProcesses() {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').match(/\((.*)\) \S (\d+)/s);
      parents.set(pid, { name, parent });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid) => pid === String(process.pid) || (parents.has(pid) && isOurs(parents.get(pid).parent));
  return [...parents].filter(([pid, { name }]) => /^chrom/.test(name) && isOurs(pid)).map(([pid]) => pid);
}

async function guestInChromium() {
  const require = createRequire(join(root, 'web/package.json'));
  const { chromium } = require('playwright-core');
  const server = spawn(process.execPath, [cli, 'serve', '--port', '0', join(build, 'dist')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise((resolve) =>
    server.stdout.on('data', (bytes) => resolve(String(bytes).match(/http:\S+/)[0])),
  );
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  try {
    const visit = async (context) => {
      const page = await context.newPage();
      await page.goto(address);
      const prompt = await page.waitForFunction(`${AT_PROMPT} && performance.now()`, undefined, { polling: 5 });
      return { page, boot: await prompt.jsonValue() };
    };
    const leave = async (closed) => {
      await closed.close();
      await pause(3);
    };
    const firstBoots = [];
    for (let round = 0; round < 5; ++round) {
      // Contexts share no caches.
      const context = await browser.newContext();
      firstBoots.push((await visit(context)).boot);
      await leave(context);
    }
    const context = await browser.newContext();
    const empty = await context.newPage();
    const emptyIdle = await idlePercent(browserProcesses);
    await empty.close();
    const boots = [];
    let page;
    for (let round = 0; round < 6; ++round) {
      if (page !== undefined) await leave(page);
      const visited = await visit(context);
      page = visited.page;
      // The first fills the context's caches.
      if (round > 0) boots.push(visited.boot);
    }
    const idle = await idlePercent(browserProcesses);
    const run = (name, words) =>
      page.evaluate(
        async ([content, command]) => {
          const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
          const { Machine } = auklet;
          const machine = new Machine({
            cpus: 2,
            exec: true,
            files: [{ path: '/root/program', mode: 0o755, content: bytes }],
          });
          machine.on('output', (output) => auklet.terminal.write(output));
          const { status, stdout, stderr } = await machine.exec(['/root/program', ...command]);
          await machine.dispose();
          if (status !== 0) throw new Error(`status ${status}: ${new TextDecoder().decode(stderr)}`);
          return new TextDecoder().decode(stdout);
        },
        [readFileSync(join(output, name)).toString('base64'), words],
      );
    const plain = await page.evaluate(
      `(${plainCompute})(${JSON.stringify(readFileSync(join(output, 'compute.wasm')).toString('base64'))}, ${JSON.stringify(COUNTS)})`,
    );
    return {
      guest: {
        boot: median(boots),
        firstBoot: median(firstBoots),
        idle,
        emptyIdle,
        ...(await measureGuest(run)),
      },
      plain: parseCompute(plain.join('\n')),
    };
  } finally {
    await browser.close();
    server.kill();
  }
}

/** Wall time between the markers "@@S name units" and "@@E name" of fix.sh: best of the rounds after the first, µs a unit. */
function markerTimes() {
  const results = {};
  let pending = '';
  let open;
  return {
    results,
    feed(bytes) {
      const time = performance.now();
      pending += bytes;
      const lines = pending.split('\n');
      pending = lines.pop();
      for (const line of lines) {
        const [mark, name, units] = line.trim().split(' ');
        if (mark === '@@S') open = { name, units: Number(units), time };
        else if (mark === '@@E' && open?.name === name) {
          const rounds = (results[name] ??= []);
          rounds.push(((time - open.time) * 1000) / open.units);
        }
      }
    },
  };
}

const bestRounds = (results) =>
  Object.fromEntries(
    Object.entries(results).map(([name, rounds]) => [name, Math.min(...rounds.slice(rounds.length > 1 ? 1 : 0))]),
  );

/** Lines "BENCH name units best_cs ..." of bench.sh and "CB name rate unit" of cbench, which it runs: µs a unit, or rates. */
function parseRates(text) {
  const results = {};
  for (const line of text.split('\n')) {
    const [kind, name, first, second] = line.trim().split(' ');
    if (kind === 'BENCH') results[name] = { value: (Number(second) * 1e4) / Number(first), unit: 'µs' };
    if (kind === 'CB') results[`c.${name}`] = { value: Number(first), unit: line.trim().split(' ').slice(3).join(' ') };
  }
  return results;
}

/** The folder of --v86, with everything in it. */
function prepareV86(workloadFolder) {
  if (process.arch !== 'x64') throw new Error('--v86 compares with native i386 programs, which need an x86-64 machine');
  const folder = join(output, 'v86');
  progress('what v86 needs (the first time: a kernel for it, several minutes)');
  v86.prepare(process.env.AUKLET_CACHE, folder, workloadFolder);
  return folder;
}

/** fix.sh and bench.sh of the folder, natively and in the guest; fix.sh in the folder's v86, if one is given. */
async function workload(folder, v86Folder) {
  execFileSync(sdk, ['-O2', '-o', join(output, 'cbench-guest'), join(folder, 'cbench.c'), '-lm']);
  // Static: in the root of v86 there are no libraries.
  execFileSync('clang-22', ['-O2', '-static', '-o', join(output, 'cbench-native'), join(folder, 'cbench.c'), '-lm']);
  /** What it printed, and the times of the markers in it. */
  const run = (program, words, environment) =>
    new Promise((resolve, reject) => {
      const times = markerTimes();
      let text = '';
      const child = spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', (bytes) => {
        times.feed(bytes);
        text += bytes;
      });
      child.on('close', (status) =>
        status === 0
          ? resolve({ text, times: bestRounds(times.results) })
          : reject(new Error(`${words.at(-1)} ended with ${status}`)),
      );
    });
  // Natively: the same shell and tools, from Debian's BusyBox; that of v86, in its root, where there is one.
  const tools = join(output, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const applet of execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (!existsSync(join(tools, applet))) symlinkSync('/bin/busybox', join(tools, applet));
  const temporary = join(tmpdir(), 'auklet-bench');
  mkdirSync(temporary, { recursive: true });
  const cbench = join(output, 'cbench-native');
  const natively = (script, environment) =>
    v86Folder === undefined
      ? run('/bin/busybox', ['sh', join(folder, script)], {
          PATH: tools,
          TMPDIR: temporary,
          LIB: join(folder, 'benchlib.sh'),
          CB: cbench,
          ...environment,
        })
      : run('unshare', v86.natively(v86Folder, `/${script}`, cbench), { PATH: process.env.PATH, ...environment });
  const put = (host, guest) => ['--put', `${host}:${guest}`];
  const inGuest = (script) =>
    run(
      process.execPath,
      [
        ...[cli, 'exec', '--cpus', '2'],
        ...put(join(folder, script), `/${script}`),
        ...put(join(folder, 'benchlib.sh'), '/benchlib.sh'),
        ...put(join(output, 'cbench-guest'), '/cbench'),
        ...['--', 'sh', `/${script}`],
      ],
      process.env,
    );
  progress('fix.sh, natively');
  // More of the same work, where it takes too little time.
  const fixNative = await natively('fix.sh', { MULT: '4' });
  progress('fix.sh, in the guest');
  const fixGuest = await inGuest('fix.sh');
  const fixV86 = markerTimes();
  if (v86Folder !== undefined) {
    progress('fix.sh, in v86');
    await v86.run(v86Folder, 'sh /fix.sh', fixV86.feed, 3600_000);
  }
  progress('bench.sh, natively');
  const benchNative = await natively('bench.sh', {});
  progress('bench.sh, in the guest');
  const benchGuest = await inGuest('bench.sh');
  return {
    fix: { native: fixNative.times, guest: fixGuest.times, v86: bestRounds(fixV86.results) },
    bench: { native: parseRates(benchNative.text), guest: parseRates(benchGuest.text) },
  };
}

// ---- the table ------------------------------------------------------------------------------------------------------

const COLUMNS = [
  'native',
  'plain, Node.js',
  'guest, Node.js',
  'to native',
  'to plain',
  'plain, Chromium',
  'guest, Chromium',
  'to native',
  'to plain',
  ...(options.v86 ? ['v86, Node.js', 'guest to v86'] : []),
];

/** Lines of fix.sh in which the processor does nearly all of the work in BusyBox. */
const CPU_BOUND = ['shloop', 'awk', 'sha256', 'md5', 'gzip', 'gunzip', 'sort'];
/** How many times as fast as v86 the guest is meant to be in those. */
const WANTED = 5;

function format(value, unit) {
  if (value === undefined) return '-';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trimEnd();
}

function ratio(value, base) {
  return value === undefined || base === undefined ? '-' : `${(value / base).toFixed(2)}x`;
}

/** One line; what is not given was not measured, or means nothing there. (v86 to guest: how many times as fast the guest is.) */
function line(name, unit, { native, plainNode, node, plainChromium, chromium, v86: emulated }) {
  return [
    name,
    format(native, unit),
    format(plainNode, unit),
    format(node, unit),
    ratio(node, native),
    ratio(node, plainNode),
    format(plainChromium, unit),
    format(chromium, unit),
    ratio(chromium, native),
    ratio(chromium, plainChromium),
    ...(options.v86 ? [format(emulated, unit), ratio(emulated, node)] : []),
  ];
}

/** Where the guest is not as much better than v86 as it is meant to be, in words. */
function comparison({ guest, v86: emulated }) {
  const names = Object.keys({ ...guest, ...emulated });
  const times = (name) => emulated[name] / guest[name];
  return [
    ['Not measured on both sides', names.filter((name) => Number.isNaN(times(name)))],
    ['Not better than v86', names.filter((name) => times(name) <= 1)],
    [
      `CPU-bound in BusyBox, and not ${WANTED} times as fast as v86`,
      CPU_BOUND.filter((name) => !(times(name) >= WANTED)),
    ],
  ]
    .map(
      ([text, listed]) =>
        `${text}: ${listed.map((name) => `${name} (${times(name).toFixed(2)}x)`).join(', ') || 'none'}`,
    )
    .join('\n');
}

/** Rows of cells; a text alone is a heading. */
function print(rows) {
  const cells = rows.filter(Array.isArray);
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of rows)
    console.log(
      Array.isArray(row)
        ? row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')
        : `\n${row}`,
    );
}

/** Bytes of all that a first visit loads: as it is, with brotli, with gzip; by file and together. */
function sizes() {
  const files = {};
  const total = [0, 0, 0];
  for (const entry of readdirSync(join(build, 'dist'), { recursive: true }).toSorted()) {
    const path = join(build, 'dist', entry);
    // The compressed form of another file.
    const packed = /\.(br|gz)$/.test(entry) && existsSync(path.replace(/\.\w+$/, ''));
    if (!statSync(path).isFile() || entry === '_headers' || packed) continue;
    const raw = statSync(path).size;
    const size = (extension) => (existsSync(path + extension) ? statSync(path + extension).size : raw);
    files[entry] = [raw, size('.br'), size('.gz')];
    files[entry].forEach((bytes, index) => (total[index] += bytes));
  }
  return { ...files, all: total };
}

for (const name of options.workload === undefined ? [] : ['fix.sh', 'benchlib.sh', 'bench.sh', 'cbench.c'])
  if (!existsSync(join(options.workload, name))) throw new Error(`--workload ${options.workload}: there is no ${name}`);
const v86Folder = options.v86 ? prepareV86(options.workload) : undefined;

let native = {};
let plain = {};
let node = { withFork: {}, withSafepoints: {} };
let chromium = { guest: { withFork: {}, withSafepoints: {} }, plain: {} };
let emulated = {};
if (!options['only-workload']) {
  progress('compiling');
  compile();
  progress('natively');
  const runNative = (name, words = []) => execFileSync(join(output, `${name}-native`), words, { encoding: 'utf8' });
  native = {
    ...parseMicro(runNative('micro')),
    ...parseLateness(runNative('lateness', [String(2 * cpus().length), LATENESS[1]])),
    ...parseCompute(runNative('compute', COUNTS)),
  };
  progress('plain WebAssembly in Node.js');
  plain = parseCompute(
    (await plainCompute(readFileSync(join(output, 'compute.wasm')).toString('base64'), COUNTS)).join('\n'),
  );
  progress('the guest in Node.js');
  node = { ...(await guestInNode()), ...(await idleInNode()) };
  if (!options['no-chromium']) {
    progress('the guest in Chromium');
    chromium = await guestInChromium();
  }
  if (v86Folder !== undefined) {
    progress('v86 in Node.js');
    emulated = await v86InNode(v86Folder);
  }
}
const given = options.workload === undefined ? undefined : await workload(options.workload, v86Folder);

const measured = (text, name, unit, scale = 1) => {
  const scaled = (value) => (value === undefined ? undefined : value / scale);
  return line(text, unit, {
    native: scaled(native[name]),
    node: scaled(node[name]),
    chromium: scaled(chromium.guest[name]),
    v86: scaled(emulated[name]),
  });
};
const general = () => [
  'Linux, 2 CPUs',
  measured('boot to prompt', 'boot', 'ms'),
  measured('  a first visit, with empty caches', 'firstBoot', 'ms'),
  measured('getppid', 'getppid', 'ns'),
  measured('write of 1 byte to /dev/null', 'write', 'ns'),
  measured('pread of 64 bytes', 'read64', 'ns'),
  measured('pread of 4 KiB', 'read4096', 'ns'),
  measured('clock_gettime', 'clock', 'ns'),
  measured('pipe ping-pong', 'pingpong', 'µs', 1000),
  measured('64 KiB through a pipe', 'pipe64k', 'µs', 1000),
  measured('pipe ping-pong on one CPU: two switches', 'switches', 'µs', 1000),
  measured('file: create, write 4 KiB, remove', 'file', 'µs', 1000),
  measured('fork, wait', 'fork', 'µs', 1000),
  measured('fork, wait, with 1 MiB in use', 'fork1', 'µs', 1000),
  measured('fork, wait, with 16 MiB in use', 'fork16', 'µs', 1000),
  measured('64 lines of 64 bytes to the console', 'console', 'µs', 1000),
  measured('fork, wait, while a process floods the console', 'flood-fork', 'µs', 1000),
  measured('  with 1 MiB in use', 'flood-fork1', 'µs', 1000),
  measured('  with 16 MiB in use', 'flood-fork16', 'µs', 1000),
  measured('fork, exec, wait', 'exec', 'µs', 1000),
  measured('posix_spawn, wait', 'spawn', 'µs', 1000),
  measured('10 ms timer beside spinners, median late', 'lateness, median', 'ms', 1e6),
  measured('10 ms timer beside spinners, 99 % late', 'lateness, 99 %', 'ms', 1e6),
  measured('echo of a key', 'echo', 'ms'),
  measured('CPU while idle (of the whole process; all of the browser)', 'idle', '%'),
  measured('  of a browser with an empty page', 'emptyIdle', '%'),
  measured('resident memory at the prompt', 'resident', 'MiB'),
  'CPU-bound C',
  ...COMPUTE.flatMap(([name]) =>
    [
      [name, node, chromium.guest],
      ['  with a reachable fork (asyncify)', node.withFork, chromium.guest.withFork],
      ['  with -fsafepoints', node.withSafepoints, chromium.guest.withSafepoints],
    ].map(([text, inNode, inChromium]) => {
      const micro = (value) => (value === undefined ? undefined : value / 1000);
      return line(text, 'µs', {
        native: micro(native[name]),
        plainNode: micro(plain[name]),
        node: micro(inNode[name]),
        plainChromium: micro(chromium.plain[name]),
        chromium: micro(inChromium[name]),
      });
    }),
  ),
];
const rows = [['', ...COLUMNS], ...(options['only-workload'] ? [] : general())];
if (given !== undefined) {
  rows.push(
    'fix.sh, a unit',
    ...Object.keys(given.fix.guest).map((name) =>
      line(name, 'µs', { native: given.fix.native[name], node: given.fix.guest[name], v86: given.fix.v86[name] }),
    ),
    'bench.sh, a unit; c.*: rates of cbench, where more is better and the ratio says how much of native',
    ...Object.entries(given.bench.guest).map(([name, { value, unit }]) =>
      line(name, unit, { native: given.bench.native[name]?.value, node: value }),
    ),
  );
}
console.log(
  `${cpus().length} processors (${cpus()[0].model.trim()}), load ${loadavg()[0].toFixed(1)}, Node.js ${process.versions.node}`,
);
print(rows);
if (given === undefined)
  console.log('\nNo lines of fix.sh and bench.sh: name their folder with --workload or AUKLET_WORKLOAD.');
if (options.v86)
  console.log(`\nOf the ${Object.keys(given.fix.guest).length} lines of fix.sh\n${comparison(given.fix)}`);
console.log('\nDownload, KiB: raw, brotli, gzip');
for (const [name, bytes] of Object.entries(sizes()))
  console.log(`${bytes.map((size) => (size / 1024).toFixed(1).padStart(8)).join('')}  ${name}`);
process.exit(0);
