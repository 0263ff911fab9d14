// SPDX-License-Identifier: MIT
// What the package ws takes from the package bufferutil, if that is there
// (vite.node.config.ts says that it is this file). Browsers mask all that they
// send with four bytes, and ws itself takes them off one byte at a time: that
// was more than a third of a relay's work for an upload.

/** Four bytes of a mask, beginning with one of them, as a number of the CPU. */
function wordOf(mask: Uint8Array, first: number): number {
  const bytes = Uint8Array.from({ length: 4 }, (_, index) => mask[(first + index) & 3]!);
  return new Int32Array(bytes.buffer)[0]!;
}

/** Takes a mask off, or puts it on, in place. */
export function unmask(bytes: Uint8Array, mask: Uint8Array): void {
  const { length } = bytes;
  // Words begin at multiples of four.
  const head = Math.min(length, -bytes.byteOffset & 3);
  const words = (length - head) >> 2;
  for (let at = 0; at < head; ++at) bytes[at]! ^= mask[at & 3]!;
  if (words > 0) {
    const word = wordOf(mask, head);
    const whole = new Int32Array(bytes.buffer, bytes.byteOffset + head, words);
    for (let at = 0; at < words; ++at) whole[at]! ^= word;
  }
  for (let at = head + 4 * words; at < length; ++at) bytes[at]! ^= mask[at & 3]!;
}

/** Puts a mask on so many bytes, and the result into `output`. */
export function mask(source: Uint8Array, key: Uint8Array, output: Uint8Array, offset: number, length: number): void {
  output.set(source.subarray(0, length), offset);
  unmask(output.subarray(offset, offset + length), key);
}
