// SPDX-License-Identifier: MIT
// The network by a relay that speaks Wisp, for pages and for Node.js.

import type { FlowEvents } from './backend.ts';
import { isTruncated } from './dns-message.ts';
import { DnsNames } from './dns-names.ts';
import { dnsOverHttps } from './doh.ts';
import type { OpenNetwork } from './open-network.ts';
import type { WispOptions } from './options.ts';
import { parseRelayPort } from './published-ports.ts';
import { WispClient } from './wisp-client.ts';
import { WispLine, type RelayState } from './wisp-line.ts';
import type { MakeWebSocket } from './wisp-link.ts';
import { askByFlow } from './wisp-questions.ts';
import type { Timers } from './timers.ts';

export interface WispExtras {
  /** Told of each state, with a sentence for people if something is wrong. */
  onState?: (state: RelayState, text: string) => void;
  makeWebSocket?: MakeWebSocket;
  timers?: Timers;
}

/** @throws Error with a message for users. */
export function openWisp(options: WispOptions, events: FlowEvents, extras: WispExtras = {}): OpenNetwork {
  const { url, name, password, resolver = '1.1.1.1', publish = [] } = options;
  const ports = publish.map(parseRelayPort);
  const byHttps = dnsOverHttps(options.dnsOverHttps ?? 'https://cloudflare-dns.com/dns-query');
  const hasCredentials = name !== undefined || password !== undefined;
  const line = new WispLine({
    url,
    credentials: hasCredentials ? { name: name ?? '', password: password ?? '' } : undefined,
    resolver,
    ...extras,
  });
  const byUdp = askByFlow(line, 'datagrams');
  const byTcp = askByFlow(line, 'stream');
  const names = new DnsNames(async (message, isAnswer, signal) => {
    const traits = await line.settled();
    if (traits === undefined) throw new Error('there is no relay');
    if (!traits.datagrams) return byHttps(message, isAnswer, signal);
    const answer = await byUdp(message, isAnswer, signal);
    // One that is too long for a datagram may have come with nothing in it.
    return isTruncated(answer) ? byTcp(message, isAnswer, signal) : answer;
  });
  const flows = new WispClient(line, events, (address) => names.nameOf(address));
  return {
    flows,
    names,
    // A relay does not say. It is told names, and takes what it has.
    reachesIpv6: false,
    ready: Promise.all(ports.map(({ port, guestPort }) => flows.publish(port, guestPort))).then(() => undefined),
    close() {
      names.close();
      flows.close();
    },
  };
}
