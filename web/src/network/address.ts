// SPDX-License-Identifier: MIT
// Literal addresses of IP. The parser is strict: what it takes, every other
// parser reads in the same way. (`127.1` and `0177.0.0.1` are addresses for
// some, and names for others.)

export interface Address {
  /** An IPv4 address that is written as IPv6, ::ffff:a.b.c.d, has 4. */
  version: 4 | 6;
  /** 32 or 128 bits. */
  value: bigint;
}

/** The addresses that have the first `length` bits of an address. */
export interface Network {
  address: Address;
  length: number;
}

const MAPPED = 0xffffn;

/** The bits of four decimal numbers, or undefined. */
function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    // With a zero in front it is octal for some.
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** The 16-bit groups of a part without `::`, or undefined. */
function parseGroups(text: string, last: boolean): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes('.')) {
      const value = parseIpv4(part);
      if (value === undefined) return undefined;
      groups.push(value >> 16n, value & 0xffffn);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

/** RFC 4291, 2.2, without zones: a zone is the name of a card of a computer. */
function parseIpv6(text: string): bigint | undefined {
  // The longest has 45 characters.
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const front = parseGroups(halves[0]!, halves.length === 1);
  const back = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (front === undefined || back === undefined) return undefined;
  const zeros = 8 - front.length - back.length;
  // The two colons stand for one group at least.
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  return [...front, ...Array<bigint>(zeros).fill(0n), ...back].reduce((value, group) => (value << 16n) | group, 0n);
}

/** The address of a literal without brackets, or undefined. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(':')) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { version: 4, value };
  }
  const value = parseIpv6(text);
  if (value === undefined) return undefined;
  return value >> 32n === MAPPED ? { version: 4, value: value & 0xffffffffn } : { version: 6, value };
}

/** 16 bytes, those of an IPv4 address as ::ffff:a.b.c.d. */
export function bytesOfAddress({ version, value }: Address): Uint8Array {
  const bytes = new Uint8Array(16);
  let rest = version === 4 ? (MAPPED << 32n) | value : value;
  for (let index = 15; index >= 0; --index, rest >>= 8n) bytes[index] = Number(rest & 0xffn);
  return bytes;
}

/** The address of 16 such bytes. */
export function addressOfBytes(bytes: Uint8Array): Address {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return value >> 32n === MAPPED ? { version: 4, value: value & 0xffffffffn } : { version: 6, value };
}

/** The literal of an address, always written in the same way. */
export function formatAddress({ version, value }: Address): string {
  const [count, bits, radix, separator] = version === 4 ? [4, 8n, 10, '.'] : [8, 16n, 16, ':'];
  const mask = (1n << bits) - 1n;
  return Array.from({ length: count }, (_, index) =>
    ((value >> (BigInt(count - 1 - index) * bits)) & mask).toString(radix),
  )
    .join(separator)
    .replace(/(^|:)0(:0)+(:|$)/, '::');
}

export const bitsOf = (address: Address): number => (address.version === 4 ? 32 : 128);

export function isSame(left: Address, right: Address): boolean {
  return left.version === right.version && left.value === right.value;
}

export function contains({ address, length }: Network, other: Address): boolean {
  const rest = BigInt(bitsOf(address) - length);
  return address.version === other.version && address.value >> rest === other.value >> rest;
}

/**
 * A network in the notation of CIDR (RFC 4632): `10.0.0.0/8`, `fd00::/8`.
 *
 * @throws Error with a message for users
 */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf('/');
  const literal = text.slice(0, slash);
  const digits = text.slice(slash + 1);
  let address = parseAddress(literal);
  if (slash === -1 || address === undefined)
    throw new Error(`${JSON.stringify(text)} is no network such as 10.0.0.0/8`);
  // One with fewer bits than the prefix of mapped addresses is a network of
  // IPv6, in which no packet's address is mapped.
  const isMapped = address.version === 4 && literal.includes(':');
  const written = isMapped ? 128 : bitsOf(address);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > written)
    throw new Error(`${JSON.stringify(text)} needs a number of bits from 0 to ${written} after the slash`);
  let length = Number(digits);
  if (isMapped && length >= 96) length -= 96;
  else if (isMapped) address = { version: 6, value: (MAPPED << 32n) | address.value };
  const rest = BigInt(bitsOf(address) - length);
  const value = (address.value >> rest) << rest;
  if (value !== address.value)
    throw new Error(
      `${JSON.stringify(text)} has bits after the first ${digits}; write ${formatAddress({ ...address, value })}/${length}`,
    );
  return { address, length };
}
