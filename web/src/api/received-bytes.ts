// SPDX-License-Identifier: MIT
// Bytes that come, until their owner reads them from a stream.

/** Messages with fewer bytes share a buffer while the owner does not read. */
const SMALL = 1024;

export class ReceivedBytes {
  readonly readable: ReadableStream<Uint8Array>;
  private controller!: ReadableStreamDefaultController<Uint8Array>;
  private readonly pieces: Uint8Array[] = [];
  /** Ends a pull() that waits for bytes. */
  private wanted: (() => void) | undefined;
  /** ended: nothing more comes. gone: nobody reads, or reading has failed. */
  private state: 'open' | 'ended' | 'gone' = 'open';

  private readonly taken: (count: number) => void;

  /**
   * `taken` hears how many bytes the owner has read, and `cancelled` that it
   * reads no more.
   */
  constructor(taken: (count: number) => void, cancelled: () => void) {
    this.taken = taken;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.controller = controller),
        pull: () => this.pull(),
        cancel: () => {
          this.leave();
          cancelled();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Keeps bytes until the owner reads them. Small pieces share a buffer: the
   * sender's credit counts bytes only, so there could be very many pieces of
   * one byte.
   */
  add(bytes: Uint8Array): void {
    if (this.state !== 'open') return;
    let last = this.pieces.at(-1);
    if (last === undefined || bytes.length >= SMALL) {
      this.pieces.push(bytes);
    } else {
      if (last.byteOffset + last.length + bytes.length > last.buffer.byteLength) {
        last = new Uint8Array(new ArrayBuffer(16 * SMALL), 0, 0);
        this.pieces.push(last);
      }
      new Uint8Array(last.buffer, last.length).set(bytes);
      this.pieces[this.pieces.length - 1] = new Uint8Array(last.buffer, 0, last.length + bytes.length);
    }
    this.wanted?.();
  }

  /** The stream ends after what has come. */
  end(): void {
    if (this.state === 'open') this.state = 'ended';
    this.wanted?.();
  }

  /** Reading fails from now on. */
  fail(error: unknown): void {
    this.leave();
    this.controller.error(error);
  }

  private leave(): void {
    this.state = 'gone';
    this.pieces.length = 0;
    this.wanted?.();
  }

  private async pull(): Promise<void> {
    if (this.pieces.length === 0 && this.state === 'open')
      await new Promise<void>((resolve) => (this.wanted = resolve));
    this.wanted = undefined;
    const bytes = this.pieces.shift();
    if (bytes !== undefined) {
      this.controller.enqueue(bytes);
      this.taken(bytes.length);
    } else if (this.state === 'ended') {
      this.controller.close();
    }
  }
}
