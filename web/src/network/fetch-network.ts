// SPDX-License-Identifier: MIT
// The network of a page on a static host: what fetch() reaches.

import type { FlowEvents } from './backend.ts';
import { FetchBackend } from './fetch-backend.ts';
import type { OpenNetwork } from './open-network.ts';
import type { FetchNetworkOptions } from './options.ts';

/** The page's, which its workers have, too. Node.js has none. */
function ownOrigin(): string | undefined {
  const { location } = globalThis as { location?: Location };
  return location !== undefined && /^https?:/.test(location.origin) ? location.origin : undefined;
}

export function openFetch({ plain = false }: FetchNetworkOptions, events: FlowEvents): OpenNetwork {
  const origin = ownOrigin();
  const backend = new FetchBackend(events, { plain, ...(origin === undefined ? {} : { origin }) });
  return {
    flows: backend,
    names: backend,
    reachesIpv6: false,
    ready: Promise.resolve(),
    close: () => backend.close(),
  };
}
