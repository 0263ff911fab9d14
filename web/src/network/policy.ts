// SPDX-License-Identifier: MIT
// Whom a guest may reach: the internet, but nothing of the networks that this
// computer is in, and nothing on the computer itself. The computer's user can
// change this by rules.

import { bitsOf, contains, isSame, parseAddress, parseNetwork, type Address, type Network } from './address.ts';

/** These addresses stand for this computer in a guest's network. */
export const GATEWAYS = ['10.0.2.2', 'fd00::2'] as const;
/** These are where a guest asks for names. */
export const RESOLVERS = ['10.0.2.3', 'fd00::3'] as const;

const among = (literals: readonly string[]): ((address: Address) => boolean) => {
  const addresses = literals.map((literal) => parseAddress(literal)!);
  return (address) => addresses.some((one) => isSame(one, address));
};
export const isGateway = among(GATEWAYS);
export const isResolver = among(RESOLVERS);

/**
 * A guest reaches this computer by its gateway's address only, so that there is
 * one rule for it. Linux takes 0.0.0.0 and :: for the computer itself, too.
 */
const LOOPBACK = ['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128'].map(parseNetwork);

/** What no rule has allowed. */
const BLOCKED = [
  '10.0.0.0/8', // private (RFC 1918)
  '100.64.0.0/10', // of providers (RFC 6598)
  '169.254.0.0/16', // link-local, and where clouds answer with credentials
  '172.16.0.0/12', // private
  '192.0.0.0/24', // of protocols (RFC 6890)
  '192.168.0.0/16', // private
  '198.18.0.0/15', // of benchmarks (RFC 2544)
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  // The internet's IPv6 is 2000::/3. Elsewhere are private addresses, those of
  // one link, multicast, and many ways to write an address of IPv4: compatible,
  // translated (RFC 2765), NAT64.
  '::/3',
  '4000::/2',
  '8000::/1',
  '2001::/32', // Teredo: has an address of IPv4
  '2002::/16', // 6to4: the same
].map(parseNetwork);

/** One rule. Without a port it is for all ports. */
export type Rule = { port?: number } & (
  | { kind: 'host' }
  | { kind: 'network'; network: Network }
  /** `below`: for all names that end in a dot and this one. */
  | { kind: 'name'; name: string; below: boolean }
);

function parsePort(rule: string, text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > 65_535)
    throw new Error(`${JSON.stringify(rule)} needs a port from 1 to 65535 after the colon`);
  return Number(text);
}

/** What stands in front of a port, and the port's digits. */
function split(rule: string): [string, string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(rule);
  if (bracketed !== null) {
    if (!bracketed[1]!.includes(':'))
      throw new Error(`${JSON.stringify(rule)} has brackets around what is no IPv6 address`);
    return [bracketed[1]!, bracketed[2]];
  }
  // An IPv6 address without brackets has no port.
  const parts = /^([^:]*|[^/]*\/[^:]*):([^:]*)$/.exec(rule);
  return parts === null ? [rule, undefined] : [parts[1]!, parts[2]];
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

function parseName(rule: string, text: string): Rule {
  const name = text.toLowerCase();
  if (name === 'host') return { kind: 'host' };
  if (name === 'localhost') throw new Error(`${JSON.stringify(rule)}: a guest reaches this computer as "host"`);
  const below = name.startsWith('*.');
  const labels = name.slice(below ? 2 : 0).split('.');
  if (name.length > 253 || !labels.every((label) => LABEL.test(label)))
    throw new Error(`${JSON.stringify(rule)} is no name, address, network such as 10.0.0.0/8, or "host"`);
  // 127.1 and 0x7f.1 are addresses for some programs.
  if (/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1)!))
    throw new Error(`${JSON.stringify(rule)} is no address: four numbers from 0 to 255, or IPv6`);
  return { kind: 'name', name: labels.join('.'), below };
}

function parseHost(rule: string, host: string): Rule {
  if (host.includes('/')) return { kind: 'network', network: parseNetwork(host) };
  const address = parseAddress(host);
  if (address === undefined) {
    if (!host.includes(':')) return parseName(rule, host);
    throw new Error(`${JSON.stringify(rule)} is no IPv6 address${host.includes('%') ? ' without a zone' : ''}`);
  }
  if (isGateway(address))
    throw new Error(`${JSON.stringify(rule)} is the gateway, which is this computer; write "host"`);
  return { kind: 'network', network: { address, length: bitsOf(address) } };
}

/**
 * A rule of --network-allow or --network-deny: HOST[:PORT]. HOST is an address,
 * a network such as 10.0.0.0/8, a name, `*.` and a name, or `host`, which is
 * this computer. IPv6 with a port has brackets.
 *
 * @throws Error with a message for users
 */
export function parseRule(text: string): Rule {
  const [host, digits] = split(text);
  const rule = parseHost(text, host);
  if (digits !== undefined) rule.port = parsePort(text, digits);
  return rule;
}

/** @throws Error with a message for users */
export const parseRules = (texts: readonly string[]): Rule[] => texts.map(parseRule);

export class Policy {
  private readonly allowed: readonly Rule[];
  private readonly denied: readonly Rule[];
  private readonly own: () => readonly string[];

  /**
   * `own`: the addresses of this computer's cards, which are private to it even
   * where the internet has them. With ADDRESS/BITS it is all of the network, as
   * neighbours may have addresses of the internet, too.
   */
  constructor(allowed: readonly Rule[] = [], denied: readonly Rule[] = [], own: () => readonly string[] = () => []) {
    this.allowed = allowed;
    this.denied = denied;
    this.own = own;
  }

  /**
   * Whether a guest may reach a port of an address. This must be the literal
   * that is connected to, and not one of those that a name had at another time.
   * `names`: those that were answered with it. What is denied stays so, even if
   * it is allowed, too.
   */
  allows(address: string, port: number, ...names: readonly string[]): boolean {
    const parsed = parseAddress(address);
    if (parsed === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return false;
    const known = names.map(plainName);
    const matches = (rule: Rule): boolean => (rule.port ?? port) === port && isFor(rule, parsed, known);
    if (this.denied.some(matches)) return false;
    if (LOOPBACK.some((network) => contains(network, parsed))) return false;
    if (this.allowed.some(matches)) return true;
    if (BLOCKED.some((network) => contains(network, parsed))) return false;
    return !this.own().some((card) => {
      const [literal = '', bits] = card.split('/');
      const address = parseAddress(literal);
      return address !== undefined && contains({ address, length: Number(bits ?? bitsOf(address)) }, parsed);
    });
  }

  /**
   * Whether a name may be answered. One that is denied at all ports is not: its
   * addresses could not be told from those of other names.
   */
  answers(name: string): boolean {
    return !this.denied.some((rule) => rule.port === undefined && isNamed(rule, plainName(name)));
  }
}

/** Case does not count in names (RFC 4343). */
const plainName = (name: string): string => name.toLowerCase().replace(/\.$/, '');

function isFor(rule: Rule, address: Address, names: readonly string[]): boolean {
  // A network of the user's may have the gateway's address, and somebody's name
  // may be answered with it: neither is this computer.
  if (isGateway(address)) return rule.kind === 'host';
  if (rule.kind === 'network') return contains(rule.network, address);
  return names.some((name) => isNamed(rule, name));
}

function isNamed(rule: Rule, name: string): boolean {
  if (rule.kind !== 'name') return false;
  return rule.below ? name.endsWith(`.${rule.name}`) : name === rule.name;
}
