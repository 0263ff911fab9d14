// SPDX-License-Identifier: MIT
// Writes the configuration as the C++ host reads it
// (host/src/configuration.cpp). Adds the settings that depend on the engine.

import { engineLimits, hasCoroutines, processors } from './platform.ts';
import type { MachineConfiguration } from './protocol.ts';

/**
 * Workers to start with, where kernel threads need none: init, a program that
 * it starts, and one to spare.
 */
export const INITIAL_WORKERS = 3;
/** Workers to start with, those of kernel threads included. */
const INITIAL_WORKERS_AND_THREADS = 24;
/**
 * Memories to start with: for a pipeline, and for what runs in the background.
 * A machine that cannot have these is of no use.
 */
const INITIAL_MEMORIES = 8;

/** Returns the lines that Configuration::parse() reads. */
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
    // A line break would begin another setting.
    text += `${name}=${String(value).replaceAll('\n', ' ')}\n`;
  }
  return text;
}
