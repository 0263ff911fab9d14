// SPDX-License-Identifier: MIT
// The names that were answered with an address. A rule for a name is a rule for
// these addresses.

const MOST_ADDRESSES = 4096;
const MOST_NAMES = 8;

export class AnsweredNames {
  /** The oldest answers come first. */
  private readonly names = new Map<string, string[]>();

  add(name: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      const others = (this.names.get(address) ?? []).filter((other) => other !== name);
      this.names.delete(address);
      this.names.set(address, [...others, name].slice(-MOST_NAMES));
    }
    for (const address of this.names.keys()) {
      if (this.names.size <= MOST_ADDRESSES) break;
      this.names.delete(address);
    }
  }

  of(address: string): readonly string[] {
    return this.names.get(address) ?? [];
  }
}
