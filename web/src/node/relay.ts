// SPDX-License-Identifier: MIT
// The command `auklet relay`: a relay for the networks of guests in pages.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ownAddresses } from '../network/node-sockets.ts';
import { parseRules, Policy } from '../network/policy.ts';
import { systemResolver } from '../relay/destination.ts';
import type { RelayLimits } from '../relay/limits.ts';
import type { PortOptions } from '../relay/port.ts';
import { startRelay, type RelayOptions } from '../relay/relay.ts';
import { numberOption, parseCommandLine, UsageError, type CommandLine } from './options.ts';

/** The options that are limits, and what they may be. */
const LIMITS = {
  clients: { limit: 'clients', scale: 1, least: 1, most: 10_000, unit: '' },
  streams: { limit: 'streams', scale: 1, least: 1, most: 10_000, unit: ' for each client' },
  listeners: { limit: 'listeners', scale: 1, least: 1, most: 1000, unit: ' for each client' },
  quota: { limit: 'clientBytes', scale: 2 ** 20, least: 1, most: 1_000_000_000, unit: ' MiB' },
  idle: { limit: 'idleSeconds', scale: 1, least: 60, most: 1_000_000, unit: ' s' },
} as const;

const LIMIT_NAMES = Object.keys(LIMITS) as (keyof typeof LIMITS)[];

/** The variable that has a token, where no file has it. */
const VARIABLE = 'AUKLET_RELAY_TOKEN';
const LEAST_TOKEN = 16;

function limitsOf(line: CommandLine): Partial<RelayLimits> {
  const limits: Partial<RelayLimits> = {};
  for (const name of LIMIT_NAMES) {
    const { limit, scale, ...range } = LIMITS[name];
    const value = numberOption(line, name, range);
    if (value !== undefined) limits[limit] = value * scale;
  }
  return limits;
}

/** Not on the command line, which every user of the computer can read. */
function tokenOf(line: CommandLine): string {
  const file = line.values.get('token-file');
  let token = process.env[VARIABLE];
  if (file !== undefined)
    try {
      token = readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new UsageError(`--token-file ${file}: ${(error as Error).message}`);
    }
  if (token === undefined) return randomBytes(18).toString('base64url');
  const what = file === undefined ? VARIABLE : `--token-file ${file}`;
  if (!/^[A-Za-z0-9_-]*$/.test(token)) throw new UsageError(`${what}: a token has letters, digits, - and _ only`);
  if (token.length < LEAST_TOKEN) throw new UsageError(`${what}: a token has at least ${LEAST_TOKEN} characters`);
  return token;
}

function originsOf(line: CommandLine): Pick<RelayOptions, 'origins'> {
  const origins = line.lists.get('origin')!;
  for (const origin of origins)
    if (origin !== '*' && !/^https?:\/\/[^/\s]+$/.test(origin))
      throw new UsageError(`--origin ${origin}: write https://HOST or https://HOST:PORT, or * for all pages`);
  return origins.length === 0 ? {} : { origins };
}

function portsOf(line: CommandLine, host: string): { ports?: PortOptions } {
  const text = line.values.get('listen');
  if (text === undefined) return {};
  const parts = /^(?:(.+):)?(\d{1,5})-(\d{1,5})$/.exec(text);
  const [least, most] = [Number(parts?.[2]), Number(parts?.[3])];
  const address = (parts?.[1] ?? host).replace(/^\[(.*)\]$/, '$1');
  if (parts === null || isIP(address) === 0 || least < 1 || most > 65_535 || least > most)
    throw new UsageError(`--listen ${text}: write [ADDRESS:]FIRST-LAST, such as 20000-20099`);
  return { ports: { host: address, least, most } };
}

/** What --network-allow and --network-deny of this command say. */
export function policyOf(command: string, line: CommandLine): Policy {
  try {
    const [allow, deny] = ['network-allow', 'network-deny'].map((name) => parseRules(line.lists.get(name)!));
    return new Policy(allow, deny, ownAddresses());
  } catch (error) {
    throw new UsageError(`${command}: ${(error as Error).message}`);
  }
}

export async function relayCommand(words: readonly string[]): Promise<number> {
  const line = parseCommandLine('relay', words, {
    values: ['host', 'port', 'token-file', 'listen', ...LIMIT_NAMES],
    lists: ['origin', 'network-allow', 'network-deny'],
    flags: ['no-udp'],
  });
  if (line.words.length > 0 || line.rest !== undefined)
    throw new UsageError('relay: usage: ./auklet relay [OPTIONS]; ./auklet relay --help lists them');
  const host = line.values.get('host') ?? '127.0.0.1';
  if (isIP(host) === 0) throw new UsageError(`--host must be an address, not ${host === '' ? 'empty' : host}`);
  const port = numberOption(line, 'port', { least: 0, most: 65_535, unit: '' }) ?? 8001;
  const options = {
    token: tokenOf(line),
    filter: policyOf('relay', line),
    host,
    port,
    ...originsOf(line),
    datagrams: !line.flags.has('no-udp'),
    ...portsOf(line, host),
    resolver: systemResolver(),
    limits: limitsOf(line),
  };
  const relay = await startRelay(options).catch((error: unknown) => {
    throw new UsageError(`cannot listen at ${host} port ${port}: ${(error as Error).message}`, 1);
  });
  const shown = isIP(host) === 6 ? `[${host}]` : host;
  // Logs are kept, and a token of the user's own is known to the user.
  const isOwn = line.values.has('token-file') || process.env[VARIABLE] !== undefined;
  console.log(`the relay is at ws://${shown}:${relay.address.port}${isOwn ? '/TOKEN/' : relay.path} (Ctrl-C ends it)`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await relay.close();
  return 0;
}
