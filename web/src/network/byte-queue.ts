// SPDX-License-Identifier: MIT
// Bytes in order, that come in pieces of any size and leave in others.

/** Pieces with fewer bytes are copied into a block that they share. */
const SMALL = 4096;
const BLOCK = 65536;

/**
 * A queue of bytes. It needs at most about twice their number in memory,
 * however small the pieces are. The owner bounds it by `length`.
 */
export class ByteQueue {
  /** Bytes that are in it. */
  length = 0;
  private readonly pieces: Uint8Array[] = [];
  private first = 0;
  /** The block that small pieces are copied into. Its first bytes are used. */
  private block: Uint8Array | undefined;
  private used = 0;

  /** Adds bytes. It keeps a large piece itself, which must not change. */
  push(bytes: Uint8Array): void {
    this.length += bytes.length;
    if (bytes.length >= SMALL && bytes.length * 2 >= bytes.buffer.byteLength) {
      this.pieces.push(bytes);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      if (this.block === undefined || this.used === BLOCK) {
        this.block = new Uint8Array(BLOCK);
        this.used = 0;
      }
      const part = bytes.subarray(at, at + BLOCK - this.used);
      this.block.set(part, this.used);
      const last = this.pieces.length - 1;
      const piece = last >= this.first ? this.pieces[last]! : undefined;
      const end = this.used + part.length;
      // The last piece grows if it is the end of the same block.
      if (piece?.buffer === this.block.buffer) this.pieces[last] = this.block.subarray(piece.byteOffset, end);
      else this.pieces.push(this.block.subarray(this.used, end));
      this.used = end;
      at += part.length;
    }
  }

  /** The first bytes, as many as there are in one piece. None: it is empty. */
  peek(): Uint8Array {
    return this.pieces[this.first] ?? new Uint8Array(0);
  }

  /** Takes `count` bytes off, at most those of peek(). */
  drop(count: number): void {
    if (count === 0) return;
    const piece = this.peek();
    this.length -= count;
    if (count < piece.length) {
      this.pieces[this.first] = piece.subarray(count);
      return;
    }
    this.pieces[this.first++] = piece.subarray(piece.length);
    // Moves the others forward now and then, not at each piece.
    if (this.first >= 64 || this.length === 0) {
      this.pieces.splice(0, this.first);
      this.first = 0;
    }
  }

  clear(): void {
    this.pieces.length = 0;
    this.first = 0;
    this.length = 0;
    this.block = undefined;
  }
}
