// SPDX-License-Identifier: MIT
// ./auklet bench [--no-chromium] [--workload FOLDER]: one table of measurements, guest beside native, in one run.
//
// --workload (or AUKLET_WORKLOAD) names a folder with fix.sh, benchlib.sh and cbench.c, which run unchanged in the guest
// and natively (with Debian's static BusyBox). Ratios are to native; smaller is better.

import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootSession, build, cli, exec, root } from '../boot/machines.mjs';
import { PROMPT } from '../boot/session.mjs';

const { values: options } = parseArgs({
  options: { 'no-chromium': { type: 'boolean' }, workload: { type: 'string', default: process.env.AUKLET_WORKLOAD } },
});

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
  ['matrix multiplication', 100],
];
const COUNTS = COMPUTE.map(([, count]) => String(count));

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const progress = (text) => process.stderr.write(`bench: ${text}\n`);

// ---- compiling ----------------------------------------------------------------------------------------------------

function compile() {
  const source = (name) => join(here, name);
  for (const [compiler, suffix] of [
    ['clang-22', 'native'],
    [sdk, 'guest'],
  ]) {
    execFileSync(compiler, [
      '-O2',
      '-o',
      join(output, `compute-${suffix}`),
      source('compute.c'),
      source('compute-main.c'),
    ]);
    execFileSync(compiler, ['-O2', '-o', join(output, `micro-${suffix}`), source('micro.c')]);
  }
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
  const put = (name) => ['--put', `${join(output, `${name}-guest`)}:/root/${name}`];
  const run = async (command, words) => {
    const { status, stdout, stderr } = await exec(command, { words: ['--cpus', '2', ...words] });
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  };
  const boots = [];
  for (let round = 0; round < 7; ++round) {
    const start = performance.now();
    const { machine, session } = await bootSession(undefined, { cpus: 2 });
    await session.waitFor(PROMPT);
    boots.push(performance.now() - start);
    await machine.dispose();
  }
  return {
    boot: median(boots),
    ...parseMicro(await run(['/root/micro'], put('micro'))),
    ...parseCompute(await run(['/root/compute', ...COUNTS], put('compute'))),
  };
}

