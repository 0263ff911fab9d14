// SPDX-License-Identifier: MIT
// Questions for addresses as messages of DNS (RFC 1035, RFC 3596), and their
// answers.

import { addressOfBytes, bytesOfAddress, formatAddress } from './address.ts';
import type { Addresses } from './backend.ts';

const HEADER = 12;
const RECURSION = 0x01;
const CODE = 0x0f;
const NO_SUCH_NAME = 3;
const TYPE = { 4: 1, 6: 28 } as const;
const INTERNET = 1;
const LENGTH = { 4: 4, 6: 16 } as const;
const MOST_ADDRESSES = 32;
const LONGEST_NAME = 253;
/** In s. One who answers with more is not believed. */
const MOST_SECONDS = 86_400;

/** The message that asks for the addresses of a name. Its number is 0. */
export function addressQuestion(name: string, version: 4 | 6): Uint8Array {
  const labels = name.split('.');
  if (name.length > LONGEST_NAME || !labels.every((label) => /^[!-~]{1,63}$/.test(label)))
    throw new Error(`${JSON.stringify(name)} is no name`);
  const bytes = [0, 0, RECURSION, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  for (const label of labels) bytes.push(label.length, ...Array.from(label, (letter) => letter.charCodeAt(0)));
  return Uint8Array.from([...bytes, 0, 0, TYPE[version], 0, INTERNET]);
}

/** Reads one record after the other. */
class Reader {
  private at = HEADER;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(count: number): Uint8Array {
    const taken = this.bytes.subarray(this.at, this.at + count);
    if (taken.length < count) throw new Error('an answer of DNS that is cut off');
    this.at += count;
    return taken;
  }

  number(bytes: number): number {
    return this.take(bytes).reduce((value, byte) => value * 256 + byte, 0);
  }

  /** A name ends with an empty label, or with a pointer to another name. */
  skipName(): void {
    for (;;) {
      const length = this.number(1);
      if (length === 0) return;
      if (length >= 0xc0) {
        this.take(1);
        return;
      }
      if (length > 63) throw new Error('an answer of DNS with a label that is none');
      this.take(length);
    }
  }
}

/**
 * The addresses in an answer. Undefined: nobody has the name.
 *
 * @throws Error if it is a failure, or no answer.
 */
export function addressesIn(answer: Uint8Array, version: 4 | 6): Addresses | undefined {
  if (answer.length < HEADER) throw new Error('an answer of DNS that is cut off');
  const code = answer[3]! & CODE;
  if (code === NO_SUCH_NAME) return undefined;
  if (code !== 0) throw new Error(`the resolver answers with the code ${code}`);
  const questions = (answer[4]! << 8) | answer[5]!;
  const records = (answer[6]! << 8) | answer[7]!;
  const reader = new Reader(answer);
  for (let count = 0; count < questions; ++count) {
    reader.skipName();
    reader.take(4);
  }
  const addresses: string[] = [];
  let seconds = MOST_SECONDS;
  for (let count = 0; count < records; ++count) {
    reader.skipName();
    const type = reader.number(2);
    const of = reader.number(2);
    const good = reader.number(4);
    const data = reader.take(reader.number(2));
    // Aliases count, too: the address is good for as long as all of them.
    if (of === INTERNET) seconds = Math.min(seconds, good);
    if (of !== INTERNET || type !== TYPE[version] || data.length !== LENGTH[version]) continue;
    if (addresses.length < MOST_ADDRESSES) addresses.push(literalOf(data));
  }
  return { addresses, seconds };
}

function literalOf(data: Uint8Array): string {
  if (data.length === 16) return formatAddress(addressOfBytes(data));
  const bytes = bytesOfAddress({ version: 4, value: 0n });
  bytes.set(data, 12);
  return formatAddress(addressOfBytes(bytes));
}
