// SPDX-License-Identifier: MIT
// Requests of a disk, cut at the borders of pages.

/** The part of a request that is in one page. */
export interface PagePart {
  /** Number of the page. */
  page: number;
  /** In the page. */
  at: number;
  view: Uint8Array;
}

/** The parts of a request for `views` at an offset of the disk, in order. */
export function* pageParts(offset: number, views: Uint8Array[], pageSize: number): Generator<PagePart> {
  let place = offset;
  for (const view of views)
    for (let done = 0; done < view.length;) {
      const at = place % pageSize;
      const length = Math.min(pageSize - at, view.length - done);
      yield { page: Math.floor(place / pageSize), at, view: view.subarray(done, done + length) };
      done += length;
      place += length;
    }
}
