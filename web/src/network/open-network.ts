// SPDX-License-Identifier: MIT
// The table of backends.

import type { FlowBackend, FlowEvents, NameBackend } from './backend.ts';
import { openFetch, type FetchHostOptions } from './fetch-network.ts';
import { noNetwork } from './no-network.ts';
import { openNat } from './node-network.ts';
import type { FetchNetworkOptions, NetworkOptions } from './options.ts';
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

/** What the owner's options are for the host. */
export type HostNetworkOptions = Exclude<NetworkOptions, FetchNetworkOptions> | FetchHostOptions;

/**
 * What a network is at the moment. connecting: to the relay. away: the relay is
 * not there, and is tried again. refused: it is not, or the options are wrong.
 * off: there is nothing outside.
 */
export type NetworkState = 'connecting' | 'connected' | 'away' | 'refused' | 'off';

/** `text` is for people: what is wrong, or nothing. */
export type NetworkReport = (state: NetworkState, text: string) => void;

type Open<Options> = (options: Options, events: FlowEvents, report: NetworkReport) => OpenNetwork;

/** One that needs nobody is there at once. */
const atOnce =
  <Options>(open: (options: Options, events: FlowEvents) => OpenNetwork): Open<Options> =>
  (options, events, report) => {
    const network = open(options, events);
    report('connected', '');
    return network;
  };

const BACKENDS: { [Type in NetworkOptions['type']]: Open<Extract<HostNetworkOptions, { type: Type }>> } = {
  nat: atOnce(openNat),
  wisp: (options, events, report) =>
    openWisp(options, events, {
      onState: (state, text) => {
        if (state !== 'closed') report(state === 'waiting' ? 'away' : state, text);
      },
    }),
  fetch: (options, events, report) => {
    const network = openFetch(options, events);
    // Port 443 is served from then on. Who waits for `ready` tells of errors.
    network.ready.then(
      () => report('connected', ''),
      () => {},
    );
    return network;
  },
  // The link of the machine is all there is.
  ethernet: atOnce((_options, events) => noNetwork(events)),
  local: (_options, events, report) => {
    report('off', '');
    return noNetwork(events);
  },
};

/** @throws Error with a message for users. */
export function openNetwork(options: HostNetworkOptions, events: FlowEvents, report: NetworkReport): OpenNetwork {
  const open = BACKENDS[options.type] as Open<HostNetworkOptions>;
  return open(options, events, report);
}
