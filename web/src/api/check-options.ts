// SPDX-License-Identifier: MIT
// Checks options before anything is started. A name that is not known is an
// error, and so is a value that is not allowed.

import {
  isInRange,
  mustBe,
  NUMBER_OPTIONS,
  NUMBER_OPTION_NAMES,
  type NumberOptions,
  type Range,
} from '../machine/options.ts';
import { isNode } from '../machine/platform.ts';
import type { InitialDirectory, InitialEntry, InitialFile, InitialLink } from '../machine/protocol.ts';
import { Link } from '../network/link.ts';
import {
  LAST_GUEST,
  LEAST_GUEST,
  NETWORK_PREFIX,
  type EthernetOptions,
  type FetchNetworkOptions,
  type LinkOptions,
  type LocalOptions,
  type NatOptions,
  type NetworkOptions,
  type WispOptions,
} from '../network/options.ts';
import { parseRule } from '../network/policy.ts';
import { parsePublishedPort, parseRelayPort } from '../network/published-ports.ts';
import { parseSize } from '../storage/size.ts';
import { ROOT_DISK } from './root.ts';
import { isTimeZone } from './time-zone.ts';
import {
  MachineError,
  type BootOptions,
  type DiskOptions,
  type ExecOptions,
  type PlatformOptions,
  type ShareOptions,
} from './types.ts';

/** Returns what is wrong with a value, or undefined if nothing is. */
type Check = (value: unknown) => string | undefined;
/** A check for each name. The compiler reports a name that has none. */
type Checks<Options> = { [Name in keyof Required<Options>]: Check };

function invalid(message: string): MachineError {
  return new MachineError('invalid-option', message);
}

const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));

const whole =
  (range: Range): Check =>
  (value) =>
    isInRange(value, range) ? undefined : mustBe(range, shown(value));

const ofType =
  (type: 'string' | 'boolean' | 'function' | 'object', what: string = `a ${type}`): Check =>
  (value) =>
    typeof value === type && value !== null ? undefined : `must be ${what}, not ${shown(value)}`;

const line: Check = (value) => {
  if (typeof value !== 'string') return `must be a string, not ${shown(value)}`;
  return /[\x00-\x1f\x7f]/.test(value) ? 'may not contain control characters' : undefined;
};

/**
 * True also for the Uint8Array of another frame, for which instanceof is false.
 */
const isBytes = (value: unknown): boolean => Object.prototype.toString.call(value) === '[object Uint8Array]';

const path: Check = (value) =>
  typeof value === 'string' && value.startsWith('/') && !value.includes('\0')
    ? undefined
    : `must be an absolute path, not ${shown(value)}`;
const mode: Check = (value) =>
  isInRange(value, { least: 0, most: 0o7777, unit: '' })
    ? undefined
    : `${shown(value)} is not a set of permission bits`;

const FILE: Checks<InitialFile> = {
  path,
  mode,
  content: (value) =>
    isBytes(value) || typeof value === 'string' ? undefined : `must be a Uint8Array or a string, not ${shown(value)}`,
};

const DIRECTORY: Checks<InitialDirectory> = {
  path,
  mode,
  directory: (value) => (value === true ? undefined : `must be true, not ${shown(value)}`),
};

const LINK: Checks<InitialLink> = { path, link: ofType('string') };

/**
 * Throws unless every name is known and every value is right. An option that is
 * undefined counts as absent.
 */
