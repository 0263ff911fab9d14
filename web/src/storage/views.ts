// SPDX-License-Identifier: MIT
// The places of a request, taken together: each call of a file costs as much as
// to copy 100 KiB.

export function lengthOf(views: readonly Uint8Array[]): number {
  return views.reduce((sum, { length }) => sum + length, 0);
}

/** Copies all views to `bytes`, one after the other. */
export function gather(views: readonly Uint8Array[], bytes: Uint8Array = new Uint8Array(lengthOf(views))): Uint8Array {
  let at = 0;
  for (const view of views) bytes.set(view, (at += view.length) - view.length);
  return bytes;
}

/** Copies bytes to the views, as far as there are bytes. */
export function scatter(bytes: Uint8Array, views: readonly Uint8Array[]): void {
  let at = 0;
  for (const view of views) {
    const part = bytes.subarray(at, at + view.length);
    view.set(part);
    at += part.length;
  }
}
