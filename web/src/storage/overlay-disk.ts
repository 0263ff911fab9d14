// SPDX-License-Identifier: MIT
// A disk whose changes stay in memory, over one that is only read.

import type { Disk, Done } from './disk.ts';
import { pageParts, type PagePart } from './pages.ts';

const PAGE = 4096;

export class OverlayDisk implements Disk {
  readonly size: number;
  readonly readOnly = false;
  readonly unit: number;
  private readonly base: Disk;
  /** What was changed, by number of the page. */
  private readonly pages = new Map<number, Uint8Array>();

  constructor(base: Disk) {
    this.base = base;
    this.size = base.size;
    this.unit = base.unit;
  }

  read(offset: number, views: Uint8Array[]): Done {
    return this.isUntouched(offset, views) ? this.base.read(offset, views) : this.readMixed(offset, views);
  }

  write(offset: number, views: Uint8Array[]): Done {
    return this.change([...pageParts(offset, views, PAGE)], 0);
  }

  flush(): void {}

  zero(offset: number, length: number): Done {
    const zeros = new Uint8Array(PAGE);
    for (let at = 0; at < length;) {
      const part = Math.min(PAGE - ((offset + at) % PAGE), length - at);
      const done = this.write(offset + at, [zeros.subarray(0, part)]);
      at += part;
      if (done instanceof Promise) return done.then(() => this.zero(offset + at, length - at));
    }
  }

  close(): Done {
    this.pages.clear();
    return this.base.close();
  }

  private isUntouched(offset: number, views: Uint8Array[]): boolean {
    if (this.pages.size === 0) return true;
    const end = views.reduce((sum, view) => sum + view.length, offset);
    for (let page = Math.floor(offset / PAGE); page * PAGE < end; ++page) if (this.pages.has(page)) return false;
    return true;
  }

  private readMixed(offset: number, views: Uint8Array[]): Done {
    const parts = [...pageParts(offset, views, PAGE)];
    const changed = () => {
      for (const { page, at, view } of parts) {
        const bytes = this.pages.get(page);
        if (bytes !== undefined) view.set(bytes.subarray(at, at + view.length));
      }
    };
    const done = this.base.read(offset, views);
    return done instanceof Promise ? done.then(changed) : changed();
  }

  /** Writes the parts from this index on. */
  private change(parts: PagePart[], first: number): Done {
    for (let index = first; index < parts.length; ++index) {
      const { page, at, view } = parts[index]!;
      const known = this.pages.get(page);
      if (known !== undefined) {
        known.set(view, at);
        continue;
      }
      const bytes = new Uint8Array(Math.min(PAGE, this.size - page * PAGE));
      const take = () => {
        // Another write may have brought the page meanwhile.
        if (!this.pages.has(page)) this.pages.set(page, bytes);
        this.pages.get(page)!.set(view, at);
      };
      const done = view.length === bytes.length ? undefined : this.base.read(page * PAGE, [bytes]);
      if (done instanceof Promise)
        return done.then(() => {
          take();
          return this.change(parts, index + 1);
        });
      take();
    }
  }
}
