// SPDX-License-Identifier: MIT
// Writes values of ASN.1 in DER (ITU-T X.690), as certificates need them.

type Bytes = Uint8Array<ArrayBuffer>;

function joined(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** A value with a tag of one byte, whose content is that of the parts. */
export function value(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = joined(parts);
  return joined([Uint8Array.of(tag, ...lengthOf(content.length)), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Bytes => value(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Bytes => value(0x31, ...parts);
export const boolean = (isTrue: boolean): Bytes => value(0x01, Uint8Array.of(isTrue ? 0xff : 0));
export const octets = (...parts: readonly Uint8Array[]): Bytes => value(0x04, ...parts);
export const utf8 = (text: string): Bytes => value(0x0c, new TextEncoder().encode(text));

/** A number that is not negative: its bytes, the highest first. */
export function integer(bytes: Uint8Array): Bytes {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  // The highest bit would be a sign.
  return short[0]! < 0x80 ? value(0x02, short) : value(0x02, Uint8Array.of(0), short);
}

/** All bits of the bytes, or without the last `unused` ones. */
export const bits = (bytes: Uint8Array, unused = 0): Bytes => value(0x03, Uint8Array.of(unused), bytes);

/** An object identifier: "1.2.840.10045.2.1". */
export function identifier(text: string): Bytes {
  const [first, second, ...others] = text.split('.').map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second, ...others].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let rest = arc >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80);
    return groups;
  });
  return value(0x06, Uint8Array.from(bytes));
}

/** To the second. RFC 5280, section 4.1.2.5, says which form a year has. */
export function time(date: Date): Bytes {
  const digits = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  const isShort = date.getUTCFullYear() >= 1950 && date.getUTCFullYear() < 2050;
  return value(isShort ? 0x17 : 0x18, new TextEncoder().encode(isShort ? digits.slice(2) : digits));
}
