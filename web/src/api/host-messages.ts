// SPDX-License-Identifier: MIT
// The host's worker, and the messages to it.

import type { ToHost } from '../machine/protocol.ts';
import { needsRelay, relayWorkers } from './worker-relay.ts';

export function createHostWorker(): Worker {
  // These calls are written out because bundlers recognise only this form.
  if (!needsRelay()) return new Worker(new URL('../machine/host-worker.ts', import.meta.url), { type: 'module' });
  const worker = new Worker(new URL('./relayed-host-worker.ts', import.meta.url), { type: 'module' });
  relayWorkers((message, transfer) => worker.postMessage(message, transfer));
  return worker;
}

const OF_MACHINE: ReadonlySet<string> = new Set(['input', 'resize', 'socket', 'network', 'network-capture']);

/** Whether a message is lost on a host that has no machine yet. */
export function needsMachine({ type }: ToHost): boolean {
  return OF_MACHINE.has(type);
}

/** The bytes in a message. Their buffer is transferred with the message. */
export function sentBytes(message: ToHost): Uint8Array | undefined {
  if (message.type === 'input') return message.bytes;
  return (message.type === 'socket' || message.type === 'network') && message.request.type === 'send'
    ? message.request.bytes
    : undefined;
}