function checkNames<Options>(what: string, options: unknown, checks: Checks<Options>): void {
  if (typeof options !== 'object' || options === null)
    throw invalid(`${what} must be an object, not ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name))
      throw invalid(`${what} has no ${name}; known are ${Object.keys(checks).join(', ')}`);
    const fault = value === undefined ? undefined : checks[name as keyof Options](value);
    if (fault !== undefined) throw invalid(`${what}: ${name} ${fault}`);
  }
}

const files: Check = (value) => {
  if (!Array.isArray(value)) return `must be an array, not ${shown(value)}`;
  value.forEach((entry: unknown, index) => {
    const what = `files[${index}]`;
    const has = (name: string): boolean => typeof entry === 'object' && entry !== null && name in entry;
    if (has('link')) checkNames(what, entry, LINK);
    else if (has('directory')) checkNames(what, entry, DIRECTORY);
    else {
      checkNames(what, entry, FILE);
      if ((entry as Partial<InitialFile>).content === undefined)
        throw invalid(`${what} needs a content, a link, or directory: true`);
    }
    if ((entry as Partial<InitialEntry>).path === undefined) throw invalid(`${what} needs a path`);
  });
  return undefined;
};

const SECTOR = 512;

/** There are 24 devices at most, with those that are always there. */
const MOST_DISKS = 16;

const diskSize: Check = (value) => {
  const bytes = typeof value === 'string' ? parseSize(value) : value;
  return isInRange(bytes, { least: SECTOR, most: Number.MAX_SAFE_INTEGER, unit: '' }) && bytes % SECTOR === 0
    ? undefined
    : `must be a multiple of ${SECTOR} bytes, or text such as 4G, not ${shown(value)}`;
};

const DISK: Checks<DiskOptions> = {
  name: (value) =>
    typeof value === 'string' && /^[\w-]{1,20}$/.test(value)
      ? undefined
      : `must be 1 to 20 letters, digits, - and _, not ${shown(value)}`,
  size: diskSize,
  file: (value) =>
    typeof value === 'string' && value !== '' && !value.includes('\0')
      ? undefined
      : `must be the path of a file, not ${shown(value)}`,
  memory: (value) =>
    value === true || isBytes(value) ? undefined : `must be true or a Uint8Array, not ${shown(value)}`,
  saved: ofType('boolean'),
  whenInUse: (value) =>
    value === 'fail' || value === 'wait' || value === 'copy'
      ? undefined
      : `must be fail, wait or copy, not ${shown(value)}`,
  readOnly: ofType('boolean'),
  overlay: ofType('boolean'),
  format: (value) => (value === 'ext4' || value === 'raw' ? undefined : `must be ext4 or raw, not ${shown(value)}`),
};

const disks: Check = (value) => {
  if (!Array.isArray(value)) return `must be an array, not ${shown(value)}`;
  if (value.length > MOST_DISKS) return `must have at most ${MOST_DISKS} entries, not ${value.length}`;
  const names = new Set<string>();
  value.forEach((disk: unknown, index) => {
    const what = `disks[${index}]`;
    checkNames(what, disk, DISK);
    const { name, size, file, memory, format, saved = false, ...more } = disk as Partial<DiskOptions>;
    if (name === undefined) throw invalid(`${what} needs a name`);
    if (names.has(name)) throw invalid(`${what}: there is a disk ${name} already`);
    names.add(name);
    if ([saved, file !== undefined, memory !== undefined].filter(Boolean).length !== 1)
      throw invalid(`${what} needs one of saved: true, a file and memory`);
    if (more.whenInUse !== undefined && !saved) throw invalid(`${what}: only a saved disk has whenInUse`);
    if (more.readOnly === true && more.overlay === true) throw invalid(`${what} cannot be both readOnly and overlay`);
    if (memory === true && size === undefined) throw invalid(`${what} needs a size`);
    if (memory !== undefined && memory !== true) {
      checkContent(what, memory, size);
      if (format === 'ext4') throw invalid(`${what}: memory has bytes already, so there can be no format`);
    }
  });
  return undefined;
};

function checkContent(what: string, content: Uint8Array, size: number | string | undefined): void {
  const bytes = typeof size === 'string' ? parseSize(size)! : (size ?? content.length);
  if (content.length > bytes) throw invalid(`${what}: memory has ${content.length} bytes, more than its size`);
  if (bytes % SECTOR !== 0 || bytes === 0)
    throw invalid(`${what}: memory must have a multiple of ${SECTOR} bytes, not ${bytes}, or be given a size`);
}

const address: Check = (value) =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
    ? undefined
    : `must be an address, not ${shown(value)}`;

const SHARE: Checks<ShareOptions> = {
  name: (value) =>
    typeof value === 'string' && /^[\w-]{1,35}$/.test(value)
      ? undefined
      : `must be 1 to 35 letters, digits, - and _, not ${shown(value)}`,
  path: (value) =>
    typeof value === 'string' && /^(\/(?!\.{1,2}(\/|$))[^/\0\n]+)+$/.test(value)
      ? undefined
      : `must be an absolute path without . and .., not ${shown(value)}`,
  folder: (value) =>
    typeof value === 'string' && value !== '' && !value.includes('\0')
      ? undefined
      : `must be the path of a folder, not ${shown(value)}`,
  directory: (value) =>
    Object.prototype.toString.call(value) === '[object FileSystemDirectoryHandle]'
      ? undefined
      : `must be a FileSystemDirectoryHandle, not ${shown(value)}`,
  saved: ofType('boolean'),
  memory: (value) => {
    const bytes = typeof value === 'string' ? parseSize(value) : value;
    return value === true || isInRange(bytes, { least: 4096, most: Number.MAX_SAFE_INTEGER, unit: '' })
      ? undefined
      : `must be true, a number of bytes, or text such as 4G, not ${shown(value)}`;
  },
  readOnly: ofType('boolean'),
};

const shares: Check = (value) => {
  if (!Array.isArray(value)) return `must be an array, not ${shown(value)}`;
  if (value.length > MOST_DISKS) return `must have at most ${MOST_DISKS} entries, not ${value.length}`;
  const names = new Set<string>();
  value.forEach((share: unknown, index) => {
    const what = `shares[${index}]`;
    checkNames(what, share, SHARE);
    const { name, folder, directory, saved = false, memory } = share as Partial<ShareOptions>;
    if (name === undefined) throw invalid(`${what} needs a name`);
    if (names.has(name)) throw invalid(`${what}: there is a share ${name} already`);
    names.add(name);
    if ([saved, folder !== undefined, directory !== undefined, memory !== undefined].filter(Boolean).length !== 1)
      throw invalid(`${what} needs one of a folder, a directory, saved: true and memory`);
  });
  return undefined;
};

/** An array of strings that `parse` takes. */
const each =
  (parse: (text: string) => unknown): Check =>
  (value) => {
    if (!Array.isArray(value) || !value.every((text) => typeof text === 'string'))
      return `must be an array of strings, not ${shown(value)}`;
    try {
      value.forEach(parse);
      return undefined;
    } catch (error) {
      return `is wrong: ${(error as Error).message}`;
    }
  };

const type: Check = () => undefined;

const guestAddress: Check = (value) => {
  const least = NETWORK_PREFIX + LEAST_GUEST;
  const most = NETWORK_PREFIX + LAST_GUEST;
  const number = typeof value === 'string' ? /^10\.0\.2\.([1-9]\d{0,2})$/.exec(value)?.[1] : undefined;
  return isInRange(Number(number), { least: LEAST_GUEST, most: LAST_GUEST, unit: '' })
    ? undefined
    : `must be from ${least} to ${most}, not ${shown(value)}`;
};
const LINK_OPTIONS: Checks<LinkOptions> = {
  link: (value) =>
    value instanceof Link || (typeof value === 'string' && /^channel:[\w.-]{1,64}$/.test(value))
      ? undefined
      : `must be createLink(), or channel: with a name of letters, digits, ., - and _, not ${shown(value)}`,
  address: guestAddress,
  hostname: (value) =>
    typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)
      ? undefined
      : `must have 1 to 63 of a-z, 0-9 and -, not ${shown(value)}`,
};

const NAT: Checks<NatOptions> = {
  ...LINK_OPTIONS,
  type,
  allow: each(parseRule),
  deny: each(parseRule),
  publish: each(parsePublishedPort),
};
const WISP: Checks<WispOptions> = {
  ...LINK_OPTIONS,
  type,
  url: ofType('string'),
  name: ofType('string'),
  password: ofType('string'),
  resolver: ofType('string'),
  dnsOverHttps: ofType('string'),
  publish: each(parseRelayPort),
};

/** In a page, a browser guards fetch(). */
const onlyNode =
  (check: Check): Check =>
  (value) =>
    isNode ? check(value) : 'is only for Node.js';

const FETCH: Checks<FetchNetworkOptions> = {
  ...LINK_OPTIONS,
  type,
  plain: ofType('boolean'),
  intercept: ofType('boolean'),
  allow: onlyNode(each(parseRule)),
  deny: onlyNode(each(parseRule)),
};

const LOCAL: Checks<LocalOptions> = { ...LINK_OPTIONS, type };
const ETHERNET: Checks<EthernetOptions> = {
  type,
  url: (value) =>
    typeof value === 'string' && /^wss?:\/\/./.test(value) && URL.canParse(value)
      ? undefined
      : `must be ws://... or wss://..., not ${shown(value)}`,
};

const network: Check = (value) => {
  const options = value as Partial<NetworkOptions> | null;
  if (options?.type === 'nat') {
    if (!isNode) throw invalid('only Node.js has sockets: network: type cannot be nat here');
    checkNames('network', value, NAT);
  } else if (options?.type === 'wisp') {
    checkNames('network', value, WISP);
    if (options.url === undefined) throw invalid('network: wisp needs the url of a relay');
  } else if (options?.type === 'fetch') {
    checkNames('network', value, FETCH);
  } else if (options?.type === 'local') {
    checkNames('network', value, LOCAL);
  } else if (options?.type === 'ethernet') {
    checkNames('network', value, ETHERNET);
    if (options.url === undefined) throw invalid('network: ethernet needs the url of a relay');
  } else throw invalid(`network: type must be nat, wisp, fetch, local or ethernet, not ${shown(options?.type)}`);
  return undefined;
};

/**
 * Checks what another network is exchanged for.
 *
 * @throws MachineError 'invalid-option'
 */
export function checkNetwork(options: unknown): void {
  network(options);
  const given = options as NetworkOptions;
  if (given.type === 'ethernet') throw invalid('network: a machine has the type ethernet from its start on, or never');
  const name = (['link', 'address', 'hostname'] as const).find((each) => given[each] !== undefined);
  if (name !== undefined) throw invalid(`network: ${name} is for the whole life of a machine`);
}

const NUMBERS = Object.fromEntries(
  NUMBER_OPTION_NAMES.map((name) => [name, whole(NUMBER_OPTIONS[name])]),
) as Checks<NumberOptions>;

const BOOT: Checks<BootOptions & PlatformOptions> = {
  ...NUMBERS,
  kernelArguments: line,
  timeZone: (value) =>
    isTimeZone(value) ? undefined : `must be the name of a time zone, such as Europe/Berlin, not ${shown(value)}`,
  files,
  exec: ofType('boolean'),
  login: ofType('boolean'),
  disks,
  root: address,
  rootCache: (value) => (value === false ? undefined : address(value)),
  shares,
  network,
  sockets: ofType('boolean'),
  onProgress: ofType('function'),
  signal: ofType('object', 'an AbortSignal'),
  assets: ofType('object', 'an object with kernel, initramfs, host and maybe tls'),
  hostWorkerUrl: ofType('string'),
  hostHere: ofType('function'),
  guestWorkerUrl: ofType('string'),
  storageWorkerUrl: ofType('string'),
};

/** @throws MachineError 'invalid-option' */
export function checkBootOptions(options: unknown): void {
  checkNames('the options of a machine', options, BOOT);
  const { exec, login, sockets, root, rootCache, disks: given = [] } = options as BootOptions;
  if (exec !== true && login === false) throw invalid('login: false needs exec: true');
  if (exec === true && sockets === false) throw invalid('exec needs sockets: leave sockets: false out');
  if (rootCache !== undefined && root === undefined) throw invalid('rootCache needs a root');
  if (typeof rootCache === 'string' && !isNode)
    throw invalid('only Node.js has folders: rootCache can only be false here');
  if (root !== undefined && given.some(({ name }) => name === ROOT_DISK))
    throw invalid(`no disk can have the name ${ROOT_DISK} where there is a root`);
}

const EXEC: Checks<ExecOptions> = {
  stdin: (value) =>
    isBytes(value) ||
    typeof value === 'string' ||
    (typeof value === 'object' && value !== null && Symbol.asyncIterator in value)
      ? undefined
      : `must be a Uint8Array, a string or an async iterable, not ${shown(value)}`,
  environment: (value) =>
    typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'string')
      ? undefined
      : 'must be an object of strings',
  directory: ofType('string'),
  onStdout: ofType('function'),
  onStderr: ofType('function'),
  signal: ofType('object', 'an AbortSignal'),
};

/** @throws MachineError 'invalid-option' */
export function checkExec(command: unknown, options: unknown): void {
  if (!Array.isArray(command) || command.length === 0 || !command.every((word) => typeof word === 'string'))
    throw invalid('a command is an array of strings: a program and its arguments');
  checkNames('the options of exec', options, EXEC);
}

const FILE_CALLS = {
  writeFile: { mode },
  mkdir: { recursive: ofType('boolean'), mode },
  rm: { recursive: ofType('boolean'), force: ofType('boolean') },
};

/**
 * The options of a function of `machine.fs`.
 * @throws MachineError 'invalid-option'
 */
export function checkFileOptions(name: keyof typeof FILE_CALLS, options: unknown): void {
  checkNames(`the options of ${name}`, options, FILE_CALLS[name] as Record<string, Check>);
}

/**
 * The bytes of a disk's size.
 * @throws MachineError 'invalid-option'
 */
export function checkDiskSize(size: unknown): number {
  const fault = diskSize(size);
  if (fault !== undefined) throw invalid(`the size of a disk ${fault}`);
  return typeof size === 'string' ? parseSize(size)! : (size as number);
}
