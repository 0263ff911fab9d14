// SPDX-License-Identifier: MIT
// The network of a page on a static host: what fetch() reaches. In Node.js it
// is for tests, and for guests that are to have nothing but HTTP.

import { isNode } from '../machine/platform.ts';
import { parseAddress } from './address.ts';
import type { FlowEvents } from './backend.ts';
import { FetchBackend } from './fetch-backend.ts';
import { nodeFailureText } from './fetch-request.ts';
import type { Interception } from './interception.ts';
import { NodeFetch } from './node-fetch.ts';
import { NodeNames } from './node-names.ts';
import { ownAddresses } from './node-sockets.ts';
import type { OpenNetwork } from './open-network.ts';
import type { FetchNetworkOptions } from './options.ts';
import { isGateway, parseRules, Policy } from './policy.ts';

/** What the owner's options are for the host. */
export interface FetchHostOptions extends FetchNetworkOptions {
  interception?: Interception | undefined;
}

/** The page's, which its workers have, too. Node.js has none. */
function ownOrigin(): string | undefined {
  const { location } = globalThis as { location?: Location };
  return location !== undefined && /^https?:/.test(location.origin) ? location.origin : undefined;
}

async function intercept(backend: FetchBackend, interception: Interception | undefined): Promise<void> {
  if (interception === undefined) return;
  // Most machines do without.
  const { Interceptor } = await import('./interception.ts');
  backend.intercept(await Interceptor.make(interception));
}

/** @throws Error with a message for users. */
export function openFetch(options: FetchHostOptions, events: FlowEvents): OpenNetwork {
  return isNode ? openNodeFetch(options, events) : openPageFetch(options, events);
}

export function openNodeFetch(
  { plain = false, allow = [], deny = [], interception }: FetchHostOptions,
  events: FlowEvents,
): OpenNetwork {
  const policy = new Policy(parseRules(allow), parseRules(deny), ownAddresses());
  const names = new NodeNames({ policy });
  const guarded = new NodeFetch({ policy, names });
  const backend = new FetchBackend(events, {
    plain,
    fetch: guarded.fetch,
    streams: true,
    // The policy knows more: it is asked for the addresses.
    permits: () => true,
    serves: (address, port) => {
      const parsed = parseAddress(address);
      if (parsed === undefined || !isGateway(parsed) || !policy.allows(address, port)) return undefined;
      return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
    },
    failureText: nodeFailureText,
  });
  return {
    flows: backend,
    names: backend,
    reachesIpv6: false,
    ready: intercept(backend, interception),
    close: () => {
      backend.close();
      names.close();
      guarded.close();
    },
  };
}

export function openPageFetch({ plain = false, interception }: FetchHostOptions, events: FlowEvents): OpenNetwork {
  const origin = ownOrigin();
  const backend = new FetchBackend(events, { plain, ...(origin === undefined ? {} : { origin }) });
  return {
    flows: backend,
    names: backend,
    reachesIpv6: false,
    ready: intercept(backend, interception),
    close: () => backend.close(),
  };
}
