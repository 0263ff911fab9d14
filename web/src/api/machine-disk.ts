// SPDX-License-Identifier: MIT
// What the owner can do with a disk of a machine: copy it out, replace it.

import type { DiskDescription, DiskWish } from '../storage/protocol.ts';
import type { Piece } from '../storage/snapshot.ts';
import type { FromTransfer, ToTransfer } from '../storage/transfers.ts';
import { checkDiskSize } from './check-options.ts';
import { chunks, compressMembers, decompress, streamOf, ZEROS } from './gzip.ts';
import { outputStream, type Exec } from './output-stream.ts';
import type { StorageClient } from './storage.ts';
import { MachineError } from './types.ts';

export interface DiskExportOptions {
  /**
   * The raw image, that as gzip (the default), or a tar of the files. For a tar
   * the machine must have been booted with `exec: true`.
   */
  format?: 'raw' | 'raw.gz' | 'tar';
  /**
   * Bytes of the image that are done, of all; of a tar, of those that the disk
   * takes, which is about as much.
   */
  onProgress?: (done: number, total: number) => void;
  /**
   * Told of each file of which a tar has not what is on the disk, before the
   * stream ends: a path from the top of the disk, and what has become of it.
   */
  onChanged?: (path: string, change: TarChange) => void;
}

/**
 * What happened to a file while a tar was made: it was gone when its turn came,
 * and is not in the tar; it was written to; or its end was cut off, which is
 * zeros in the tar.
 */
export type TarChange = 'gone' | 'changed' | 'cut';

export interface DiskImportOptions {
  /** Bytes of the image that are done. */
  onProgress?: (done: number) => void;
  /** Ends the import. The disk stays as it is. */
  signal?: AbortSignal;
}

/** Bytes that are sent at a time. */
const PIECE = 1 << 20;

const SECTOR = 512;

/** The guest keeps its users' files on the disk of this name. */
const HOME_DISK = 'home';

/**
 * The disk may be mounted in parts, or not at all. A mount of its whole, which
 * only this shell and its children see, ends with them. mount without a type
 * would try others first, and the kernel would say so on the console.
 */
const TAR_OF_DISK = String.raw`
type=$(blkid "$1" | sed -n 's/.* TYPE="\([^"]*\)".*/\1/p')
[ -n "$type" ] || { echo there is no file system on it >&2; exit 1; }
{ mount -t "$type" "$1" /mnt 2> /dev/null || mount -r -t "$type" "$1" /mnt; } && exec tar -c -f - -C /mnt --exclude ./lost+found .`;

/**
 * Why tar complains of a file, and goes on. The texts of the last two are from
 * our patch of it.
 */
