// SPDX-License-Identifier: MIT
// At which ports of TCP programs in the guest listen. The kernel says so, and
// it may lie: this is a hint.

/** Ports that are known at a time. The kernel tells of as many. */
const MOST_PORTS = 64;
/** Milliseconds for which changes are collected. */
const PAUSE = 20;

export class OpenPorts {
  /**
   * How much more often a port was opened than closed. The messages of two
   * workers may change places, so this may be below 0 for a moment.
   */
  private readonly counts = new Map<number, number>();
  private readonly tell: (ports: number[]) => void;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `tell` gets the ports that are open, after each change. */
  constructor(tell: (ports: number[]) => void) {
    this.tell = tell;
  }

  changed(port: number, isOpen: boolean): void {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return;
    const count = this.counts.get(port);
    if (count === undefined && this.counts.size === MOST_PORTS) return;
    const next = (count ?? 0) + (isOpen ? 1 : -1);
    if (next === 0) this.counts.delete(port);
    else this.counts.set(port, Math.max(-1, Math.min(2, next)));
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.tell([...this.counts].filter(([, opened]) => opened > 0).map(([number]) => number));
    }, PAUSE);
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
