// SPDX-License-Identifier: MIT
// What comes to the standard input of `auklet console`, on its way to a machine
// that may read slowly, or not at all.
//
// A pipe is read as fast as the machine reads. A terminal is read always: the
// key that leaves is behind what was typed before, and whoever waits for a
// machine that reads nothing wants to leave most of all.

import type { Machine } from '../api/machine.ts';

/** Ctrl-] leaves, as in telnet and virsh. */
const LEAVE = 0x1d;
/** Bytes of input that are on the way to the guest at most. */
const MOST_ON_THE_WAY = 64 * 1024;
/**
 * Bytes that wait for a machine that does not read: more than anybody pastes.
 */
const MOST_WAITING = 16 * 2 ** 20;

/** What is used of process.stdin. */
interface Source {
  isTTY?: boolean;
  pause(): unknown;
  resume(): unknown;
}

interface ConsoleUser {
  /** The key that leaves was typed. */
  leave(): void;
  /** Input is lost, for the first time since the machine has read all. */
  lost(): void;
}

export class ConsoleInput {
  private readonly machine: Pick<Machine, 'write' | 'drained'>;
  private readonly source: Source;
  private readonly user: ConsoleUser;
  private readonly waiting: Uint8Array[] = [];
  /** Bytes of `waiting`. */
  private size = 0;
  private isSending = false;
  private isLosing = false;
  private isEnded = false;

  constructor(machine: Pick<Machine, 'write' | 'drained'>, source: Source, user: ConsoleUser) {
    this.machine = machine;
    this.source = source;
    this.user = user;
  }

  /** Takes what the source has read. */
  take(bytes: Uint8Array): void {
    const isTerminal = this.source.isTTY === true;
    if (isTerminal && bytes.includes(LEAVE)) {
      this.user.leave();
      return;
    }
    if (this.isEnded) return;
    if (isTerminal && this.size + bytes.length > MOST_WAITING) {
      // A terminal does the same when nobody reads: it drops what is typed.
      if (!this.isLosing) this.user.lost();
      this.isLosing = true;
      return;
    }
    this.waiting.push(bytes);
    this.size += bytes.length;
    if (!isTerminal) this.source.pause();
    if (!this.isSending) void this.send();
  }

  /** What waits is dropped, and so is all that comes. */
  end(): void {
    this.isEnded = true;
    this.waiting.length = 0;
  }

  private async send(): Promise<void> {
    this.isSending = true;
    for (let bytes; (bytes = this.waiting.shift()) !== undefined;) {
      this.machine.write(bytes.subarray(0, MOST_ON_THE_WAY));
      if (bytes.length > MOST_ON_THE_WAY) this.waiting.unshift(bytes.subarray(MOST_ON_THE_WAY));
      this.size -= Math.min(bytes.length, MOST_ON_THE_WAY);
      await this.machine.drained();
    }
    this.isSending = false;
    this.isLosing = false;
    if (!this.isEnded) this.source.resume();
  }
}
