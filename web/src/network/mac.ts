// SPDX-License-Identifier: MIT
// Addresses of Ethernet, in frames.

export const MAC = 6;
/** Where a frame has that of its sender. */
export const SOURCE = 6;

/** The address at a place, as a number. */
export function macAt(bytes: Uint8Array, place: number): number {
  let value = 0;
  for (let index = 0; index < MAC; ++index) value = value * 256 + bytes[place + index]!;
  return value;
}

/** Whether a frame is for more than one machine. */
export const isForGroup = (frame: Uint8Array): boolean => (frame[0]! & 1) !== 0;

/**
 * Locally administered, and "auk", as the translator's address is. That has 6b
 * in the fourth place.
 */
const PREFIX = [0x02, 0x61, 0x75];

/** An address for a card among those of others. */
export function randomMac(): Uint8Array {
  const mac = crypto.getRandomValues(new Uint8Array(MAC));
  mac.set(PREFIX);
  mac[3]! |= 0x80;
  return mac;
}

/**
 * The address of the card that has an address of IPv4 on a link. If another
 * machine gets that, others know it at once: they keep both together.
 */
export function macOf(address: string): Uint8Array {
  return new Uint8Array([...PREFIX, 0x80, 0, Number(address.slice(address.lastIndexOf('.') + 1))]);
}
