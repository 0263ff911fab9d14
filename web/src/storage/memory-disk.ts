// SPDX-License-Identifier: MIT
// A disk in memory. What was never written takes none.

import type { Disk } from './disk.ts';
import { pageParts } from './pages.ts';

const PAGE = 65536;

export class MemoryDisk implements Disk {
  size: number;
  readonly readOnly: boolean;
  readonly unit = 0;
  private readonly pages = new Map<number, Uint8Array>();

  constructor(size: number, readOnly: boolean, content?: Uint8Array) {
    this.size = size;
    this.readOnly = readOnly;
    if (content !== undefined) this.write(0, [content]);
  }

  get usage(): number {
    return this.pages.size * PAGE;
  }

  read(offset: number, views: Uint8Array[]): void {
    for (const { page, at, view } of pageParts(offset, views, PAGE)) {
      const bytes = this.pages.get(page);
      if (bytes === undefined) view.fill(0);
      else view.set(bytes.subarray(at, at + view.length));
    }
  }

  write(offset: number, views: Uint8Array[]): void {
    for (const { page, at, view } of pageParts(offset, views, PAGE)) {
      let bytes = this.pages.get(page);
      if (bytes === undefined) this.pages.set(page, (bytes = new Uint8Array(PAGE)));
      bytes.set(view, at);
    }
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

  nextData(offset: number): number {
    for (let page = Math.floor(offset / PAGE); page * PAGE < this.size; ++page)
      if (this.pages.has(page)) return Math.max(offset, page * PAGE);
    return this.size;
  }

  grow(size: number): void {
    this.size = size;
  }

  close(): void {
    this.pages.clear();
  }
}
