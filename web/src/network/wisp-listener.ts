// SPDX-License-Identifier: MIT
// A port of the relay's that leads to a port of the guest.

import type { Timers } from './timers.ts';
import type { WispFlow } from './wisp-flow.ts';

/** Gives a connection to a new flow, or does not: then it is reset. */
export type Acceptor = (attach: (flow: WispFlow) => void) => void;

export class RelayListener {
  /** The port, as soon as begun() has resolved. */
  port: number;
  /** The relay has listened there once. */
  hasListened = false;
  readonly accept: Acceptor;
  private readonly remove: () => void;
  private resolve!: (listener: this) => void;
  private reject!: (error: Error) => void;
  private readonly answered: Promise<this>;
  private clear: () => void = () => {};

  constructor(port: number, accept: Acceptor, remove: () => void) {
    this.port = port;
    this.accept = accept;
    this.remove = remove;
    this.answered = new Promise<this>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Nobody need wait for it.
    this.answered.catch(() => {});
  }

  /** @throws Error if the relay does not listen. */
  begun(): Promise<this> {
    return this.answered;
  }

  /** The relay listens, there. */
  listens(port: number): void {
    this.port = port;
    this.hasListened = true;
    this.resolve(this);
  }

  /** A timer that ends with it. */
  waits(timers: Timers, timer: unknown): void {
    this.clear();
    this.clear = () => timers.clear(timer);
  }

  /** The relay does not listen, or no longer. */
  refused(text: string): void {
    this.reject(new Error(text));
    this.close();
  }

  /** Gives the port back. Connections stay. */
  close(): void {
    this.clear();
    this.remove();
  }
}
