// SPDX-License-Identifier: MIT
// Waits for workers that were ended, by their Web Locks.

import { lifeLockFree } from '../machine/platform.ts';
import type { Gate } from '../machine/protocol.ts';

/** Resolves when the workers that hold these locks are gone. */
export function locksFree(names: string[]): Promise<unknown> {
  return Promise.all(names.map(lifeLockFree));
}

/**
 * Lets guest workers go on when their host worker, which was ended, is gone.
 *
 * The host took its lock last. Chromium destroys what belongs to a worker in
 * the order in which it was made. So when the lock is free, the host has what
 * it needs to hear of its workers' ends.
 */
export async function openGate({ word, lifeLock }: Gate): Promise<void> {
  await lifeLockFree(lifeLock);
  const gate = new Int32Array(word);
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
}
