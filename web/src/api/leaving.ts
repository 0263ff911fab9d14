// SPDX-License-Identifier: MIT
// What disposed machines of this page still hold.
//
// dispose() does not wait for an engine that takes its time to end a worker (2 s in Chromium for one that spins), but a
// browser gives a page few memories (Chromium: 124), and a worker's go with it. So a machine that finds none waits for
// those that are leaving before it says that there is none.

import { within } from '../machine/platform.ts';

/** Milliseconds. WebKit may never release the lock of a worker that it has ended. */
const PATIENCE = 5000;

const leaving = new Set<Promise<unknown>>();

/** `gone` resolves when a machine has given back what it had. */
export function leave(gone: Promise<unknown>): void {
  const forget = () => void leaving.delete(gone);
  leaving.add(gone);
  gone.then(forget, forget);
}

/** Waits for the machines that are leaving; false if there are none. */
export async function othersGone(): Promise<boolean> {
  if (leaving.size === 0) return false;
  await within(PATIENCE, Promise.allSettled(leaving));
  return true;
}
