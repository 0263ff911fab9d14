// SPDX-License-Identifier: MIT
// Finds a way to a relay, and which version of Wisp it speaks. A server says
// that by its first packet, but some are only reached without a subprotocol,
// and one of version 2 takes those for clients of version 1.

import { WispLink, type LinkEnd, type LinkOptions, type ServerTraits } from './wisp-link.ts';
import { SUBPROTOCOL, type Packet } from './wisp-packets.ts';

export interface ContactEvents {
  /** The relay is there. Nothing but packet() and ended() comes after this. */
  ready(traits: ServerTraits): void;
  packet(packet: Packet): void;
  /** Nothing comes after this. */
  ended(end: LinkEnd): void;
}

/** What is offered, or with `check`, offered though one link is there. */
type Step = 'offer' | 'bare' | 'check';

/** What the last contact has found, for the order of the next one. */
export interface Known {
  /** It has spoken version 2 by our subprotocol: nothing else is tried. */
  speaks2: boolean;
  /** The relay was only reached without a subprotocol. */
  isBare: boolean;
}

export class WispContact {
  private readonly options: Omit<LinkOptions, 'protocols'>;
  private readonly known: Known;
  private readonly events: ContactEvents;
  private readonly tried = new Set<Step>();
  private link: WispLink | undefined;
  /** One of version 1 that was made without the subprotocol. */
  private spare: { link: WispLink; traits: ServerTraits } | undefined;

  /**
   * Notes in `known` what it finds.
   *
   * @throws what WebSocket throws of an address that is none.
   */
  constructor(options: Omit<LinkOptions, 'protocols'>, known: Known, events: ContactEvents) {
    this.options = options;
    this.known = known;
    this.events = events;
    this.attempt(known.isBare ? 'bare' : 'offer');
  }

  /** Bytes that wait for the network. */
  get waiting(): number {
    return this.link?.waiting ?? 0;
  }

  /** Messages that have come. */
  get received(): number {
    return this.link?.received ?? 0;
  }

  /** The relay is not what it should be. */
  fail(text: string): void {
    this.link?.fail(text);
  }

  send(packet: Packet): void {
    this.link?.send(packet);
  }

  /** Ends it without a word to the owner. */
  close(): void {
    this.link?.close();
    this.spare?.link.close();
  }

  private attempt(step: Step): void {
    this.tried.add(step);
    const protocols = step === 'bare' ? [] : [SUBPROTOCOL];
    const link = new WispLink(
      { ...this.options, protocols },
      {
        ready: (traits) => this.answered(step, traits),
        packet: (packet) => {
          if (link === this.link) this.events.packet(packet);
        },
        ended: (end) => {
          if (link === this.spare?.link) this.spare = undefined;
          else this.ended(step, end);
        },
      },
    );
    this.link = link;
  }

  private answered(step: Step, traits: ServerTraits): void {
    if (step === 'bare' && traits.version === 1) {
      // The relay may have come up after it was asked for version 2. It is
      // there now, so that what it does with the subprotocol counts.
      this.spare = { link: this.link!, traits };
      this.attempt('check');
      return;
    }
    this.spare?.link.close();
    this.spare = undefined;
    this.settle(step === 'bare', traits);
  }

  private settle(isBare: boolean, traits: ServerTraits): void {
    this.known.isBare = isBare;
    this.known.speaks2 ||= traits.version === 2 && !isBare;
    this.events.ready(traits);
  }

  private ended(step: Step, end: LinkEnd): void {
    this.link = undefined;
    const { spare } = this;
    this.spare = undefined;
    if (spare !== undefined && end.early) {
      this.link = spare.link;
      this.settle(true, spare.traits);
      return;
    }
    spare?.link.close();
    const other = step === 'offer' ? 'bare' : 'offer';
    // Browsers refuse a server that does not choose the subprotocol. Of a relay
    // that is gone for a while, one attempt is enough: browsers delay others.
    if (end.early && step !== 'check' && !this.known.speaks2 && !this.tried.has(other)) this.attempt(other);
    else this.events.ended(end);
  }
}
