// SPDX-License-Identifier: MIT
// Looks whether a relay is still there. A computer that has slept, or is in
// another network now, hears nothing of its connections for many minutes, and
// browsers do not say what they know of a WebSocket.

import type { Timers } from './timers.ts';

export interface WatchedRelay {
  /** Messages that have come. */
  received(): number;
  /** Bytes that wait for the network: if that changes, it takes some. */
  waiting(): number;
  /** Asks for a sign. */
  ask(): void;
  /** There was none. */
  gone(): void;
}

/** Milliseconds between looks. */
const LOOK = 15_000;
/** Looks without a sign: at the last one the relay is gone. */
const SILENT_LOOKS = 3;
/** Milliseconds for the sign after sleep, and by which a look may be late. */
const PROMPT = 10_000;
const LATE = 5000;

export class RelayWatch {
  private readonly timers: Timers;
  private readonly relay: WatchedRelay;
  private last = '';
  private silent = 0;
  private due = 0;
  private timer: unknown;
  private prompt: unknown;

  constructor(timers: Timers, relay: WatchedRelay) {
    this.timers = timers;
    this.relay = relay;
  }

  start(): void {
    this.silent = 0;
    this.last = this.sign();
    this.next();
  }

  stop(): void {
    this.timers.clear(this.timer);
    this.timers.clear(this.prompt);
    this.prompt = undefined;
  }

  /** There is reason to doubt: the relay has little time to answer. */
  doubt(): void {
    this.timers.clear(this.prompt);
    const received = this.relay.received();
    this.relay.ask();
    this.prompt = this.timers.set(() => {
      if (this.relay.received() === received) this.relay.gone();
    }, PROMPT);
  }

  private sign(): string {
    return `${this.relay.received()} ${this.relay.waiting()}`;
  }

  private next(): void {
    this.due = this.timers.now() + LOOK;
    this.timer = this.timers.set(() => this.look(), LOOK);
  }

  private look(): void {
    const hasSlept = this.timers.now() > this.due + LATE;
    const sign = this.sign();
    this.silent = sign === this.last ? this.silent + 1 : 0;
    this.last = sign;
    this.next();
    if (hasSlept) this.doubt();
    else if (this.silent >= SILENT_LOOKS) this.relay.gone();
    else if (this.silent > 0) this.relay.ask();
  }
}
