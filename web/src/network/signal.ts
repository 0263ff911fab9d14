// SPDX-License-Identifier: MIT
// One who waits for others, who may be faster.

export class Signal {
  private isSet = false;
  private wake: (() => void) | undefined;

  /** Ends the wait, or else the next one. */
  set(): void {
    this.isSet = true;
    this.wake?.();
  }

  /** Only one may wait at a time. */
  async wait(): Promise<void> {
    if (!this.isSet)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    this.isSet = false;
    this.wake = undefined;
  }
}
