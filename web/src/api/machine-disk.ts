// SPDX-License-Identifier: MIT
// What the owner can do with a disk of a machine: copy it out, replace it.

import type { FromTransfer, ToTransfer } from '../storage/transfers.ts';
import type { StorageClient } from './storage.ts';
import { MachineError } from './types.ts';

export interface DiskExportOptions {
  /** The raw image, or that as gzip (the default). */
  format?: 'raw' | 'raw.gz';
  /** Bytes of the image that are done, of all. */
  onProgress?: (done: number, total: number) => void;
}

export interface DiskImportOptions {
  /** Bytes of the image that are done. */
  onProgress?: (done: number) => void;
  /** Ends the import. The disk stays as it is. */
  signal?: AbortSignal;
}

/** Bytes that are sent at a time. */
const PIECE = 1 << 20;

const SECTOR = 512;

export class MachineDisk {
  readonly name: string;
  private readonly storage: StorageClient;

  constructor(name: string, storage: StorageClient) {
    this.name = name;
    this.storage = storage;
  }

  /** Bytes of the disk. */
  async size(): Promise<number> {
    const { disks } = await this.storage.opened;
    return disks.find((disk) => disk.name === this.name)!.size;
  }

  /** Bytes that the disk takes where it is kept. */
  async usage(): Promise<number> {
    return this.simple('usage');
  }

  /**
   * The image of the disk, as it is now: what is written later is not in it,
   * and what a program has not synced may not be. Cancelling the stream ends
   * the export. The stream fails with a MachineError 'disk' if the machine is
   * disposed of.
   */
  export({ format = 'raw.gz', onProgress }: DiskExportOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    const raw = this.image(onProgress);
    return format === 'raw' ? raw : raw.pipeThrough(new CompressionStream('gzip'));
  }

  /**
   * Replaces the content of a saved disk by an image, raw or as gzip, when a
   * machine opens the disk the next time. The present machine goes on with the
   * old content. Nothing has changed if this rejects.
   * @throws MachineError 'disk' if the image is none, or has no room, or the
   *   disk is not a saved one; the reason of `signal`.
   */
  async import(
    image: ReadableStream<Uint8Array<ArrayBuffer>> | Blob | Uint8Array<ArrayBuffer>,
    { onProgress, signal }: DiskImportOptions = {},
  ): Promise<void> {
    signal?.throwIfAborted();
    const stream = image instanceof ReadableStream ? image : new Blob([image]).stream();
    const pieces = (await decompressed(stream)).getReader();
    const transfer = new Transfer(this.storage, 'import', this.name);
    const abort = () => void pieces.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener('abort', abort, { once: true });
    try {
      let offset = 0;
      for await (const bytes of ofSize(PIECE, pieces)) {
        const { length } = bytes;
        if (length % SECTOR !== 0) throw new Error(`its length is no multiple of ${SECTOR} bytes`);
        await transfer.ask({ type: 'piece', offset, bytes }, [bytes.buffer]);
        offset += length;
        onProgress?.(offset);
      }
      signal?.throwIfAborted();
      if (offset === 0) throw new Error('it is empty');
      await transfer.ask({ type: 'commit', length: offset });
    } catch (error) {
      transfer.cancel();
      abort();
      if (signal?.aborted || error instanceof MachineError) throw signal?.reason ?? error;
      throw new MachineError('disk', `the image cannot be read: ${error instanceof Error ? error.message : error}`);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Makes a saved disk a new one, when a machine opens it the next time. The
   * present machine goes on with the old content.
   * @throws MachineError 'disk'
   */
  async reset(): Promise<void> {
    await this.simple('reset');
  }

  private async simple(type: 'usage' | 'reset'): Promise<number> {
    await this.storage.opened;
    const reply = await new Transfer(this.storage, type, this.name).answer;
    return reply.type === 'end' ? reply.length : 0;
  }

  private image(onProgress: DiskExportOptions['onProgress']): ReadableStream<Uint8Array<ArrayBuffer>> {
    let transfer: Transfer | undefined;
    let total = 0;
    let done = 0;
    /** What comes after the zeros before it. */
    let next: FromTransfer | undefined;
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: async () => {
          total = await this.size();
          transfer = new Transfer(this.storage, 'export', this.name);
        },
        pull: async (controller) => {
          next ??= await transfer!.ask({ type: 'pull' });
          const end = next.type === 'piece' ? next.offset : total;
          const bytes = done < end || next.type !== 'piece' ? new Uint8Array(Math.min(PIECE, end - done)) : next.bytes;
          if (done === end) next = undefined;
          done += bytes.length;
          if (bytes.length > 0) controller.enqueue(bytes);
          onProgress?.(done, total);
          if (done === total) {
            transfer!.cancel();
            controller.close();
          }
        },
        cancel: () => transfer?.cancel(),
      },
      { highWaterMark: 0 },
    );
  }
}

/** The owner's end of a transfer. */
class Transfer {
  private readonly port: MessagePort;
  private take: ((reply: FromTransfer) => void) | undefined;
  /** The next reply; rejects with a MachineError. */
  answer!: Promise<FromTransfer>;

  constructor(storage: StorageClient, type: 'export' | 'import' | 'reset' | 'usage', disk: string) {
    const port = storage.transfer(type, disk);
    this.port = port;
    port.onmessage = ({ data }: MessageEvent<FromTransfer>) => this.hear(data);
    void storage.ended.then(() => this.hear({ type: 'failed', message: 'the machine was disposed of' }));
    this.expect();
  }

  async ask(message: ToTransfer, transferred: Transferable[] = []): Promise<FromTransfer> {
    this.expect();
    this.port.postMessage(message, transferred);
    return this.answer;
  }

  cancel(): void {
    this.port.postMessage({ type: 'cancel' } satisfies ToTransfer);
    this.port.close();
  }

  private hear(reply: FromTransfer): void {
    if (reply.type === 'end' || reply.type === 'failed') this.port.close();
    this.take?.(reply);
  }

  private expect(): void {
    this.answer = new Promise<FromTransfer>((resolve, reject) => {
      this.take = (reply) =>
        reply.type === 'failed' ? reject(new MachineError('disk', reply.message)) : resolve(reply);
    });
    this.answer.catch(() => {});
  }
}

/** The stream, or what is in it if it is gzip. */
async function decompressed(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const [head, whole] = stream.tee();
  const reader = head.getReader();
  const first: number[] = [];
  for (let result; first.length < 2 && !(result = await reader.read()).done;)
    first.push(...result.value.subarray(0, 2));
  void reader.cancel().catch(() => {});
  const isGzip = first[0] === 0x1f && first[1] === 0x8b;
  return isGzip ? whole.pipeThrough(new DecompressionStream('gzip')) : whole;
}

/** All bytes of a stream, in pieces of this size; the last may be smaller. */
async function* ofSize(
  size: number,
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(size);
  let length = 0;
  for (let result; !(result = await reader.read()).done;) {
    for (let at = 0; at < result.value.length;) {
      const part = result.value.subarray(at, at + size - length);
      piece.set(part, length);
      length += part.length;
      at += part.length;
      if (length < size) continue;
      yield piece;
      piece = new Uint8Array(size);
      length = 0;
    }
  }
  if (length > 0) yield piece.slice(0, length);
}
