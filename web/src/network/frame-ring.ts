// SPDX-License-Identifier: MIT
// Frames between two machines, in shared memory: from one host worker to
// another, which do not trust each other.
//
// A record is a word with its length, the frame's offloads (network::Offload in
// host/src/network/frame.hpp, padded to OFFLOAD bytes), the frame, and zeros up
// to a whole word. Records wrap around, their first words do not.

/** Bytes in front of a frame. */
export const OFFLOAD = 12;
/** Bytes of the fields in it. */
export const OFFLOAD_FIELDS = 10;
const SHORTEST_FRAME = 14;
/** As longest_frame in host/src/network/frame.hpp. */
export const LONGEST_FRAME = 14 + 65535;

/** Whether a frame with its offloads can have so many bytes. */
export function isRecordSize(size: number): boolean {
  return size >= OFFLOAD + SHORTEST_FRAME && size <= OFFLOAD + LONGEST_FRAME;
}

/**
 * Words, each in a cache line of its own: how many bytes were written, how many
 * taken, and whether the sender waits for room.
 */
const WRITTEN = 0;
const TAKEN = 16;
const WANTED = 32;
const HEADER = 192;

/**
 * A power of two. A stream of TCP has no more on its way, so that it never
 * waits here. What was not used takes no memory.
 */
const CAPACITY = 1 << 22;

const wordsOf = (size: number): number => (size + 3) & ~3;

/** One end of a ring. The other end may write anything to the memory. */
export class FrameRing {
  private readonly words: Int32Array;
  private readonly lengths: Uint32Array;
  private readonly bytes: Uint8Array;
  /** What this end has written or taken: its own word in the memory. */
  private own: number;

  static make(): SharedArrayBuffer {
    return new SharedArrayBuffer(HEADER + CAPACITY);
  }

  /** `buffer` is one of make(), which nobody has used at this end. */
  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer, 0, HEADER / 4);
    this.lengths = new Uint32Array(buffer, HEADER, CAPACITY / 4);
    this.bytes = new Uint8Array(buffer, HEADER, CAPACITY);
    this.own = 0;
  }

  // ---- the sender -----------------------------------------------------------

  /** Adds a frame. False: there is no room now. */
  push(offload: Uint8Array, frame: Uint8Array): boolean {
    const size = OFFLOAD + frame.length;
    const used = (this.own - Atomics.load(this.words, TAKEN)) >>> 0;
    // More than there can be is a lie, and means no room for good.
    if (used + 4 + wordsOf(size) > CAPACITY) return false;
    this.lengths[(this.own & (CAPACITY - 1)) >>> 2] = size;
    this.write(this.own + 4, offload);
    this.write(this.own + 4 + OFFLOAD, frame);
    this.own = (this.own + 4 + wordsOf(size)) | 0;
    Atomics.store(this.words, WRITTEN, this.own);
    return true;
  }

  /** Asks the receiver to ring when half of the ring is free. */
  want(): void {
    Atomics.store(this.words, WANTED, 1);
  }

  /** Whether half of the ring is free. */
  get hasRoom(): boolean {
    return (this.own - Atomics.load(this.words, TAKEN)) >>> 0 <= CAPACITY / 2;
  }

  // ---- the receiver ---------------------------------------------------------

  /**
   * The bytes of the oldest frame and its offloads. 0: there is none.
   *
   * @throws Error if the other end has lied.
   */
  next(): number {
    const used = (Atomics.load(this.words, WRITTEN) - this.own) >>> 0;
    if (used === 0) return 0;
    const size = this.lengths[(this.own & (CAPACITY - 1)) >>> 2]!;
    if (used > CAPACITY || !isRecordSize(size) || 4 + wordsOf(size) > used)
      throw new Error(`a frame of ${size} bytes in a ring with ${used}`);
    return size;
  }

  /** Whether it has these bytes at a place. */
  has(place: number, bytes: Uint8Array): boolean {
    const start = this.own + 4 + place;
    return bytes.every((byte, index) => this.bytes[(start + index) & (CAPACITY - 1)] === byte);
  }

  /** Copies what next() has told of, of `size` bytes. */
  copyTo(target: Uint8Array, size: number): void {
    const start = (this.own + 4) & (CAPACITY - 1);
    const first = Math.min(size, CAPACITY - start);
    target.set(this.bytes.subarray(start, start + first));
    if (first < size) target.set(this.bytes.subarray(0, size - first), first);
  }

  /** Takes it. Returns whether the sender is to be rung. */
  take(size: number): boolean {
    this.own = (this.own + 4 + wordsOf(size)) | 0;
    Atomics.store(this.words, TAKEN, this.own);
    if (Atomics.load(this.words, WANTED) === 0) return false;
    if ((Atomics.load(this.words, WRITTEN) - this.own) >>> 0 > CAPACITY / 2) return false;
    return Atomics.exchange(this.words, WANTED, 0) !== 0;
  }

  private write(place: number, bytes: Uint8Array): void {
    const start = place & (CAPACITY - 1);
    const first = Math.min(bytes.length, CAPACITY - start);
    if (first === bytes.length) {
      this.bytes.set(bytes, start);
      return;
    }
    this.bytes.set(bytes.subarray(0, first), start);
    this.bytes.set(bytes.subarray(first));
  }
}
