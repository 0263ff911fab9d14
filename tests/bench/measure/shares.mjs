// SPDX-License-Identifier: MIT
// A shared folder in Node.js: a file of 100 MB that the guest has not read yet, and a listing of 5,000 files.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootSession } from '../../boot/machines.mjs';

const SIZE = 100_000_000;
const FOLDERS = 50;
const FILES = 100;

export async function measureShares() {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-bench-'));
  try {
    writeFileSync(join(folder, 'large'), new Uint8Array(SIZE).fill(7));
    for (let count = 0; count < FOLDERS; ++count) {
      mkdirSync(join(folder, `tree/d${count}`), { recursive: true });
      for (let file = 0; file < FILES; ++file) writeFileSync(join(folder, `tree/d${count}/file-${file}`), 'x');
    }
    const { machine } = await bootSession(undefined, { exec: true, shares: [{ name: 'f', folder }] });
    await machine.started;
    const run = async (line) => {
      const start = performance.now();
      const { status, stderr } = await machine.exec(['sh', '-c', line]);
      if (status !== 0) throw new Error(`${line}: ${new TextDecoder().decode(stderr)}`);
      return performance.now() - start;
    };
    const best = async (prepare, line) => {
      const times = [];
      for (let round = 0; round < 5; ++round) {
        await run(prepare);
        const start = await run('exec true');
        times.push((await run(`exec ${line}`)) - start);
      }
      return Math.min(...times);
    };
    const forget = 'echo 3 > /proc/sys/vm/drop_caches';
    const read = await best(forget, 'dd if=/mnt/f/large of=/dev/null bs=1M');
    const write = await best(forget, 'dd if=/dev/zero of=/mnt/f/new bs=1M count=100');
    const list = await best(forget, 'ls -lR /mnt/f/tree');
    await machine.dispose();
    return { shareRead: SIZE / 1000 / read, shareWrite: 104_857.6 / write, shareList: list };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
