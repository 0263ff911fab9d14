// SPDX-License-Identifier: MIT
// The table of backends.

import type { FlowBackend, FlowEvents, NameBackend } from './backend.ts';
import { openFetch } from './fetch-network.ts';
import { openNat } from './node-network.ts';
import type { NetworkOptions } from './options.ts';
import { openWisp } from './wisp-network.ts';

export interface OpenNetwork {
  flows: FlowBackend;
  names: NameBackend;
  /** Whether addresses of IPv6 outside can be reached. */
  reachesIpv6: boolean;
  /** Rejects with an Error, whose message is for users. */
  ready: Promise<void>;
  close(): void;
}

type Open<Options> = (options: Options, events: FlowEvents) => OpenNetwork;

const BACKENDS: { [Type in NetworkOptions['type']]: Open<Extract<NetworkOptions, { type: Type }>> } = {
  nat: openNat,
  wisp: openWisp,
  fetch: openFetch,
};

/** @throws Error with a message for users. */
export function openNetwork(options: NetworkOptions, events: FlowEvents): OpenNetwork {
  const open = BACKENDS[options.type] as Open<NetworkOptions>;
  return open(options, events);
}
