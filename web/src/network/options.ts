// SPDX-License-Identifier: MIT
// What the owner of a machine says of its network.

import type { Link } from './link.ts';

/** Other machines, besides what the network reaches. */
export interface LinkOptions {
  /**
   * `createLink()`, the same for all machines of this page or program; or
   * `channel:NAME` for those in all tabs of this origin.
   */
  link?: Link | `channel:${string}`;
  /**
   * The guest's address: 10.0.2.4 to 10.0.2.254. Default: 10.0.2.15, and on a
   * link the first from there on that is free.
   */
  address?: string;
  /** The guest's name, by which the machines of a `Link` find each other. */
  hostname?: string;
}

/** Who may be reached, and at which ports of this computer the guest is. */
export interface NatOptions extends LinkOptions {
  /** Node.js: the guest's connections are those of this program. */
  type: 'nat';
  /**
   * Besides the internet: `HOST[:PORT]`, where HOST is a name, `*.NAME`, an
   * address, `ADDRESS/BITS`, or `host`, which is this computer. Private
   * addresses and this computer are refused without it.
   */
  allow?: readonly string[];
  /** The same, and is stronger. */
  deny?: readonly string[];
  /**
   * `[ADDRESS:]PORT:GUESTPORT`: who connects to PORT of this computer (of
   * 127.0.0.1, if no ADDRESS is given) is connected to GUESTPORT of the guest.
   */
  publish?: readonly string[];
}

/** A relay for the guest's connections. */
export interface WispOptions extends LinkOptions {
  type: 'wisp';
  /** The relay's address: ws://... or wss://..., with a / at its end. */
  url: string;
  /** For relays that want them. */
  name?: string;
  password?: string;
  /**
   * The address of a resolver that the relay is to ask for names. A relay of
   * Auklet's asks its own. Default: 1.1.1.1.
   */
  resolver?: string;
  /**
   * A resolver of DNS over HTTPS, for relays without UDP. Default:
   * https://cloudflare-dns.com/dns-query.
   */
  dnsOverHttps?: string;
  /**
   * `PORT:GUESTPORT`: who connects to PORT of the relay is connected to
   * GUESTPORT of the guest.
   */
  publish?: readonly string[];
}

/** HTTP to port 80, sent as https by fetch(). Pages need no server for it. */
export interface FetchNetworkOptions extends LinkOptions {
  type: 'fetch';
  /** Send it as http, if the page itself came so. */
  plain?: boolean;
  /**
   * Serve port 443, too: the guest's TLS ends in the page, which reads what the
   * guest sends, and has a certificate for each name from an authority of this
   * machine's own. The guest is made to trust it. Default: https is refused.
   */
  intercept?: boolean;
  /** Only in Node.js, where nothing else guards it: as those of `nat`. */
  allow?: readonly string[];
  deny?: readonly string[];
}

/** The owner, and the other machines of a link: nothing else. */
export interface LocalOptions extends LinkOptions {
  type: 'local';
}

/**
 * A network behind a relay of Ethernet, which is a WebSocket whose messages are
 * frames. The guest gets its address there, by DHCP. `machine.network` does not
 * reach the guest.
 */
export interface EthernetOptions {
  type: 'ethernet';
  /** The relay's address: ws://... or wss://... */
  url: string;
}

/** One row for each type in open-network.ts. */
export type NetworkOptions = NatOptions | WispOptions | FetchNetworkOptions | LocalOptions | EthernetOptions;

/**
 * The guests' own addresses without the last number, the first and the last of
 * those, and the bits of their network (host/src/network/settings.hpp).
 */
export const NETWORK_PREFIX = '10.0.2.';
export const FIRST_GUEST = 15;
export const LEAST_GUEST = 4;
export const LAST_GUEST = 254;
export const NETWORK_BITS = 24;
/** Bytes of IP in a frame. */
export const MTU = 1500;
