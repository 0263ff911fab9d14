// SPDX-License-Identifier: MIT
// The network of Node.js: its sockets, and the names that its system knows.

import { isNode } from '../machine/platform.ts';
import type { FlowEvents } from './backend.ts';
import { NodeNames } from './node-names.ts';
import { hasIpv6, NodeFlows, ownAddresses } from './node-sockets.ts';
import type { OpenNetwork } from './open-network.ts';
import type { NatOptions } from './options.ts';
import { parseRules, Policy } from './policy.ts';
import { parsePublishedPort, PublishedPorts } from './published-ports.ts';

/** @throws Error with a message for users. */
export function openNat({ allow = [], deny = [], publish = [] }: NatOptions, events: FlowEvents): OpenNetwork {
  if (!isNode) throw new Error('only Node.js has sockets');
  const policy = new Policy(parseRules(allow), parseRules(deny), ownAddresses());
  const published = publish.map(parsePublishedPort);
  const names = new NodeNames({ policy });
  const namesOf = (address: string): readonly string[] => names.namesOf(address);
  const flows = new NodeFlows(events, { policy, namesOf, ask: (message) => names.ask(message) });
  const ports = new PublishedPorts();
  return {
    flows,
    names,
    reachesIpv6: hasIpv6(),
    ready: ports.listen(published, (socket, port) => flows.accept(socket, port)).then(() => undefined),
    close() {
      ports.close();
      names.close();
      flows.close();
    },
  };
}
