// SPDX-License-Identifier: MIT
// Machines of one page or one Node.js process on one link, as their owner makes
// it. The owner's thread introduces them to each other, and passes no frames.

import { FrameRing } from './frame-ring.ts';

/** What a machine needs of another one. */
export interface Peer {
  id: number;
  /** Of its card: 6 bytes. */
  mac: Uint8Array;
  address: string;
  hostname: string | undefined;
  /** Rings of FrameRing: to the other machine, and from it. */
  to: SharedArrayBuffer;
  from: SharedArrayBuffer;
  /** The other machine's bell (bell.ts). */
  bell: SharedArrayBuffer;
}

export type LinkChange = { type: 'joined'; peer: Peer } | { type: 'left'; id: number };

/** What a machine is on a link. */
export interface Card {
  mac: Uint8Array;
  address: string;
  hostname: string | undefined;
}

/** A machine's place on a link. */
export interface Place {
  bell: SharedArrayBuffer;
  /** Those that were there before. */
  peers: Peer[];
  leave(): void;
}

interface Member extends Card {
  bell: SharedArrayBuffer;
  tell: (change: LinkChange) => void;
}

/** Each pair of machines has two rings. */
const MOST_MACHINES = 16;

/** Give it to each of the machines as `network.link`: createLink() makes it. */
export class Link {
  private readonly members = new Map<number, Member>();
  private nextId = 1;

  /** The addresses of its machines now. */
  get addresses(): string[] {
    return Array.from(this.members.values(), ({ address }) => address);
  }

  /**
   * For the machine. `tell` hears of those that come later.
   *
   * @throws Error with a message for users.
   */
  join(card: Card, tell: (change: LinkChange) => void): Place {
    if (this.members.size >= MOST_MACHINES) throw new Error(`a link has ${MOST_MACHINES} machines at most`);
    for (const { address, hostname } of this.members.values()) {
      if (address === card.address) throw new Error(`another machine of the link has the address ${address}`);
      if (hostname !== undefined && hostname === card.hostname)
        throw new Error(`another machine of the link has the hostname ${hostname}`);
    }
    const id = this.nextId++;
    const member: Member = { ...card, bell: new SharedArrayBuffer(4), tell };
    const peers: Peer[] = [];
    for (const [otherId, other] of this.members) {
      const to = FrameRing.make();
      const from = FrameRing.make();
      peers.push(peerOf(otherId, other, to, from));
      other.tell({ type: 'joined', peer: peerOf(id, member, from, to) });
    }
    this.members.set(id, member);
    const leave = () => {
      if (!this.members.delete(id)) return;
      for (const other of this.members.values()) other.tell({ type: 'left', id });
    };
    return { bell: member.bell, peers, leave };
  }
}

function peerOf(id: number, member: Member, to: SharedArrayBuffer, from: SharedArrayBuffer): Peer {
  const { mac, address, hostname, bell } = member;
  return { id, mac, address, hostname, to, from, bell };
}

/**
 * A link for machines of this page or process: `boot({ network: { type:
 * 'link', link } })`.
 */
export function createLink(): Link {
  return new Link();
}
