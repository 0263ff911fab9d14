// SPDX-License-Identifier: MIT
// The link to other machines of this page or process: a pair of rings for each.

import { BellServer, ring } from './bell.ts';
import { FrameRing, OFFLOAD } from './frame-ring.ts';
import { FrameSender } from './frame-sender.ts';
import type { HostLink, LinkEvents } from './host-link.ts';
import type { LinkChange, Peer } from './link.ts';
import { isForGroup, macAt, SOURCE } from './mac.ts';

/** Frames of one machine before another one has its turn. */
const BATCH = 32;

interface Neighbour extends Peer {
  sender: FrameSender;
  incoming: FrameRing;
  theirBell: Int32Array;
}

export class MachineLink implements HostLink {
  readonly offloads = true;
  readonly ready = Promise.resolve();
  private readonly events: LinkEvents;
  private readonly bell: Int32Array;
  private readonly server: BellServer;
  private readonly neighbours = new Map<number, Neighbour>();
  private readonly byMac = new Map<number, Neighbour>();

  constructor({ bell, peers }: { bell: SharedArrayBuffer; peers: readonly Peer[] }, events: LinkEvents) {
    this.events = events;
    this.bell = new Int32Array(bell);
    for (const peer of peers) this.add(peer);
    this.server = new BellServer(this.bell, () => this.serve());
  }

  send(offload: Uint8Array, frame: Uint8Array): boolean {
    if (isForGroup(frame)) {
      for (const { sender } of this.neighbours.values()) sender.offer(offload, frame);
      return true;
    }
    // A machine that has gone has nobody else at its address.
    return this.byMac.get(macAt(frame, 0))?.sender.send(offload, frame) ?? true;
  }

  receiverReady(): void {
    // After the call of the C++ host that tells so.
    queueMicrotask(() => {
      if (this.serve()) ring(this.bell);
    });
  }

  change(change: LinkChange): void {
    if (change.type === 'joined') this.add(change.peer);
    else this.remove(change.id);
  }

  find(hostname: string): string | undefined {
    for (const neighbour of this.neighbours.values()) if (neighbour.hostname === hostname) return neighbour.address;
    return undefined;
  }

  close(): void {
    this.server.close();
    for (const { sender } of this.neighbours.values()) sender.close();
    this.neighbours.clear();
    this.byMac.clear();
  }

  private add(peer: Peer): void {
    const outgoing = new FrameRing(peer.to);
    const theirBell = new Int32Array(peer.bell);
    const outlet = {
      push: (offload: Uint8Array, frame: Uint8Array) => {
        if (!outgoing.push(offload, frame)) return false;
        ring(theirBell);
        return true;
      },
      want: () => outgoing.want(),
      get hasRoom() {
        return outgoing.hasRoom;
      },
    };
    const sender = new FrameSender(outlet, () => this.events.writable());
    const neighbour = { ...peer, sender, theirBell, incoming: new FrameRing(peer.from) };
    this.neighbours.set(peer.id, neighbour);
    this.byMac.set(macAt(peer.mac, 0), neighbour);
  }

  private remove(id: number): void {
    const neighbour = this.neighbours.get(id);
    if (neighbour === undefined) return;
    this.neighbours.delete(id);
    this.byMac.delete(macAt(neighbour.mac, 0));
    neighbour.sender.close();
  }

  /** Returns whether there is more to do. */
  private serve(): boolean {
    let isMore = false;
    for (const neighbour of this.neighbours.values()) {
      neighbour.sender.look();
      try {
        isMore = this.drain(neighbour) || isMore;
      } catch {
        // The other host is not what it should be.
        this.remove(neighbour.id);
      }
    }
    return isMore;
  }

  private drain({ incoming, mac, theirBell }: Neighbour): boolean {
    for (let count = 0; count < BATCH; ++count) {
      const size = incoming.next();
      if (size === 0) return false;
      // A machine has one card, and nobody behind it.
      const isTaken =
        !incoming.has(OFFLOAD + SOURCE, mac) || this.events.receive(size, (target) => incoming.copyTo(target, size));
      if (!isTaken) return false;
      if (incoming.take(size)) ring(theirBell);
    }
    return true;
  }
}
