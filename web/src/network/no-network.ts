// SPDX-License-Identifier: MIT
// What a network has that leads nowhere outside.

import type { FlowEvents } from './backend.ts';
import type { OpenNetwork } from './open-network.ts';

export function noNetwork(events: FlowEvents): OpenNetwork {
  const fail = () => Promise.reject(new Error('there is no network'));
  return {
    flows: {
      open: (id) => queueMicrotask(() => events.failed(id, 'unreachable')),
      send: () => 0,
      finish() {},
      consumed() {},
      closed() {},
      close() {},
    },
    names: { resolve: fail, ask: fail },
    reachesIpv6: false,
    ready: Promise.resolve(),
    close() {},
  };
}
