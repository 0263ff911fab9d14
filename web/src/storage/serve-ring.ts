// SPDX-License-Identifier: MIT
// How a worker of the owner's waits for requests: on its ring, and for events.

import { afterEvents, losesWakeUps } from '../machine/platform.ts';
import type { Ring } from './ring.ts';

/** Milliseconds that WebKit's worker blocks before events get their turn. */
const BLOCK = 20;

/** Milliseconds after which events get their turn while requests come. */
const LONGEST_TURN = 10;

/**
 * Milliseconds in which the guest's next request usually comes. A thread that
 * blocks wakes in half the time of a promise (docs/decisions/0083-disks.md).
 */
const NEXT_REQUEST = 1;

export interface RingServer {
  /** Begins all requests that are in the ring. */
  doAll: () => void;
  /** Whether a request is not answered yet, whose answer an event brings. */
  isPending: () => boolean;
  isClosed: () => boolean;
}

/** Resolves when the server is closed. */
export async function serveRing(requests: Ring, { doAll, isPending, isClosed }: RingServer): Promise<void> {
  let turn = performance.now();
  while (!isClosed()) {
    doAll();
    // A blocked thread gets no event, and a pending request needs one.
    if (!isPending()) requests.block(losesWakeUps ? BLOCK : NEXT_REQUEST);
    else if (losesWakeUps) requests.block(NEXT_REQUEST);
    if (losesWakeUps || performance.now() - turn > LONGEST_TURN) {
      await new Promise<void>((resolve) => afterEvents(resolve));
      turn = performance.now();
    }
    if (!losesWakeUps) await requests.wait();
  }
}
