// SPDX-License-Identifier: MIT
// Time-outs of the network, which tests replace.

export interface Timers {
  /** Calls `act` once, after so many milliseconds. */
  set(act: () => void, milliseconds: number): unknown;
  clear(timer: unknown): void;
  /** In ms. Goes on while the computer sleeps, unlike the timers. */
  now(): number;
}

export const systemTimers: Timers = {
  set: (act, milliseconds) => setTimeout(act, milliseconds),
  clear: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  now: () => Date.now(),
};
