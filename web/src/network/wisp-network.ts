// SPDX-License-Identifier: MIT
// The network by a relay that speaks Wisp, for pages and for Node.js.

import type { FlowEvents } from './backend.ts';
import { DnsNames, type Exchange } from './dns-names.ts';
import { dnsOverHttps } from './doh.ts';
import type { OpenNetwork } from './open-network.ts';
import type { WispOptions } from './options.ts';
import { parseRelayPort } from './published-ports.ts';
import { WispClient } from './wisp-client.ts';
import { WispFlow } from './wisp-flow.ts';
import { WispLine, type RelayState } from './wisp-line.ts';
import type { MakeWebSocket } from './wisp-link.ts';
import type { Timers } from './timers.ts';

export interface WispExtras {
  /** Told of each state, with a sentence for people if something is wrong. */
  onState?: (state: RelayState, text: string) => void;
  makeWebSocket?: MakeWebSocket;
  timers?: Timers;
}

/** In ms: a question by UDP is asked again after so long. */
const ASK_AGAIN = 2000;
const RESOLVER = '10.0.2.3';
const DNS_PORT = 53;

/**
 * Asks the relay's resolver by streams of UDP, one for each question, so that
 * the relay's ports cannot be guessed.
 */
function byDatagrams(line: WispLine): Exchange {
  return (message, isAnswer, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      let timer: unknown;
      const end = (act: () => void) => {
        line.timers.clear(timer);
        signal.removeEventListener('abort', stop);
        flow.closed(false);
        act();
      };
      const stop = () => end(() => reject(signal.reason as Error));
      const fail = () => end(() => reject(new Error('the relay does not reach the resolver')));
      const flow = new WispFlow('datagrams', {
        opened: () => {},
        failed: fail,
        data: (bytes) => {
          // What is no answer is somebody's who would like it to be one.
          if (isAnswer(bytes)) end(() => resolve(bytes));
          return bytes.length;
        },
        writable: () => {},
        finished: () => {},
        aborted: fail,
      });
      const ask = () => {
        flow.send(message);
        timer = line.timers.set(ask, ASK_AGAIN);
      };
      signal.addEventListener('abort', stop);
      ask();
      line.start(flow, RESOLVER, DNS_PORT);
    });
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
  const byUdp = byDatagrams(line);
  const names = new DnsNames(async (message, isAnswer, signal) => {
    const traits = await line.settled();
    if (traits === undefined) throw new Error('there is no relay');
    return (traits.datagrams ? byUdp : byHttps)(message, isAnswer, signal);
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