const CHANGES = new Map<string, TarChange>([
  ['No such file or directory', 'gone'],
  ['it has changed while it was read', 'changed'],
  ['its last bytes are missing, and zeros in the archive', 'cut'],
]);
const COMPLAINT = /^tar: (?:can't open '\.\/(.*)'|\.\/(.*?)(?:: cannot read link)?): ([^:]*)$/;
/** A tar has no sockets. */
const IDLE_COMPLAINT = /^tar: (?:error exit delayed from previous errors|.*: socket ignored)$/;

/**
 * The files of which tar has complained; undefined if it has complained of
 * anything else. A name with line breaks is such a thing.
 */
export function changesIn(complaints: string): [path: string, change: TarChange][] | undefined {
  const changes: [string, TarChange][] = [];
  for (const line of complaints.split('\n').slice(0, -1)) {
    if (IDLE_COMPLAINT.test(line)) continue;
    const [, unopened, other, reason = ''] = COMPLAINT.exec(line) ?? [];
    const change = CHANGES.get(reason);
    if (change === undefined) return undefined;
    changes.push([(unopened ?? other)!, change]);
  }
  return changes;
}

export class MachineDisk {
  readonly name: string;
  private readonly storage: StorageClient;
  private readonly exec: Exec | undefined;

  /** `exec`: of a machine with an exec agent. */
  constructor(name: string, storage: StorageClient, exec: Exec | undefined) {
    this.name = name;
    this.storage = storage;
    this.exec = exec;
  }

  /** Bytes of the disk. */
  async size(): Promise<number> {
    return (await this.description()).size;
  }

  /** Bytes that the disk takes where it is kept. */
  async usage(): Promise<number> {
    return this.simple({ type: 'usage' });
  }

  /**
   * Makes the disk larger, while the guest uses it. `size` is in bytes, or as
   * for boot(). Resolves when the guest's driver is told.
   *
   * The file system of the disk 'home' grows, too. In a machine of `exec: true`
   * this is awaited, and what is at fault with it rejects, although the disk
   * itself is larger then. In any other machine it grows at the next boot, or
   * by `/sbin/sysinit grow` in the guest. What to do with the room of another
   * disk is up to those who use it.
   * @throws MachineError 'invalid-option' if it is no size; 'disk' if the disk
   *   would become smaller, cannot grow, or finds no room. Nothing has changed
   *   then.
   */
  async grow(size: number | string): Promise<void> {
    const bytes = checkDiskSize(size);
    const description = await this.description();
    description.size = await this.simple({ type: 'grow', size: bytes });
    if (this.name === HOME_DISK && this.exec !== undefined) await this.growFiles(this.exec, bytes);
  }

  private async growFiles(exec: Exec, bytes: number): Promise<void> {
    const { status, stderr } = await exec(['/sbin/sysinit', 'grow', String(bytes)]);
    if (status === 0) return;
    const reason = new TextDecoder().decode(stderr).trim() || `/sbin/sysinit has ended with ${status}`;
    throw new MachineError('disk', `disk ${this.name} has ${bytes} bytes now, but its file system: ${reason}`);
  }

  /**
   * The image of the disk, as it is now: what is written later is not in it,
   * and what a program has not synced may not be. Cancelling the stream ends
   * the export. The stream fails with a MachineError 'disk' if the machine is
   * disposed of.
   *
   * A tar has the files as the guest sees them, one after the other, also those
   * that were not synced. Programs may change and remove them meanwhile, which
   * `onChanged` tells. It fails at its end if one of them cannot be read.
   */
  export({ format = 'raw.gz', onProgress, onChanged }: DiskExportOptions = {}): ReadableStream<
    Uint8Array<ArrayBuffer>
  > {
    if (format === 'tar') return streamOf(this.tar(onProgress, onChanged));
    return streamOf(format === 'raw' ? this.raw(onProgress) : this.compressed(onProgress));
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
    const given = image instanceof ReadableStream ? image : new Blob([image]).stream();
    const stream = signal === undefined ? given : given.pipeThrough(new TransformStream(), { signal });
    const transfer = new Transfer(this.storage, { type: 'import' }, this.name);
    try {
      let offset = 0;
      for await (const piece of piecesOf(decompress(stream))) {
        signal?.throwIfAborted();
        const length = typeof piece === 'number' ? piece : piece.length;
        if (length % SECTOR !== 0) throw new Error(`its length is no multiple of ${SECTOR} bytes`);
        if (typeof piece !== 'number') await transfer.ask({ type: 'piece', offset, bytes: piece }, [piece.buffer]);
        offset += length;
        onProgress?.(offset);
      }
      if (offset === 0) throw new Error('it is empty');
      await transfer.ask({ type: 'commit', length: offset });
    } catch (error) {
      transfer.cancel();
      if (signal?.aborted || error instanceof MachineError) throw signal?.reason ?? error;
      throw new MachineError('disk', `the image cannot be read: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * Makes a saved disk a new one, when a machine opens it the next time. The
   * present machine goes on with the old content.
   * @throws MachineError 'disk'
   */
  async reset(): Promise<void> {
    await this.simple({ type: 'reset' });
  }

  private async description(): Promise<DiskDescription> {
    const { disks } = await this.storage.opened;
    return disks.find((disk) => disk.name === this.name)!;
  }

  private async simple(wish: DiskWish): Promise<number> {
    await this.storage.opened;
    const reply = await new Transfer(this.storage, wish, this.name).answer;
    return reply.type === 'end' ? reply.length : 0;
  }

  /** How many bytes the image has, and what of them is not zero. */
  private async exported(): Promise<{ total: number; pieces: AsyncGenerator<Piece> }> {
    await this.storage.opened;
    const transfer = new Transfer(this.storage, { type: 'export' }, this.name);
    const begin = await transfer.answer;
    return { total: begin.type === 'begin' ? begin.length : 0, pieces: this.pieces(transfer) };
  }

  private async *pieces(transfer: Transfer): AsyncGenerator<Piece> {
    try {
      for (let reply; (reply = await transfer.ask({ type: 'pull' })).type === 'piece';) yield reply;
    } finally {
      transfer.cancel();
    }
  }

  private async *raw(onProgress?: DiskExportOptions['onProgress']): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { total, pieces } = await this.exported();
    let done = 0;
    const progress = (bytes: Uint8Array<ArrayBuffer>) => {
      done += bytes.length;
      onProgress?.(done, total);
      return bytes;
    };
    const zeros = function* (end: number) {
      for (let left = end - done; left > 0; left -= PIECE) yield progress(new Uint8Array(Math.min(PIECE, left)));
    };
    for await (const { offset, bytes } of pieces) {
      yield* zeros(offset);
      yield progress(bytes);
    }
    yield* zeros(total);
  }

  private async *tar(
    onProgress: DiskExportOptions['onProgress'],
    onChanged: DiskExportOptions['onChanged'],
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (this.exec === undefined)
      throw new MachineError('failed', 'boot the machine with exec: true to export the files of a disk');
    const total = await this.usage();
    const command = ['unshare', '-m', 'sh', '-c', TAR_OF_DISK, 'sh', `/dev/disk/by-id/virtio-${this.name}`];
    const stream = outputStream(this.exec, command, ({ status, stderr }) => {
      if (status === 0) return;
      const complaints = new TextDecoder().decode(stderr);
      const changes = changesIn(complaints);
      if (status !== 1 || changes === undefined || changes.length === 0)
        throw new MachineError('disk', `the files of the disk ${this.name} cannot be read: ${complaints.trim()}`);
      for (const change of changes) onChanged?.(...change);
    });
    let done = 0;
    for await (const bytes of chunks(stream)) {
      done += bytes.length;
      onProgress?.(done, Math.max(done, total));
      yield bytes;
    }
  }

  private async *compressed(onProgress?: DiskExportOptions['onProgress']): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { total, pieces } = await this.exported();
    yield* compressMembers(pieces, total, (done) => onProgress?.(done, total));
  }
}

/** The owner's end of a transfer. */
class Transfer {
  private readonly port: MessagePort;
  private take: ((reply: FromTransfer) => void) | undefined;
  /** The next reply; rejects with a MachineError. */
  answer!: Promise<FromTransfer>;

  constructor(storage: StorageClient, wish: DiskWish, disk: string) {
    const port = storage.transfer(wish, disk);
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

/**
 * The same bytes in pieces of PIECE bytes, of which the last may be smaller.
 * Zeros that begin with a piece are their number.
 */
async function* piecesOf(
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer> | number> {
  let piece = new Uint8Array(PIECE);
  let length = 0;
  for await (const chunk of bytes) {
    if (chunk === ZEROS && length === 0) {
      yield chunk.length;
      continue;
    }
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + PIECE - length);
      piece.set(part, length);
      length += part.length;
      at += part.length;
      if (length < PIECE) continue;
      yield piece;
      piece = new Uint8Array(PIECE);
      length = 0;
    }
  }
  if (length > 0) yield piece.slice(0, length);
}
