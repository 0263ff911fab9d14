// SPDX-License-Identifier: MIT
// A program that growth.test.mjs kills: a machine whose disk "home" grows again and again while the guest writes.
//
//     node grow-until-killed.mjs FILE [N]
//
// With N it kills itself in the middle of the Nth step: the file has its new size, and the file system in it has not.
// It prints "growing BYTES" and "grown BYTES" for each step, and "wrote N" when the guest has synced that number.

import { statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const STEP = 256 << 20;
const WRITE =
  'i=$(cat /root/n); while :; do i=$((i+1)); echo $i > /root/n.new; fsync /root/n.new; mv /root/n.new /root/n; sync; echo $i; done';

const [file, last] = process.argv.slice(2);
const machine = await startMachine({ exec: true, disks: [{ name: 'home', file }] });
await machine.started;
const disk = machine.disk('home');
const written = new Promise((resolve) => {
  const decoder = new TextDecoder();
  const onStdout = (bytes) => {
    for (const number of decoder.decode(bytes).trim().split('\n')) console.log(`wrote ${number}`);
    resolve();
  };
  machine.exec(['sh', '-c', WRITE], { onStdout }).catch(() => {});
});
await written;
for (let count = 1, size = await disk.size(); ; ++count) {
  size += STEP;
  console.log(`growing ${size}`);
  // What grows the file system is asked for by this thread, later than the system tells of the file.
  const isLast = count === Number(last);
  if (isLast)
    watch(file, () => {
      if (statSync(file).size === size) process.kill(process.pid, 'SIGKILL');
    });
  await disk.grow(size);
  console.log(`grown ${size}`);
  if (isLast) throw new Error('the system has not told that the file has grown');
}
