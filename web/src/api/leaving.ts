// SPDX-License-Identifier: MIT
// Machines of this page that were disposed of and still hold memories.
//
// dispose() does not wait for an engine that takes its time to end a worker
// (Chromium: 2 s for a worker that spins). But the memories of a worker stay
// until it has ended, and a browser gives a page few (Chromium: 124). So a
// machine that finds no memory does not fail at once. It tries again whenever
// one of these machines is gone.

import { isNode, within } from '../machine/platform.ts';

/**
 * Milliseconds to wait for the next machine to be gone. WebKit may never
 * release the lock of a worker that it has ended.
 */
const PATIENCE = 10_000;

/**
 * Milliseconds. A browser frees the memories of a worker a moment after it has
 * reported the worker's end.
 */
const AFTERMATH = 1000;

const leaving = new Set<Promise<unknown>>();

/**
 * Notes a machine that is leaving. `gone` resolves when the machine has given
 * back all that it had, as far as the engine reports that.
 */
export function leave(gone: Promise<unknown>): void {
  add(gone);
  if (isNode) return;
  const wait = () => new Promise((resolve) => setTimeout(resolve, AFTERMATH));
  add(gone.then(wait, wait));
}

function add(gone: Promise<unknown>): void {
  const forget = () => void leaving.delete(gone);
  leaving.add(gone);
  gone.then(forget, forget);
}

/**
 * Waits until one of the machines that are leaving is gone. Returns false if
 * there is none, or if none goes within PATIENCE.
 */
export async function oneGone(): Promise<boolean> {
  let gone = false;
  const note = () => void (gone = true);
  if (leaving.size > 0) await within(PATIENCE, Promise.race(leaving).then(note, note));
  return gone;
}