/** Idle CPU and resident memory of a process with one machine at the prompt. */
async function idle() {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    let text = '';
    await new Promise((resolve) =>
      child.stdout.on('data', (bytes) => {
        text += bytes;
        if (PROMPT.test(text.replaceAll('\r', ''))) resolve();
      }),
    );
    const ticks = () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
      return Number(fields[11]) + Number(fields[12]);
    };
    const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    await pause(2);
    const before = ticks();
    await pause(10);
    const percent = ((ticks() - before) / 100 / 10) * 100;
    const resident = Number(readFileSync(`/proc/${child.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;
    return { idle: percent, resident };
  } finally {
    child.kill();
  }
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
    const boots = [];
    let page;
    for (let round = 0; round < 6; ++round) {
      await page?.close();
      page = await browser.newPage();
      await page.goto(address);
      const prompt = await page.waitForFunction(
        () => /# $/.test(globalThis.auklet?.current?.transcript ?? '') && performance.now(),
        undefined,
        { polling: 5 },
      );
      // The first fills the browser's caches.
      if (round > 0) boots.push(await prompt.jsonValue());
    }
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
        ...parseMicro(await run('micro-guest', [])),
        ...parseCompute(await run('compute-guest', COUNTS)),
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

async function workload(folder) {
  for (const name of ['fix.sh', 'benchlib.sh', 'cbench.c'])
    if (!existsSync(join(folder, name))) throw new Error(`--workload ${folder}: there is no ${name}`);
  execFileSync(sdk, ['-O2', '-o', join(output, 'cbench-guest'), join(folder, 'cbench.c'), '-lm']);
  execFileSync('clang-22', ['-O2', '-o', join(output, 'cbench-native'), join(folder, 'cbench.c'), '-lm']);
  const run = (program, words, environment) =>
    new Promise((resolve, reject) => {
      const times = markerTimes();
      const child = spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', times.feed);
      child.on('close', (status) =>
        status === 0 ? resolve(bestRounds(times.results)) : reject(new Error(`fix.sh ended with ${status}`)),
      );
    });
  // Natively: the same shell and tools, from Debian's static BusyBox.
  const tools = join(output, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const applet of execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (!existsSync(join(tools, applet))) symlinkSync('/bin/busybox', join(tools, applet));
  const temporary = join(tmpdir(), 'auklet-bench');
  mkdirSync(temporary, { recursive: true });
  progress('workload, natively');
  const native = await run('/bin/busybox', ['sh', join(folder, 'fix.sh')], {
    PATH: tools,
    TMPDIR: temporary,
    LIB: join(folder, 'benchlib.sh'),
    CB: join(output, 'cbench-native'),
    MULT: '4',
  });
  progress('workload, in the guest');
  const put = (host, guest) => ['--put', `${host}:${guest}`];
  const guest = await run(
    process.execPath,
    [
      ...[cli, 'exec', '--cpus', '2'],
      ...put(join(folder, 'fix.sh'), '/fix.sh'),
      ...put(join(folder, 'benchlib.sh'), '/benchlib.sh'),
      ...put(join(output, 'cbench-guest'), '/cbench'),
      ...['--', 'sh', '/fix.sh'],
    ],
    process.env,
  );
  return { native, guest };
}

// ---- the table ------------------------------------------------------------------------------------------------------

function format(value, unit) {
  if (value === undefined) return '-';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}

function table(title, columns, rows) {
  const cells = [[title, ...columns], ...rows];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => (row[index + 1] ?? '').length)));
  const first = Math.max(...cells.map((row) => row[0].length));
  for (const [index, row] of cells.entries()) {
    console.log(
      [row[0].padEnd(first), ...widths.map((width, column) => (row[column + 1] ?? '').padStart(width))].join('  '),
    );
    if (index === 0) console.log('-'.repeat(first + widths.reduce((sum, width) => sum + width + 2, 0)));
  }
  console.log();
}

function ratio(value, base) {
  return value === undefined || base === undefined ? '-' : `${(value / base).toFixed(2)}x`;
}

function sizes() {
  const rows = [];
  const totals = [0, 0, 0];
  for (const entry of readdirSync(join(build, 'dist'), { recursive: true }).toSorted()) {
    const path = join(build, 'dist', entry);
    if (
      !statSync(path).isFile() ||
      entry === '_headers' ||
      existsSync(path.replace(/\.(br|gz)$/, '')) === /\.(br|gz)$/.test(entry)
    )
      continue;
    const raw = statSync(path).size;
    const packed = ['.br', '.gz'].map((extension) =>
      existsSync(path + extension) ? statSync(path + extension).size : raw,
    );
    [raw, ...packed].forEach((size, index) => (totals[index] += size));
    rows.push([entry, ...[raw, ...packed].map((size) => `${(size / 1024).toFixed(1)} KiB`)]);
  }
  rows.push(['all', ...totals.map((size) => `${(size / 1024).toFixed(1)} KiB`)]);
  return rows;
}

progress('compiling');
compile();
progress('natively');
const runNative = (name, words = []) => execFileSync(join(output, `${name}-native`), words, { encoding: 'utf8' });
copyFileSync(join(output, 'micro-native'), join(output, 'micro'));
const native = { ...parseMicro(runNative('micro')), ...parseCompute(runNative('compute', COUNTS)) };
progress('plain WebAssembly in Node.js');
const plain = parseCompute(
  (await plainCompute(readFileSync(join(output, 'compute.wasm')).toString('base64'), COUNTS)).join('\n'),
);
progress('the guest in Node.js');
const node = { ...(await guestInNode()), ...(await idle()) };
let chromium = { guest: {}, plain: {} };
if (!options['no-chromium']) {
  progress('the guest in Chromium');
  chromium = await guestInChromium();
}

console.log(
  `${cpus().length} processors (${cpus()[0].model.trim()}), load ${loadavg()[0].toFixed(1)}, Node.js ${process.versions.node}\n`,
);
const guests = (name, unit, scale = 1, base = native[name]) => [
  format(base === undefined ? undefined : base / scale, unit),
  format(node[name] / scale, unit),
  ratio(node[name], base),
  format(chromium.guest[name] === undefined ? undefined : chromium.guest[name] / scale, unit),
  ratio(chromium.guest[name], base),
];
table(
  'kernel',
  ['native', 'Node.js', '', 'Chromium', ''],
  [
    ['boot to prompt, 2 CPUs', ...guests('boot', 'ms')],
    ['getppid', ...guests('getppid', 'ns')],
    ['write of 1 byte to /dev/null', ...guests('write', 'ns')],
    ['pread of 64 bytes', ...guests('read64', 'ns')],
    ['pread of 4 KiB', ...guests('read4096', 'ns')],
    ['clock_gettime', ...guests('clock', 'ns')],
    ['pipe ping-pong', ...guests('pingpong', 'µs', 1000)],
    ['64 KiB through a pipe', ...guests('pipe64k', 'µs', 1000)],
    ['fork, wait', ...guests('fork', 'µs', 1000)],
    ['fork, exec, wait', ...guests('exec', 'µs', 1000)],
    ['idle CPU of the process', '-', format(node.idle, '%')],
    ['resident memory', '-', format(node.resident, 'MiB')],
  ],
);
table(
  'CPU-bound C, µs a unit',
  [
    'native',
    'plain (Node)',
    'guest (Node)',
    'to plain',
    'to native',
    'plain (Chromium)',
    'guest (Chromium)',
    'to plain',
  ],
  COMPUTE.map(([name]) => [
    name,
    format(native[name] / 1000, 'µs'),
    format(plain[name] / 1000, 'µs'),
    format(node[name] / 1000, 'µs'),
    ratio(node[name], plain[name]),
    ratio(node[name], native[name]),
    format(chromium.plain[name] === undefined ? undefined : chromium.plain[name] / 1000, 'µs'),
    format(chromium.guest[name] === undefined ? undefined : chromium.guest[name] / 1000, 'µs'),
    ratio(chromium.guest[name], chromium.plain[name]),
  ]),
);
table('download', ['raw', 'brotli', 'gzip'], sizes());
if (options.workload !== undefined) {
  const result = await workload(options.workload);
  table(
    'workload, µs a unit',
    ['native', 'guest (Node)', 'to native'],
    Object.keys(result.guest).map((name) => [
      name,
      format(result.native[name], ''),
      format(result.guest[name], ''),
      ratio(result.guest[name], result.native[name]),
    ]),
  );
}
process.exit(0);
