// SPDX-License-Identifier: MIT
// A guest's connection to its resolver, by TCP: what it asks this way is what
// had an answer too long for a datagram. It does not leave this program, so
// that a guest can say to the system's resolver nothing but questions.

import { framed } from './dns-message.ts';
import type { Flow, FlowOwner } from './node-stream.ts';

/** A message with its length in front, at most. */
const ROOM = 2 + 65_535;
/** Questions of a connection whose answers the guest has not got. */
const MOST_OPEN = 4;
const COST = (1 + MOST_OPEN) * ROOM;

export class ResolverStream implements Flow {
  private readonly id: number;
  private readonly owner: FlowOwner;
  private readonly ask: (message: Uint8Array) => Promise<Uint8Array>;
  private isGone = false;
  /** The guest asks nothing more. */
  private isFinished = false;
  /** It has got all answers, and knows it. */
  private hasEnded = false;
  private readonly received = new Uint8Array(ROOM);
  /** Bytes of that which have come. */
  private count = 0;
  private open = 0;
  private readonly answers: Uint8Array[] = [];

  private constructor(id: number, owner: FlowOwner, ask: (message: Uint8Array) => Promise<Uint8Array>) {
    this.id = id;
    this.owner = owner;
    this.ask = ask;
    owner.budget.streams += 1;
    this.later(() => owner.events.opened(id, ROOM));
  }

  /** Undefined: there is no memory for it. */
  static open(
    id: number,
    owner: FlowOwner,
    ask: (message: Uint8Array) => Promise<Uint8Array>,
  ): ResolverStream | undefined {
    return owner.budget.take(COST) ? new ResolverStream(id, owner, ask) : undefined;
  }

  send(bytes: Uint8Array): number {
    if (this.isGone) return 0;
    this.received.set(bytes, this.count);
    this.count += bytes.length;
    this.later(() => this.serve());
    return ROOM - this.count;
  }

  finish(): void {
    this.isFinished = true;
    this.later(() => this.serve());
  }

  consumed(): void {
    this.later(() => this.pass());
  }

  closed(): void {
    this.leave();
  }

  private leave(): void {
    this.isGone = true;
    this.owner.budget.streams -= 1;
    this.owner.budget.give(COST);
  }

  /** Events do not come from within a call. */
  private later(action: () => void): void {
    queueMicrotask(() => {
      if (!this.isGone) action();
    });
  }

  /** Asks what has come, as far as there may be more questions. */
  private serve(): void {
    let at = 0;
    while (this.open < MOST_OPEN && this.count - at >= 2) {
      const end = at + 2 + ((this.received[at]! << 8) | this.received[at + 1]!);
      if (this.count < end) break;
      this.open += 1;
      void this.answer(this.received.slice(at + 2, end));
      at = end;
    }
    if (at > 0) {
      this.received.copyWithin(0, at, this.count);
      this.count -= at;
      this.owner.events.writable(this.id, ROOM - this.count);
    }
    if (!this.isFinished || this.open > 0 || this.hasEnded) return;
    this.hasEnded = true;
    this.owner.events.finished(this.id);
  }

  private async answer(question: Uint8Array): Promise<void> {
    let message: Uint8Array;
    try {
      message = await this.ask(question);
    } catch {
      // As a resolver does that cannot go on. The guest asks elsewhere.
      if (this.isGone) return;
      this.leave();
      this.owner.ended(this.id);
      this.owner.events.aborted(this.id);
      return;
    }
    if (this.isGone) return;
    this.answers.push(framed(message));
    this.pass();
  }

  private pass(): void {
    for (let first = this.answers[0]; first !== undefined; first = this.answers[0]) {
      const count = this.owner.events.data(this.id, first);
      if (count < first.length) {
        this.answers[0] = first.subarray(count);
        break;
      }
      this.answers.shift();
      this.open -= 1;
    }
    this.serve();
  }
}
