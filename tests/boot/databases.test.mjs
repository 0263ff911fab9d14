// SPDX-License-Identifier: MIT
// Databases that four processes use at once: SQLite with a write-ahead log, and LMDB. No update is lost, on the disk "home",
// on overlayfs, and in tmpfs. AUKLET_DATABASE_SECONDS makes writers run for that long, and not for a number of transactions.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkExt4, copyOut } from './ext4.mjs';
import { build } from './machines.mjs';
import { KERNEL_REPORT } from './session.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const text = (bytes) => new TextDecoder().decode(bytes);

const WRITERS = 4;
const seconds = process.env.AUKLET_DATABASE_SECONDS;
const long = seconds === undefined ? '2000' : `${seconds}s`;
const short = seconds === undefined ? '300' : `${seconds}s`;

/** MDB_WRITEMAP, with and without MDB_NOSYNC: writers store to the mapping of the data. */
const WRITE_MAP = 0x80000;
const NO_SYNC = 0x10000;

const files = ['sqlite-writers', 'lmdb-writers', 'mdb_stat', 'mdb_copy'].map((name) => ({
  path: `/bin/${name}`,
  mode: 0o755,
  content: readFileSync(join(build, 'tests/databases', name)),
}));

const OVERLAY = (layers) => `
  mkdir -p ${layers}/upper ${layers}/work /tmp/lower
  mount -t overlay -o lowerdir=/tmp/lower,upperdir=${layers}/upper,workdir=${layers}/work overlay /mnt`;

/** Where the databases are, and what makes that place. */
const PLACES = {
  'the disk home': { folder: '/home/base' },
  'overlayfs on the disk home': { folder: '/mnt/base', prepare: OVERLAY('/root'), image: '/root/upper/base' },
  tmpfs: { folder: '/tmp/base' },
  'overlayfs in tmpfs': { folder: '/mnt/base', prepare: OVERLAY('/tmp') },
};

/** What must hold in the guest when the writers have ended, in the folder of the database. */
const CHECKS = {
  sqlite: 'test ! -e database-wal',
  lmdb: `mdb_stat -aef . > stat
    mkdir copy copy/compact; mdb_copy . copy; mdb_copy -c . copy/compact; mdb_stat -a copy > copy/stat; mdb_stat -a copy/compact | cmp - copy/stat`,
};

/** Runs the writers of a database in a machine of its own, and checks what they leave. */
async function run(suite, database, place, amount, { seed = 1, kill = false, variables = '' } = {}) {
  const { folder, prepare = '', image } = PLACES[place];
  const local = mkdtempSync(join(tmpdir(), 'auklet-databases-'));
  suite.after(() => rmSync(local, { recursive: true }));
  const file = join(local, 'home.img');
  const onDisk = place.includes('home');
  const disks = onDisk ? [{ name: 'home', file, size: '512M', format: 'ext4' }] : [];
  const machine = await startMachine({ exec: true, memory: 512, files, disks });
  suite.after(() => machine.dispose());
  await machine.started;
  const script = `${prepare}
    mkdir ${folder}; cd ${folder}
    ${variables} ${database}-writers . ${WRITERS} ${amount} ${seed} ${kill ? 'kill' : ''}
    ${CHECKS[database]}
    cd /; sync`;
  const { status, stdout, stderr } = await machine.exec(['sh', '-e', '-c', script]);
  assert.equal(`${status} ${text(stdout)}`, '0 no update is lost\n', text(stderr));
  suite.diagnostic(text(stderr).trim());
  const log = text((await machine.exec(['dmesg'])).stdout);
  assert.doesNotMatch(log, KERNEL_REPORT);
  assert.doesNotMatch(log, /EXT4-fs (\(.*\): )?(error|warning)/);
  await machine.dispose();
  if (!onDisk) return;
  checkExt4(file);
  if (database !== 'sqlite') return;
  // The file is the same on every computer.
  const { DatabaseSync } = await import('node:sqlite');
  copyOut(file, `${image ?? '/home/base'}/database`, join(local, 'database'));
  const native = new DatabaseSync(join(local, 'database'));
  assert.deepEqual({ ...native.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
  native.close();
}

for (const database of Object.keys(CHECKS)) {
  for (const place of Object.keys(PLACES)) {
    const amount = place.startsWith('overlayfs') ? short : long;
    test(`${database}: ${WRITERS} writers on ${place}`, (suite) => run(suite, database, place, amount));
  }
  for (const place of ['the disk home', 'tmpfs'])
    test(`${database}: writers that are killed, on ${place}`, (suite) =>
      run(suite, database, place, short, { seed: 2, kill: true }));
}

for (const place of ['the disk home', 'tmpfs']) {
  test(`lmdb: a large table of readers, on ${place}`, (suite) =>
    run(suite, 'lmdb', place, short, { seed: 3, variables: 'LMDB_READERS=2000' }));
  for (const flags of [WRITE_MAP, WRITE_MAP | NO_SYNC])
    test(`lmdb: writers that store to the mapping, on ${place}, flags ${flags.toString(16)}`, (suite) =>
      run(suite, 'lmdb', place, short, { seed: 4, variables: `LMDB_FLAGS=${flags}` }));
}
