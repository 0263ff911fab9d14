// SPDX-License-Identifier: MIT
// Where a client may connect to. The filter sees the addresses of a name, and
// the relay connects to those that it has seen: a name that changes meanwhile
// changes nothing.

import { getServers, lookup as systemLookup } from 'node:dns';
import { isIP, isIPv6 } from 'node:net';
import { formatAddress, parseAddress, type Address as Literal } from '../network/address.ts';
import { isGateway, isResolver } from '../network/policy.ts';
import { REASON } from '../network/wisp-packets.ts';

export interface AddressFilter {
  /** Whether a client may reach a literal address, which `name` led to. */
  allows(address: string, port: number, name?: string): boolean;
}

export interface Address {
  address: string;
  family: 4 | 6;
}

export interface Resolver {
  address: string;
  port: number;
}

/** All addresses of a name. As dns.lookup() with {all: true}. */
export type Lookup = (
  name: string,
  options: { all: true; verbatim: true },
  done: (error: NodeJS.ErrnoException | null, addresses: { address: string; family: number }[]) => void,
) => void;

/** There is no way to a destination. `reason` is one of CLOSE's. */
export class NoWay extends Error {
  readonly reason: number;

  constructor(reason: number) {
    super(`reason ${reason}`);
    this.reason = reason;
  }
}

/** The gateway's addresses in the guest stand for this computer. */
const HERE = { 4: '127.0.0.1', 6: '::1' } as const;
const DNS_PORT = 53;

/** The first server of names that this computer uses. */
export function systemResolver(): Resolver | undefined {
  const [first] = getServers();
  if (first === undefined) return undefined;
  if (isIP(first) !== 0) return { address: first, port: DNS_PORT };
  // With a port: 127.0.0.1:5353 or [::1]:5353.
  const parts = /^\[?([^\]]+)\]?:(\d+)$/.exec(first);
  return parts === null ? undefined : { address: parts[1]!, port: Number(parts[2]) };
}

const wayTo = ({ version, value }: Literal): Address => ({
  address: formatAddress({ version, value }),
  family: version,
});

export interface Way {
  addresses: Address[];
  port: number;
}

/** Finds ways to destinations. */
export class Destinations {
  private readonly filter: AddressFilter;
  private readonly lookup: Lookup;
  readonly resolver: Resolver | undefined;

  constructor(filter: AddressFilter, resolver: Resolver | undefined, lookup: Lookup = systemLookup) {
    this.filter = filter;
    this.resolver = resolver;
    this.lookup = lookup;
  }

  /** @throws NoWay */
  async find(host: string, port: number): Promise<Way> {
    const literal = parseAddress(host);
    if (literal !== undefined) return this.findLiteral(literal, port);
    // What only looks like an address is one for some resolvers.
    if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(host) || host.length > 253) throw new NoWay(REASON.invalid);
    const found = await new Promise<{ address: string }[]>((resolve, reject) => {
      this.lookup(host, { all: true, verbatim: true }, (error, addresses) => {
        if (error === null) resolve(addresses);
        else reject(new NoWay(REASON.unreachable));
      });
    });
    const literals = found.map(({ address }) => parseAddress(address)).filter((each) => each !== undefined);
    if (literals.length === 0) throw new NoWay(REASON.unreachable);
    // A name does not lead to the computer of the relay itself.
    const addresses = literals.filter((each) => !isGateway(each)).map(wayTo);
    const allowed = addresses.filter(({ address }) => this.filter.allows(address, port, host));
    if (allowed.length === 0) throw new NoWay(REASON.blocked);
    return { addresses: allowed, port };
  }

  private findLiteral(literal: Literal, port: number): Way {
    if (isResolver(literal) && port === DNS_PORT && this.resolver !== undefined) {
      const { resolver } = this;
      return {
        addresses: [{ address: resolver.address, family: isIPv6(resolver.address) ? 6 : 4 }],
        port: resolver.port,
      };
    }
    const way = wayTo(literal);
    if (!this.filter.allows(way.address, port)) throw new NoWay(REASON.blocked);
    if (isGateway(literal)) way.address = HERE[way.family];
    return { addresses: [way], port };
  }
}
