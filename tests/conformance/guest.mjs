// SPDX-License-Identifier: MIT
// Runs the units of a suite in machines.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KERNEL_REPORT } from '../boot/session.mjs';
import { build, OUTPUT_KEPT, parallel } from './common.mjs';

/** Machines at a time. */
const AT_ONCE = 4;

const initialFile = ({ path, from }) => ({
  path,
  mode: statSync(from).mode & 0o7777,
  content: new Uint8Array(readFileSync(from)),
});

/**
 * One machine runs units one after the other. The results of those that ran: all, if the machine has not stopped. A report of the
 * kernel or an error of the host is the failure of the unit that ran, and the end of the machine: what comes after it would prove nothing.
 */
async function runInMachine(suite, startMachine, files, batch, timeout) {
  const results = new Map();
  const lines = batch.map(({ name, guest }) =>
    [
      `echo "@@ run ${name}"; echo "@@ unit ${name}" > /dev/kmsg`,
      // A session, so that what a hung unit has started can be ended; its leader is a shell, as a leader cannot call setsid.
      `setsid sh -c 'echo $$ > /tmp/session; timeout -s KILL ${timeout} ${guest.command.join(' ')}; exit $?' > /tmp/o 2>&1 < /dev/null`,
      's=$?; read -r session < /tmp/session; kill -KILL -$session 2> /dev/null',
      `tail -c ${suite.outputKept} /tmp/o; echo; echo "@@ end ${name} $s"`,
      ...guest.files.map((file) => `rm -f ${file.path}`),
    ].join('\n'),
  );
  const script = new TextEncoder().encode(`cd /tmp\n${lines.join('\n')}\necho "@@ all done" > /dev/kmsg\n`);
  const machine = await startMachine({
    cpus: 2,
    exec: true,
    files: [
      ...[...files, ...batch.flatMap(({ guest }) => guest.files)].map(initialFile),
      { path: '/t/run', mode: 0o755, content: script },
    ],
  });
  let text = '';
  let current;
  // The console is another stream than the output of commands: only marks in the kernel's log tell whose a report is.
  let log = '';
  let logged = batch[0].name;
  let failure;
  let drain;
  const drained = new Promise((resolve) => (drain = resolve));
  machine.on('output', (bytes) => {
    log += Buffer.from(bytes).toString('latin1').replaceAll('\r', '');
    const rows = log.split('\n');
    log = rows.pop();
    for (const row of rows) {
      const mark = /@@ unit (\S+)$/.exec(row);
      if (row.endsWith('@@ all done')) drain();
      else if (mark !== null) logged = mark[1];
      else if (KERNEL_REPORT.test(row)) failure ??= { name: logged, status: 'kernel report', text: row };
    }
  });
  machine.on('error', (error) => {
    failure = { name: logged, status: 'host error', text: `${error.message}\n${error.detail ?? ''}` };
  });
  let stop;
  const stopped = new Promise((resolve) => (stop = resolve));
  let lastOutput = Date.now();
  const read = (bytes) => {
    lastOutput = Date.now();
    // Pieces end anywhere in a character, so characters are made of a unit's whole output.
    text += Buffer.from(bytes).toString('latin1');
    for (let match; (match = /^@@ (run|end) (\S+)(?: (\d+))?\n/m.exec(text)) !== null;) {
      const output = Buffer.from(text.slice(0, match.index), 'latin1').toString().trim();
      text = text.slice(match.index + match[0].length);
      current = match[1] === 'run' ? match[2] : undefined;
      if (match[1] === 'run') continue;
      results.set(match[2], { status: match[3] === '137' ? 'hung' : Number(match[3]), output });
      // Not before the unit has ended: the rest of the report belongs to it.
      if (failure !== undefined) stop('the machine is replaced');
    }
  };
  const done = machine.exec(['sh', '/t/run'], { onStdout: read }).then(() => drained.then(() => 'done'), String);
  let watchdog;
  const hangs = new Promise((resolve) => {
    watchdog = setInterval(() => {
      if (Date.now() - lastOutput > (timeout + 20) * 1000) resolve('the machine hangs');
    }, 1000);
  });
  const halted = machine.halted.then((reason) => `the machine ended: ${reason}`, String);
  const end = await Promise.race([done, hangs, stopped, halted]);
  clearInterval(watchdog);
  if (end !== 'done') failure ??= { name: current ?? logged, status: 'machine lost', text: '' };
  if (failure !== undefined) {
    const { name, status, text: reason } = failure;
    const output = [text, reason, end, machine.transcript.slice(-OUTPUT_KEPT), await machine.diagnostics()].join('\n');
    // What ran after it is run again.
    for (const unit of batch.slice(batch.findIndex((one) => one.name === name))) results.delete(unit.name);
    results.set(name, { status, output });
  }
  await machine.dispose();
  return results;
}

/** Runs units in machines; one that stops is replaced, and what it ran is lost. */
export async function runInGuest(suite, files, units, timeout) {
  const { startMachine } = await import(join(build, 'cli/machine.mjs'));
  const results = new Map();
  const batches = [];
  for (let at = 0; at < units.length; at += suite.batch) batches.push(units.slice(at, at + suite.batch));
  await parallel(AT_ONCE, batches, async (batch) => {
    for (let left = batch; left.length > 0; left = left.filter((unit) => !results.has(unit.name)))
      for (const [name, result] of await runInMachine(suite, startMachine, files, left, timeout))
        results.set(name, result);
    process.stderr.write(`\r${results.size} of ${units.length} in the guest `);
  });
  process.stderr.write('\n');
  return results;
}
