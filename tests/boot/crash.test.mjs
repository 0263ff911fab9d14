// SPDX-License-Identifier: MIT
// A crash at any point loses nothing that was synced, and a disk that loses something is found out.
//
// A guest with an ext4 disk runs tests/programs/crashwriter. A recorder writes down what reaches the disk. From that, images are
// made as a crash may leave them: all that a flush covers, and any part of what came later. The computer's own e2fsprogs repair and
// read each image, and crashwriter checks what is in it.
//
// The guest writes what it has acknowledged to a second disk, which is in the same log. So an acknowledgement counts for a crash
// if its write is before the crash in the log: it was made after the call that it is about had returned.
//
// AUKLET_CRASH_POINTS is the number of crashes (100), AUKLET_CRASH_SEED the first of the seeds, which are printed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { brokenDisks } from '../crash/broken-disks.mjs';
import { faultOf } from '../crash/check-image.mjs';
import { CrashImages, randomNumbers } from '../crash/crash-images.mjs';
import { readLog } from '../crash/recorder.mjs';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const POINTS = Number(process.env.AUKLET_CRASH_POINTS ?? 100);
const SEED = Number(process.env.AUKLET_CRASH_SEED ?? Date.now() % 1e6);
/** Of one run of the guest. */
const POINTS_A_RUN = 100;
/** Crashes at which a fault may be seen. The first that shows it is the last, mostly one of the first ten. */
const MOST_TO_FIND = 600;
/** Of each of crashwriter's processes. */
const STEPS = 40;
/** Crashes that are looked into at the same time. */
const PARALLEL = 2;
/** A file system in memory, and the bytes that a test may take. */
const MEMORY = '/dev/shm';
const ROOM = 2 ** 29;
const PROCESSES = 5;
/** Pages of the disk of acknowledgements: crashwriter writes each process's last one to a page of its own. */
const ACK_PAGE = 4096;

function makeDisk(path) {
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', path, '64M']);
  return readFileSync(path);
}

/** Runs crashwriter; returns what its disk began with, and the log. */
async function record(folder, seed, fault) {
  const image = makeDisk(join(folder, 'disk'));
  const module = new URL('../crash/record.mjs', import.meta.url).href;
  const words = [join(folder, 'log'), fault].map((word) => JSON.stringify(word));
  const worker = join(folder, 'storage-worker.mjs');
  writeFileSync(worker, `import { record } from ${JSON.stringify(module)};\nrecord(${words.join(', ')});\n`);
  const machine = await startMachine({
    exec: true,
    storageWorkerUrl: pathToFileURL(worker).href,
    disks: [
      { name: 'written', memory: image },
      { name: 'acknowledged', memory: true, size: PROCESSES * ACK_PAGE },
    ],
    files: [
      { path: '/bin/crashwriter', mode: 0o755, content: readFileSync(join(build, 'tests/programs/crashwriter')) },
    ],
  });
  try {
    await machine.started;
    // What nobody syncs reaches the disk, too, and soon. Small requests can be lost one by one.
    const script = `cd /proc/sys/vm && echo 10 > dirty_writeback_centisecs && echo 30 > dirty_expire_centisecs &&
      echo 16 > /sys/block/vda/queue/max_sectors_kb && mount -t ext4 /dev/vda /mnt && exec crashwriter write -n ${STEPS} -a /dev/vdb /mnt ${seed}`;
    const { status, stderr } = await machine.exec(['sh', '-c', script]);
    assert.equal(status, 0, new TextDecoder().decode(stderr));
  } finally {
    await machine.dispose();
  }
  return { image, entries: readLog(join(folder, 'log')) };
}

/** For each point: what was acknowledged, as crashwriter prints it. */
function acknowledgements(entries, seed) {
  const lines = Array(PROCESSES).fill('');
  const texts = [];
  for (const { kind, disk, offset, bytes } of [...entries, {}]) {
    texts.push(`SEED ${seed}\n${lines.join('')}`);
    if (disk !== 1 || kind !== 'write') continue;
    // A write may be of several pages.
    for (let place = 0; place < bytes.length; place += ACK_PAGE)
      lines[(offset + place) / ACK_PAGE] = bytes.toString('latin1', place, bytes.indexOf(0, place));
  }
  return texts;
}

/** Random points of a log, in order. */
function choosePoints(entries, count, random) {
  const points = Array.from({ length: count }, () => 1 + Math.floor(random() * entries.length));
  return points.sort((one, other) => one - other);
}

/** Makes crashes, and calls `found(point, fault)` for each that has lost something. Ends when that returns true. */
async function crash({ image, entries }, { seed, count, folder, found }) {
  const random = randomNumbers(seed);
  const texts = acknowledgements(entries, seed);
  const images = new CrashImages(image, entries);
  const points = choosePoints(entries, count, random);
  const facts = { crashes: 0, withLater: 0, acknowledged: 0 };
  let ended = false;
  const take = async (name) => {
    const own = join(folder, name);
    mkdirSync(own);
    for (let point; !ended && (point = points.shift()) !== undefined;) {
      const later = images.write(point, random, join(own, 'image'));
      ++facts.crashes;
      facts.withLater += later > 0 ? 1 : 0;
      facts.acknowledged += texts[point].match(/ACK/g)?.length ?? 0;
      const fault = await faultOf(join(own, 'image'), texts[point], own);
      if (fault !== undefined) ended ||= found(point, fault);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, (_, index) => take(String(index))));
  return facts;
}

/** A folder that is gone after the test, unless it has failed. */
function folderOf(suite) {
  // e2fsck syncs what it writes, and a slow disk has no part in the test.
  const { bavail, bsize } = statfsSync(MEMORY, { throwIfNoEntry: false }) ?? { bavail: 0, bsize: 0 };
  const folder = mkdtempSync(join(bavail * bsize >= ROOM ? MEMORY : tmpdir(), 'auklet-crash-'));
  suite.after(() => (suite.passed ? rmSync(folder, { recursive: true }) : undefined));
  return folder;
}

const runs = Math.ceil(POINTS / POINTS_A_RUN);
for (let index = 0; index < runs; ++index) {
  const seed = SEED + index;
  const count = Math.min(POINTS_A_RUN, POINTS - index * POINTS_A_RUN);
  test(`${count} crashes lose nothing that was synced, seed ${seed}`, async (suite) => {
    const folder = folderOf(suite);
    const recorded = await record(folder, seed);
    const faults = [];
    const facts = await crash(recorded, {
      seed,
      count,
      folder,
      found: (point, fault) => faults.push(`after ${point} of ${recorded.entries.length} entries: ${fault}`) > 2,
    });
    suite.diagnostic(`${JSON.stringify(facts)}, ${recorded.entries.length} entries`);
    assert.deepEqual(faults, [], `seed ${seed}, folder ${folder}`);
    // Else nothing was tested.
    assert(facts.withLater >= count / 4, 'there was nothing to lose at most of the crashes');
    assert(facts.acknowledged >= count, 'nearly nothing was acknowledged');
  });
}

for (const fault of Object.keys(brokenDisks))
  test(`it is found out that ${fault}, seed ${SEED}`, async (suite) => {
    const folder = folderOf(suite);
    const faults = [];
    const recorded = await record(folder, SEED, fault);
    const { crashes } = await crash(recorded, {
      seed: SEED,
      count: MOST_TO_FIND,
      folder,
      found: (_, text) => faults.push(text) > 0,
    });
    assert(faults.length > 0, `no crash of ${MOST_TO_FIND} has shown it`);
    suite.diagnostic(`crash ${crashes}: ${faults[0].split('\n').slice(0, 4).join(' | ')}`);
  });
