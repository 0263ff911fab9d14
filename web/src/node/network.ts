// SPDX-License-Identifier: MIT
// The options --network, --publish, --network-allow and --network-deny.

import type { NetworkOptions } from '../network/options.ts';
import { parseRule } from '../network/policy.ts';
import { parsePublishedPort, parseRelayPort } from '../network/published-ports.ts';
import { UsageError, type CommandLine } from './options.ts';

export const NETWORK_VALUES = ['network'] as const;
export const NETWORK_LISTS = ['publish', 'network-allow', 'network-deny'] as const;

/** The address of a relay: other users can read the command line. */
const RELAY = 'AUKLET_RELAY_URL';

function check(option: string, values: readonly string[], parse: (text: string) => unknown): void {
  for (const value of values)
    try {
      parse(value);
    } catch (error) {
      throw new UsageError(`--${option} ${value}: ${(error as Error).message}`);
    }
}

/** Without `network` there is no network card. */
export function networkOf(line: CommandLine): { network?: NetworkOptions } {
  const kind = line.values.get('network') ?? 'none';
  const [publish, allow, deny] = NETWORK_LISTS.map((name) => line.lists.get(name)!);
  if (kind === 'nat') {
    check('publish', publish!, parsePublishedPort);
    check('network-allow', allow!, parseRule);
    check('network-deny', deny!, parseRule);
    return { network: { type: 'nat', publish: publish!, allow: allow!, deny: deny! } };
  }
  if (kind === 'fetch') {
    check('network-allow', allow!, parseRule);
    check('network-deny', deny!, parseRule);
    if (publish!.length > 0) throw new UsageError('--publish needs --network nat, or a relay');
    return { network: { type: 'fetch', allow: allow!, deny: deny! } };
  }
  if (kind === 'wisp') return { network: wispOf(process.env[RELAY] ?? '', publish!, allow!, deny!) };
  if (kind.startsWith('wisp:')) return { network: wispOf(kind.slice('wisp:'.length), publish!, allow!, deny!) };
  const ethernet = kind.startsWith('ethernet:') ? kind.slice('ethernet:'.length) : undefined;
  if (kind !== 'none' && ethernet === undefined)
    throw new UsageError(`--network ${kind}: write none, nat, fetch, wisp:URL or ethernet:URL`);
  const given = NETWORK_LISTS.find((name) => line.lists.get(name)!.length > 0);
  if (given !== undefined) throw new UsageError(`--${given} needs --network nat`);
  if (ethernet === undefined) return {};
  if (!/^wss?:\/\/./.test(ethernet) || !URL.canParse(ethernet))
    throw new UsageError(`--network ethernet:${ethernet}: write ethernet:ws://... or ethernet:wss://...`);
  return { network: { type: 'ethernet', url: ethernet } };
}

/** What the guest may reach is the relay's to say. */
function wispOf(url: string, publish: string[], allow: string[], deny: string[]): NetworkOptions {
  if (!/^wss?:\/\//.test(url))
    throw new UsageError(`--network wisp:${url}: write wisp:ws://... or wisp:wss://..., or wisp and ${RELAY}`);
  if (allow.length + deny.length > 0)
    throw new UsageError('--network-allow and --network-deny need --network nat; a relay has its own');
  check('publish', publish, parseRelayPort);
  return { type: 'wisp', url, publish };
}
