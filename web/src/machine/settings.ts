// SPDX-License-Identifier: MIT
// The configuration as the C++ host reads it (host/src/configuration.cpp), with what depends on the engine.

import { engineLimits, hasCoroutines, processors } from './platform.ts';
import type { MachineConfiguration } from './protocol.ts';

/** Where kernel threads need no workers: init, a program that it starts, and one to spare. */
export const INITIAL_WORKERS = 3;
/** With those of the kernel's threads. */
const INITIAL_WORKERS_AND_THREADS = 24;
/** For a pipeline and what is in the background; a machine that cannot have these would be of no use. */
const INITIAL_MEMORIES = 8;

/** The lines that Configuration::parse reads. */
export function settingsText(configuration: MachineConfiguration): string {
  const limits = engineLimits();
  const workerLimit = configuration.workerLimit ?? limits.workers;
  const memoryLimit = configuration.memoryLimit ?? limits.memories;
  const settings: Record<string, string | number | undefined> = {
    ...configuration,
    workerLimit,
    memoryLimit,
    initialWorkers:
      configuration.initialWorkers ??
      Math.min(workerLimit, hasCoroutines ? INITIAL_WORKERS : INITIAL_WORKERS_AND_THREADS),
    initialMemories: Math.min(memoryLimit, INITIAL_MEMORIES),
    processMemory: configuration.processMemory ?? limits.processMemory,
    processors: processors(),
    sockets: configuration.sockets === false ? 0 : 1,
  };
  let text = '';
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    // A line break would start another setting.
    text += `${name}=${String(value).replaceAll('\n', ' ')}\n`;
  }
  return text;
}
