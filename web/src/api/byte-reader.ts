// SPDX-License-Identifier: MIT
// Reads a stream by numbers of bytes.

import { concatenate } from './bytes.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Takes bytes from a stream, in whatever pieces they come. */
export class ByteReader {
  private readonly reader: ReadableStreamDefaultReader<Bytes>;
  private held: Bytes = new Uint8Array(0);

  constructor(reader: ReadableStreamDefaultReader<Bytes>) {
    this.reader = reader;
  }

  /** The next bytes, which stay: fewer at the end of the stream. */
  async peek(count: number): Promise<Bytes> {
    const parts: Bytes[] = [this.held];
    let length = this.held.length;
    while (length < count) {
      const { done, value } = await this.reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
    }
    if (parts.length > 1) this.held = concatenate(parts);
    return this.held.subarray(0, count);
  }

  /** The next bytes: fewer at the end of the stream. */
  async take(count: number): Promise<Bytes> {
    const bytes = await this.peek(count);
    this.held = this.held.subarray(bytes.length);
    return bytes;
  }

  /** Some bytes; undefined at the end of the stream. */
  async some(): Promise<Bytes | undefined> {
    const held = this.held;
    this.held = held.subarray(held.length);
    return held.length > 0 ? held : (await this.reader.read()).value;
  }

  async *rest(): AsyncGenerator<Bytes> {
    for (let bytes; (bytes = await this.some()) !== undefined;) yield bytes;
  }

  async cancel(): Promise<void> {
    await this.reader.cancel().catch(() => {});
  }
}

/** The next bytes: as many, or it throws `error`. */
export async function whole(reader: ByteReader, count: number, error: () => Error): Promise<Bytes> {
  const bytes = await reader.take(count);
  if (bytes.length < count) throw error();
  return bytes;
}
