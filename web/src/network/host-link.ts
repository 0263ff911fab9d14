// SPDX-License-Identifier: MIT
// A machine's way to other machines, in its host worker.

import { ChannelLink } from './channel-link.ts';
import { EthernetLink } from './ethernet-link.ts';
import type { LinkChange, Peer } from './link.ts';
import { MachineLink } from './machine-link.ts';

/** What the owner says of it. */
export type LinkStart =
  | { type: 'machines'; bell: SharedArrayBuffer; peers: Peer[] }
  | { type: 'channel'; name: string }
  | { type: 'ethernet'; url: string };

/** What a link tells of its frames. Never called from within its functions. */
export interface LinkEvents {
  /**
   * A frame with its offloads, as frame-ring.ts has them: `copy` puts its
   * `size` bytes, which isRecordSize() has allowed, into the C++ host's memory.
   * False: it was not taken, and HostLink.receiverReady() follows.
   */
  receive(size: number, copy: (target: Uint8Array) => void): boolean;
  /** There is room for what send() did not take. */
  writable(): void;
}

export interface HostLink {
  /** Whether frames keep their offloads. */
  readonly offloads: boolean;
  /** Rejects with an Error, whose message is for users. */
  readonly ready: Promise<void>;
  /**
   * A frame of the machine's, and its offloads (OFFLOAD_FIELDS bytes); both are
   * valid during the call only. False: not now, LinkEvents.writable() follows.
   */
  send(offload: Uint8Array, frame: Uint8Array): boolean;
  /** The machine has room for what LinkEvents.receive() did not take. */
  receiverReady(): void;
  /** Another machine has come or gone. */
  change?(change: LinkChange): void;
  /** The address of the machine with this name. */
  find?(hostname: string): string | undefined;
  close(): void;
}

/** `mac`: the address of the machine's card. */
export function openLink(start: LinkStart, mac: Uint8Array, events: LinkEvents): HostLink {
  if (start.type === 'machines') return new MachineLink(start, events);
  if (start.type === 'channel') return new ChannelLink(start.name, mac, events);
  return new EthernetLink(start.url, events);
}
