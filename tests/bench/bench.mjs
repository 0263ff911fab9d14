// SPDX-License-Identifier: MIT
// ./auklet bench: one table of measurements in one run, the guest beside the same source as native code and as plain
// WebAssembly without Linux. The options are in web/src/node/help/bench.txt.
//
// The folder of --workload (or AUKLET_WORKLOAD) has fix.sh, benchlib.sh, bench.sh and cbench.c, which run unchanged in the
// guest and natively (with Debian's BusyBox). Without it the table has no lines of them. --v86 runs fix.sh in the emulator
// v86 too (v86/build.sh makes a machine for it), with Debian's static i386 BusyBox, which then is the native one as well.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runFacts } from '../tools/run-facts.mjs';
import { writePage } from '../tools/write-page.mjs';
import { measureChromium, measureSavedBoots } from './measure/chromium.mjs';
import { measureDisks } from './measure/disks.mjs';
import { measureDownload } from './measure/download.mjs';
import { measureNetwork } from './measure/network.mjs';
import { measureNatively, measureNode } from './measure/node.mjs';
import { measureV86, prepareV86 } from './measure/v86.mjs';
import { measureWorkload } from './measure/workload.mjs';
import { compile, measurePlain, output, progress } from './programs.mjs';
import { resultsPage, resultsText } from './table.mjs';

const { values: options } = parseArgs({
  options: {
    'no-chromium': { type: 'boolean' },
    workload: { type: 'string', default: process.env.AUKLET_WORKLOAD },
    v86: { type: 'boolean' },
    'only-workload': { type: 'boolean' },
    'only-disks': { type: 'boolean' },
    'only-network': { type: 'boolean' },
    'only-boots': { type: 'boolean' },
    json: { type: 'string' },
    from: { type: 'string' },
    page: { type: 'string' },
  },
});

function checkOptions() {
  const { workload } = options;
  if ((options.v86 || options['only-workload']) && workload === undefined)
    throw new Error('--v86 and --only-workload need --workload FOLDER');
  for (const name of workload === undefined ? [] : ['fix.sh', 'benchlib.sh', 'bench.sh', 'cbench.c'])
    if (!existsSync(join(workload, name))) throw new Error(`--workload ${workload}: there is no ${name}`);
}

/** All but the workload's lines. */
async function measureGeneral(v86Folder) {
  progress('compiling');
  compile();
  progress('natively');
  const native = measureNatively();
  progress('plain WebAssembly in Node.js');
  const plain = await measurePlain();
  progress('the guest in Node.js');
  const results = { native, plain, node: await measureNode() };
  if (!options['no-chromium']) {
    progress('the guest in Chromium');
    results.chromium = await measureChromium();
  }
  if (v86Folder !== undefined) {
    progress('v86 in Node.js');
    results.v86 = await measureV86(v86Folder);
  }
  return results;
}

async function measure() {
  checkOptions();
  mkdirSync(output, { recursive: true });
  const v86Folder = options.v86 ? prepareV86(options.workload) : undefined;
  const parts = ['workload', 'disks', 'network', 'boots'];
  const onlySome = parts.some((part) => options[`only-${part}`]);
  const wants = (part) => !onlySome || options[`only-${part}`];
  const measured = onlySome ? {} : await measureGeneral(v86Folder);
  if (options['only-boots']) {
    progress('boots in Chromium');
    measured.chromium = await measureSavedBoots();
  }
  if (wants('disks')) {
    progress('disks');
    measured.disks = await measureDisks(!options['no-chromium']);
  }
  if (wants('network')) {
    progress('the network');
    measured.network = await measureNetwork();
  }
  if (options.workload !== undefined && wants('workload'))
    measured.workload = await measureWorkload(options.workload, v86Folder);
  const facts = runFacts();
  if (measured.chromium !== undefined) facts.engines.Chromium = measured.chromium.version;
  return { ...facts, ...measured, ...(options['only-boots'] ? {} : { download: measureDownload() }) };
}

const results =
  options.from === undefined ? await measure() : JSON.parse(readFileSync(options.from, { encoding: 'utf8' }));
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
if (options.page !== undefined) await writePage(options.page, resultsPage(results));
else console.log(resultsText(results));
process.exit(0);
