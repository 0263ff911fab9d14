// SPDX-License-Identifier: MIT
// The memory of all flows together. What a connection may be sent is taken from
// it before the guest is told, so that no guest can fill more.

/** What all flows keep, in bytes. */
const ALL = 64 << 20;
/** Of that, for datagrams that the system has not taken. */
const DATAGRAMS = 4 << 20;
export const MOST_STREAMS = 1024;
export const MOST_DATAGRAM_FLOWS = 512;
/** What each stream may keep in any case, in each direction. */
export const BASE = 16 << 10;
/** The most that a stream may keep on its way to the world. */
export const MOST_ROOM = 1 << 20;

/**
 * Of what is shared, for what streams cannot do without. Faster ones get the
 * rest.
 */
const RESERVE = 14 << 20;
/** With less than this, those that have much give back. */
const SCARCE = 1 << 20;

export class Budget {
  streams = 0;
  datagramFlows = 0;
  private free = ALL - DATAGRAMS - MOST_STREAMS * 2 * BASE;
  private datagrams = 0;

  /** Takes `count` bytes that a stream needs, all of them or none. */
  take(count: number): boolean {
    if (count > this.free) return false;
    this.free -= count;
    return true;
  }

  /** Takes `count` bytes that make a stream faster, all of them or none. */
  takeSpare(count: number): boolean {
    return count <= this.free - RESERVE && this.take(count);
  }

  /** Takes up to `count` such bytes, and leaves the most to others. */
  share(count: number): number {
    const taken = Math.max(0, Math.min(count, (this.free - RESERVE) >> 4));
    this.free -= taken;
    return taken;
  }

  get isScarce(): boolean {
    return this.free - RESERVE < SCARCE;
  }

  give(count: number): void {
    this.free += count;
  }

  /** Whether there is room for one more datagram. */
  takeDatagram(count: number): boolean {
    if (this.datagrams + count > DATAGRAMS) return false;
    this.datagrams += count;
    return true;
  }

  giveDatagram(count: number): void {
    this.datagrams -= count;
  }
}
