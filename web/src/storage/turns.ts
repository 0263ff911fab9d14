// SPDX-License-Identifier: MIT
// Work that is done one after the other: at once if nothing is waited for.

import type { Maybe } from './share.ts';

export class Turns {
  private last: Promise<void> | undefined;

  /** Does it when all that came before is done, however that ended. */
  run<T>(act: () => Maybe<T>): Maybe<T> {
    const done = this.last === undefined ? act() : this.last.then(act);
    if (!(done instanceof Promise)) return done;
    const nothing = () => {};
    const settled: Promise<void> = done.then(nothing, nothing).then(() => {
      if (this.last === settled) this.last = undefined;
    });
    this.last = settled;
    return done;
  }
}
