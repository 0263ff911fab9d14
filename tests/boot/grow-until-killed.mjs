// SPDX-License-Identifier: MIT
// A program that growth.test.mjs kills: a machine whose disk "home" grows again and again while the guest writes.
//
//     node grow-until-killed.mjs FILE
//
// It prints "growing BYTES" and "grown BYTES" for each step, and "wrote N" when the guest has synced that number.

import { join } from 'node:path';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const STEP = 256 << 20;
const WRITE =
  'i=$(cat /root/n); while :; do i=$((i+1)); echo $i > /root/n.new; fsync /root/n.new; mv /root/n.new /root/n; sync; echo $i; done';

const machine = await startMachine({ exec: true, disks: [{ name: 'home', file: process.argv[2] }] });
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
for (let size = await disk.size(); ;) {
  size += STEP;
  console.log(`growing ${size}`);
  await disk.grow(size);
  console.log(`grown ${size}`);
}
