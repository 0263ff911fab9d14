// SPDX-License-Identifier: MIT
// What disposed machines of this page still hold.
//
// dispose() does not wait for an engine that takes its time to end a worker (2 s in Chromium for one that spins), but a
// browser gives a page few memories (Chromium: 124), and a worker's go with it. So a machine that finds none tries again
// whenever one of those is gone, before it says that there is none.

import { isNode, within } from '../machine/platform.ts';

/** Milliseconds for the next one to be gone. WebKit may never release the lock of a worker that it has ended. */
const PATIENCE = 10_000;

/** Milliseconds. A browser says that a worker is gone a moment before it frees its memories. */
const AFTERMATH = 1000;

const leaving = new Set<Promise<unknown>>();

/** `gone` resolves when a machine has given back what it had, as far as the engine says. */
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

/** Waits until one of the machines that are leaving is gone; false if there are none, or none goes. */
export async function oneGone(): Promise<boolean> {
  let gone = false;
  const note = () => void (gone = true);
  if (leaving.size > 0) await within(PATIENCE, Promise.race(leaving).then(note, note));
  return gone;
}
