// SPDX-License-Identifier: MIT
// Sends the console's output to the owner: at once while there is little of it,
// and in large messages while there is much.

/**
 * So many messages in a row are sent at once. After that, output is collected
 * for OUTPUT_INTERVAL milliseconds.
 */
const OUTPUT_BURST = 32;
const OUTPUT_INTERVAL = 4;
/** Collected output of this many bytes does not wait. */
const OUTPUT_SIZE = 65536;

/**
 * Collects the bytes of the console, so that a flood of output does not become
 * a flood of messages.
 */
export class OutputCollector {
  private chunks: Uint8Array[] = [];
  private size = 0;
  /**
   * Messages that may be sent at once. Each millisecond adds one. So a flood is
   * collected, and what somebody types is not.
   */
  private credit = OUTPUT_BURST;
  private lastFlush = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  private readonly send: (bytes: Uint8Array<ArrayBuffer>) => void;

  constructor(send: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.send = send;
  }

  /** Keeps a copy of the bytes. */
  add(bytes: Uint8Array): void {
    this.chunks.push(bytes.slice());
    this.size += bytes.length;
  }

  /** Sends what was collected, now or soon. */
  flushSoon(): void {
    if (this.size === 0 || (this.timer !== undefined && this.size < OUTPUT_SIZE)) return;
    const wait = this.lastFlush + OUTPUT_INTERVAL - performance.now();
    if (this.credit >= 1 || wait <= 0 || this.size >= OUTPUT_SIZE) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.size === 0) return;
    const bytes = new Uint8Array(this.size);
    let offset = 0;
    for (const chunk of this.chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    this.chunks = [];
    this.size = 0;
    const now = performance.now();
    this.credit = Math.min(OUTPUT_BURST, Math.max(0, this.credit - 1) + now - this.lastFlush);
    this.lastFlush = now;
    this.send(bytes);
  }
}
