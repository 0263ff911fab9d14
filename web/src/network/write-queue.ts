// SPDX-License-Identifier: MIT
// Bytes on their way to a socket of Node.js. One write is under way at a time;
// what comes meanwhile is put together. Node.js itself would keep a request of
// some hundred bytes for each byte that a guest sends alone.

/** What is used of a socket. */
export interface Writer {
  write(bytes: Uint8Array, done?: (error?: Error | null) => void): unknown;
  cork(): void;
  uncork(): void;
  end(): unknown;
}

/** A segment of a guest has no more bytes. */
const BLOCK = 64 << 10;
const LEAST = 512;
/** Blocks that were written: a new one costs as much as its copy. */
const spare: Uint8Array[] = [];
const MOST_SPARE = 32;

interface Block {
  bytes: Uint8Array;
  used: number;
}

export class WriteQueue {
  /** Bytes that the socket has not taken. */
  pending = 0;
  isEnding = false;
  private readonly socket: Writer;
  private readonly written: (count: number) => void;
  private queue: Block[] = [];
  private writing = false;

  /** `written`: tells that `pending` has become less by so many bytes. */
  constructor(socket: Writer, written: (count: number) => void) {
    this.socket = socket;
    this.written = written;
  }

  /** Copies the bytes. */
  add(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      let block = this.queue.at(-1);
      if (block === undefined || block.used === block.bytes.length) {
        block = { bytes: this.block(rest.length), used: 0 };
        this.queue.push(block);
      }
      const count = Math.min(rest.length, block.bytes.length - block.used);
      block.bytes.set(rest.subarray(0, count), block.used);
      block.used += count;
      this.pending += count;
      rest = rest.subarray(count);
    }
    if (!this.writing) this.write();
  }

  /** Ends the socket's direction after what was added. */
  end(): void {
    this.isEnding = true;
    if (!this.writing) this.socket.end();
  }

  /** Takes no more than double of what is in the queue. */
  private block(count: number): Uint8Array {
    // The first one is written at once, and nothing is added to it.
    const size = this.writing ? Math.max(count, Math.min(this.pending, BLOCK), LEAST) : count;
    if (size <= BLOCK / 2) return new Uint8Array(size);
    return spare.pop() ?? new Uint8Array(BLOCK);
  }

  private write(): void {
    const blocks = this.queue;
    this.queue = [];
    this.writing = true;
    const count = blocks.reduce((sum, { used }) => sum + used, 0);
    const done = (error?: Error | null): void => {
      // Its socket is gone, and says so itself.
      if (error !== undefined && error !== null) return;
      for (const { bytes } of blocks) if (bytes.length === BLOCK && spare.length < MOST_SPARE) spare.push(bytes);
      this.pending -= count;
      this.writing = false;
      if (this.queue.length > 0) this.write();
      else if (this.isEnding) this.socket.end();
      this.written(count);
    };
    if (blocks.length > 1) this.socket.cork();
    for (const [index, { bytes, used }] of blocks.entries())
      this.socket.write(
        used === bytes.length ? bytes : bytes.subarray(0, used),
        index === blocks.length - 1 ? done : undefined,
      );
    if (blocks.length > 1) this.socket.uncork();
  }
}
