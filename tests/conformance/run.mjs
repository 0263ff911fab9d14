// SPDX-License-Identifier: MIT
// Builds a public test suite for the guest and natively, runs it in both, and writes what each test did:
//   node run.mjs SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS]     (through tests/conformance/run)
// BUILD/conformance/SUITE.json gets { suite, version, totals, tests: [{ name, native, guest, output }] }, where output is the
// end of what a test printed in the guest that did not pass there.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '../..');
const build = process.env.AUKLET_BUILD ?? join(root, 'build');
const cache = process.env.AUKLET_CACHE;

/** Programs in one machine at a time: they are in its memory. */
const BATCH = 40;
const OUTPUT_KEPT = 2000;
/** Tests that run natively, and machines, at a time: most tests sleep most of the time. */
const AT_ONCE = 4;

function fail(message) {
  console.error(`conformance: ${message}`);
  process.exit(1);
}

function must(command, words, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8', ...options });
  if (status !== 0) fail(`${command} ${words.join(' ')} failed:\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** The unpacked source package. */
function unpack(name, folder) {
  const sources = join(cache, 'sources');
  must('sh', [join(root, 'tools/fetch-source'), name, sources]);
  const source = join(folder, name);
  if (!existsSync(source)) must('dpkg-source', ['--no-check', '--extract', join(sources, `${name}.dsc`), source]);
  const version = readFileSync(join(sources, `${name}.dsc`), 'utf8').match(/^Version: (.*)$/m)[1];
  return { source, version };
}

/** A native musl of the version that the guest has; its compiler. */
function nativeMusl(folder) {
  const prefix = join(folder, 'native');
  const compiler = join(prefix, 'bin/musl-gcc');
  if (!existsSync(compiler)) {
    const { source } = unpack('musl', folder);
    const options = { cwd: source, env: { ...process.env, CC: 'gcc' } };
    must('./configure', [`--prefix=${prefix}`, '--disable-shared', '--enable-wrapper=gcc'], options);
    must('make', ['-s', `-j${availableParallelism()}`, 'install'], { ...options, maxBuffer: 1 << 26 });
  }
  return compiler;
}

/** Calls work(item) for all items, so many at a time. */
async function parallel(count, items, work) {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

const isNewer = (file, than) =>
  existsSync(file) && statSync(file).mtimeMs > Math.max(...than.map((one) => statSync(one).mtimeMs));

/** Compiles tests; the result has those that did, with .program or nothing to run, and the others' messages. */
async function compileAll(tests, compiler, inputs, flags, folder) {
  mkdirSync(folder, { recursive: true });
  const compiled = new Map();
  await parallel(
    availableParallelism(),
    tests.filter((test) => test.compile),
    async (test) => {
      const program = join(folder, test.name.replaceAll('/', '+'));
      const source = test.compile.at(-1);
      if (isNewer(program, [source, ...inputs])) return void compiled.set(test.name, { program });
      const words = [...flags, ...test.compile, '-o', program, ...test.libraries];
      const error = await new Promise((resolve) =>
        execFile(compiler, words, { maxBuffer: 1 << 24 }, (failure, _, stderr) =>
          resolve(failure ? stderr || failure.message : ''),
        ),
      );
      compiled.set(test.name, error === '' ? { program } : { error: error.slice(0, OUTPUT_KEPT) });
    },
  );
  return compiled;
}

const verdictOf = (suite, status) => suite.verdicts[status] ?? (status === 'hung' ? 'hung' : `status ${status}`);

/** In namespaces of its own and without some capabilities: a test may set the clock, or send signals to everyone. */
async function runNatively(suite, tests, compiled, folder, timeout) {
  const results = new Map();
  await parallel(AT_ONCE, tests, async (test) => {
    const words = test.script ? ['sh', test.script] : [compiled.get(test.name).program];
    const namespace = ['--pid', '--ipc', '--fork', '--kill-child'];
    const limits = ['setpriv', '--bounding-set=-sys_time,-sys_boot,-sys_module'];
    const child = spawn('unshare', [...namespace, ...limits, 'timeout', '-s', 'KILL', String(timeout), ...words], {
      cwd: folder,
      stdio: 'ignore',
    });
    const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ? 137 : code)));
    results.set(test.name, status === 137 ? 'hung' : verdictOf(suite, status));
  });
  return results;
}

/** One machine runs tests one after the other. The results of those that ran: all, if the machine has not stopped. */
async function runInMachine(suite, startMachine, batch, compiled, timeout) {
  const results = new Map();
  const fileOf = (test) => `/t/${test.name.replaceAll('/', '+')}`;
  const files = batch.map((test) => ({
    path: fileOf(test),
    mode: 0o755,
    content: new Uint8Array(readFileSync(test.script ?? compiled.get(test.name).program)),
  }));
  const lines = batch.map((test) =>
    [
      `echo "@@ run ${test.name}"`,
      `timeout -s KILL ${timeout} ${test.script ? 'sh ' : ''}${fileOf(test)} > /tmp/o 2>&1 < /dev/null`,
      `s=$?; tail -c ${OUTPUT_KEPT} /tmp/o; echo; echo "@@ end ${test.name} $s"; rm -f ${fileOf(test)}`,
    ].join('\n'),
  );
  files.push({ path: '/t/run', mode: 0o755, content: new TextEncoder().encode(`cd /tmp\n${lines.join('\n')}\n`) });
  const machine = await startMachine({ cpus: 2, exec: true, files });
  let text = '';
  let current;
  let lastOutput = Date.now();
  const read = (bytes) => {
    lastOutput = Date.now();
    text += Buffer.from(bytes).toString('latin1');
    for (let match; (match = /^@@ (run|end) (\S+)(?: (\d+))?\n/m.exec(text)) !== null;) {
      const output = text.slice(0, match.index).trim();
      text = text.slice(match.index + match[0].length);
      current = match[1] === 'run' ? match[2] : undefined;
      if (match[1] === 'run') continue;
      const verdict = match[3] === '137' ? 'hung' : verdictOf(suite, Number(match[3]));
      results.set(match[2], { verdict, output });
    }
  };
  const done = machine.exec(['sh', '/t/run'], { onStdout: read }).then(() => 'done', String);
  let watchdog;
  const hangs = new Promise((resolve) => {
    watchdog = setInterval(() => {
      if (Date.now() - lastOutput > (timeout + 20) * 1000) resolve('the machine hangs');
    }, 1000);
  });
  const end = await Promise.race([done, hangs, machine.halted.then((reason) => `the machine ended: ${reason}`)]);
  clearInterval(watchdog);
  if (end !== 'done') {
    const output = `${end}\n${machine.transcript.slice(-OUTPUT_KEPT)}\n${await machine.diagnostics()}`;
    results.set(current ?? batch[0].name, { verdict: 'machine lost', output });
  }
  await machine.dispose();
  return results;
}

/** Runs tests in machines; one that stops is replaced, and what it ran is lost. */
async function runInGuest(suite, tests, compiled, timeout) {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const results = new Map();
  const batches = [];
  for (let at = 0; at < tests.length; at += BATCH) batches.push(tests.slice(at, at + BATCH));
  await parallel(AT_ONCE, batches, async (batch) => {
    for (let left = batch; left.length > 0; left = left.filter((test) => !results.has(test.name)))
      for (const [name, result] of await runInMachine(suite, startMachine, left, compiled, timeout))
        results.set(name, result);
    process.stderr.write(`\r${results.size} of ${tests.length} in the guest `);
  });
  process.stderr.write('\n');
  return results;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, timeout: { type: 'string', default: '60' } },
});
const name = positionals[0];
if (positionals.length !== 1 || !existsSync(join(import.meta.dirname, 'suites', `${basename(name ?? '')}.mjs`)))
  fail('usage: run SUITE [--only REGULAR-EXPRESSION] [--timeout SECONDS]; the suites are in tests/conformance/suites');
const suite = await import(join(import.meta.dirname, 'suites', `${name}.mjs`));
const folder = join(build, 'conformance');
mkdirSync(folder, { recursive: true });
const timeout = Number(values.timeout);
const { source, version } = unpack(suite.sourcePackage, folder);
const all = suite.tests(source).filter((test) => values.only === undefined || new RegExp(values.only).test(test.name));

const native = nativeMusl(folder);
const guestCompiler = join(build, 'sdk/bin/wasm32-linux-musl-clang');
console.error(`${all.length} tests: compiling`);
const natives = await compileAll(all, native, [native], ['-static'], join(folder, `${name}-native`));
const guests = await compileAll(
  all,
  guestCompiler,
  [guestCompiler, join(build, 'sdk/sysroot/lib/libc.a')],
  [],
  join(folder, `${name}-guest`),
);

const runnable = (compiled) =>
  all.filter((test) => !test.compileOnly && (test.script || compiled.get(test.name).program));
console.error('running');
const scratch = join(folder, 'scratch');
mkdirSync(scratch, { recursive: true });
const guestResults = await runInGuest(suite, runnable(guests), guests, timeout);
const nativeResults = await runNatively(suite, runnable(natives), natives, scratch, timeout);

const tests = all.map((test) => {
  const built = (compiled) => (compiled.get(test.name)?.error === undefined ? 'pass' : 'does not compile');
  const of = (compiled, verdict) => (test.compileOnly || built(compiled) !== 'pass' ? built(compiled) : verdict);
  const guest = guestResults.get(test.name);
  const result = {
    name: test.name,
    native: of(natives, nativeResults.get(test.name)),
    guest: of(guests, guest?.verdict),
  };
  const output = guest?.output ?? guests.get(test.name)?.error;
  return output === undefined || result.guest === 'pass' ? result : { ...result, output };
});
const passes = tests.filter((test) => test.native === 'pass');
const totals = {
  tests: tests.length,
  native: passes.length,
  guest: tests.filter((test) => test.guest === 'pass').length,
  both: passes.filter((test) => test.guest === 'pass').length,
};
writeFileSync(
  join(folder, `${name}.json`),
  `${JSON.stringify({ suite: name, version, totals, tests }, undefined, 1)}\n`,
);
for (const test of passes) if (test.guest !== 'pass') console.log(`${test.name}: ${test.guest}`);
console.log(
  `${name} ${version}: ${totals.tests} tests; pass natively ${totals.native}, of these in the guest ${totals.both} (${((100 * totals.both) / totals.native).toFixed(1)} %)`,
);
process.exit();
