// SPDX-License-Identifier: MIT
// A disk in memory. What was never written takes none.

import type { Disk } from './disk.ts';

const PAGE = 65536;

export class MemoryDisk implements Disk {
  readonly size: number;
  readonly readOnly: boolean;
  readonly unit = 0;
  private readonly pages = new Map<number, Uint8Array>();

  constructor(size: number, readOnly: boolean, content?: Uint8Array) {
    this.size = size;
    this.readOnly = readOnly;
    if (content !== undefined) this.write(0, [content]);
  }

  read(offset: number, views: Uint8Array[]): void {
    eachPart(offset, views, (page, at, view) => {
      const bytes = this.pages.get(page);
      if (bytes === undefined) view.fill(0);
      else view.set(bytes.subarray(at, at + view.length));
    });
  }

  write(offset: number, views: Uint8Array[]): void {
    eachPart(offset, views, (page, at, view) => {
      let bytes = this.pages.get(page);
      if (bytes === undefined) this.pages.set(page, (bytes = new Uint8Array(PAGE)));
      bytes.set(view, at);
    });
  }

  flush(): void {}

  zero(offset: number, length: number): void {
    for (let at = offset; at < offset + length;) {
      const page = Math.floor(at / PAGE);
      const begin = at % PAGE;
      const part = Math.min(PAGE - begin, offset + length - at);
      if (part === PAGE) this.pages.delete(page);
      else this.pages.get(page)?.fill(0, begin, begin + part);
      at += part;
    }
  }

  discard(offset: number, length: number): void {
    this.zero(offset, length);
  }

  close(): void {
    this.pages.clear();
  }
}

/** Calls `use` for each part of the views that is within a page of the disk. */
function eachPart(
  offset: number,
  views: Uint8Array[],
  use: (page: number, at: number, view: Uint8Array) => void,
): void {
  let place = offset;
  for (const view of views)
    for (let done = 0; done < view.length;) {
      const at = place % PAGE;
      const part = Math.min(PAGE - at, view.length - done);
      use(Math.floor(place / PAGE), at, view.subarray(done, done + part));
      done += part;
      place += part;
    }
}
