// SPDX-License-Identifier: MIT
// The base of a guest worker. The worker has one instance of the kernel. It is
// a CPU's own (cpu-worker.ts), or it runs the tasks of a slot of the pool
// (task-worker.ts). The protocols are in docs/abi-engine.md.

import { holdLifeLock } from '../machine/platform.ts';
import { CpuWorker, NO_COROUTINES } from './cpu-worker.ts';
import { HostLink, type LifeMessage } from './host-link.ts';
import { KernelInstance } from './kernel-instance.ts';
import { TaskWorker } from './task-worker.ts';

let cpu: CpuWorker | undefined;

const link = new HostLink(async (message: LifeMessage): Promise<void> => {
  if (message.type === 'boot') {
    cpu?.boot(message.dtb);
    return;
  }
  await holdLifeLock(message.lifeLock);
  link.learn(message);
  if (message.role === 'cpu') {
    cpu = new CpuWorker(link, message);
    cpu.kernel.exports.wasm_clock_offset.value = await link.clockOffset;
    cpu.ready();
  } else {
    const kernel = new KernelInstance(link, message, NO_COROUTINES);
    kernel.exports.wasm_clock_offset.value = await link.clockOffset;
    await new TaskWorker(kernel, link, message.slot as number).parkForever();
  }
});
