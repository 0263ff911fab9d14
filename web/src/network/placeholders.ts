// SPDX-License-Identifier: MIT
// Names without a resolver: each gets an address that nobody has, so that the
// name is known again when the guest connects to it.

import { contains, formatAddress, parseAddress, parseNetwork } from './address.ts';
import type { Addresses, NameBackend } from './backend.ts';
import { noSuchRecord, parseQuestion } from './dns-message.ts';

/** Names that are known at a time, more than there may be connections. */
const MOST_NAMES = 4096;
/**
 * These are for tests of devices (RFC 2544): nobody on the internet has such an
 * address. The first and the last stay unused.
 */
const PLACEHOLDERS = parseNetwork('198.18.0.0/15');
const COUNT = 2 ** 17 - 2;
/** A guest that keeps an answer for longer may find it gone. */
const SECONDS = 30;

interface Entry {
  name: string;
  address: string;
  /** Connections to it. */
  uses: number;
}

export class Placeholders implements NameBackend {
  private readonly isKnown: (name: string) => boolean;
  /** The one that was asked for longest ago is the first. */
  private readonly entries = new Map<string, Entry>();
  private readonly byAddress = new Map<string, Entry>();
  private next = 0;

  /** `isKnown`: of a name in lower case, whether it has an address. */
  constructor(isKnown: (name: string) => boolean) {
    this.isKnown = isKnown;
  }

  async resolve(name: string, ipv6: boolean): Promise<Addresses | undefined> {
    const lower = name.toLowerCase();
    if (!isHostName(lower) || !this.isKnown(lower)) return undefined;
    return { addresses: ipv6 ? [] : [this.entry(lower).address], seconds: SECONDS };
  }

  /** Nothing else is known of any name. */
  async ask(message: Uint8Array): Promise<Uint8Array> {
    return noSuchRecord(parseQuestion(message));
  }

  /**
   * A connection to an address, or to a name, begins: its name. Undefined if
   * the address is not one of these, or no longer.
   */
  hold(address: string): string | undefined {
    const entry = this.byAddress.get(address) ?? this.entries.get(address.toLowerCase());
    if (entry === undefined) return undefined;
    ++entry.uses;
    return entry.name;
  }

  /** A connection to a name that hold() has given has ended. */
  release(name: string): void {
    const entry = this.entries.get(name);
    if (entry !== undefined) --entry.uses;
  }

  private entry(name: string): Entry {
    let entry = this.entries.get(name);
    if (entry === undefined) {
      if (this.entries.size === MOST_NAMES) this.forgetOldest();
      entry = { name, address: this.freeAddress(), uses: 0 };
      this.byAddress.set(entry.address, entry);
    } else this.entries.delete(name);
    this.entries.set(name, entry);
    return entry;
  }

  private forgetOldest(): void {
    for (const entry of this.entries.values())
      if (entry.uses === 0) {
        this.entries.delete(entry.name);
        this.byAddress.delete(entry.address);
        return;
      }
    throw new Error('all names are in use');
  }

  /** The one that was free for the longest time: guests may remember others. */
  private freeAddress(): string {
    for (;;) {
      const value = PLACEHOLDERS.address.value + BigInt(1 + this.next);
      this.next = (this.next + 1) % COUNT;
      const address = formatAddress({ version: 4, value });
      if (!this.byAddress.has(address)) return address;
    }
  }
}

/** Of a name in lower case: it stands in URLs as it is, and is no address. */
export function isHostName(name: string): boolean {
  if (name.length > 253 || !/^[a-z\d_-]+(?:\.[a-z\d_-]+)*$/.test(name)) return false;
  try {
    return new URL(`http://${name}`).hostname === name && !/^[\d.]+$/.test(name);
  } catch {
    return false;
  }
}

/** An address of these, whether or not it has a name. */
export function isPlaceholder(literal: string): boolean {
  const address = parseAddress(literal);
  return address !== undefined && contains(PLACEHOLDERS, address);
}
