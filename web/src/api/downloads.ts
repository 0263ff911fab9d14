// SPDX-License-Identifier: MIT
// Files that programs of the guest give to the owner (docs/transfers.md). What
// comes may be anything: the guest may be hostile.

import { ByteReader, whole } from './byte-reader.ts';
import { safeName } from './file-names.ts';
import { DOWNLOAD_PORT } from './sockets.ts';
import type { MachineSocket } from './types.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const HEADER_SIZE = 16;
const FILE = 1;
const FOLDER = 2;
const UNKNOWN = 2n ** 64n - 1n;

/** Linux's limit for a name, and room for ".tar". */
const MOST_NAME = 260;
/** Bytes of a piece. The command sends 64 KiB. */
const MOST_PIECE = 1 << 20;
/** Downloads that are open at a time. */
const MOST_OPEN = 8;
/**
 * Bytes that are still read when the owner has said no: they were on their way.
 * A program that goes on after them is cut off.
 */
const MOST_REST = 1 << 20;
/** Characters of the owner's answer. */
const MOST_ANSWER = 200;

/** A file that the guest gives. */
export interface Download {
  /** One name without characters that mislead; it ends in .tar for a folder. */
  readonly name: string;
  /** Whether the content is a folder, as a tar. */
  readonly folder: boolean;
  /** Bytes that the guest expects. It may be wrong. */
  readonly size: number | undefined;
  /**
   * The content, read as fast as it is taken. It fails if the guest breaks it
   * off. Cancelling it tells the guest that nobody wants more.
   */
  readonly content: ReadableStream<Bytes>;
  /** Aborts when the program has gone. */
  readonly signal: AbortSignal;
}

/**
 * Calls the handler for each file that the command `download` gives. The
 * command waits for the handler: it prints the text that the handler resolves
 * to, or "saved". If the handler rejects, the command fails with that message.
 * Returns a function to end that.
 * @throws MachineError 'invalid-option' if the machine has a taker already.
 */
export function takeDownloads(
  machine: { listen(port: number, handler: (socket: MachineSocket) => unknown): () => void },
  take: (download: Download) => Promise<string | void>,
): () => void {
  return machine.listen(DOWNLOAD_PORT, downloadTaker(take));
}

/** What takeDownloads() does with each connection. */
export function downloadTaker(
  take: (download: Download) => Promise<string | void>,
): (socket: MachineSocket) => Promise<void> {
  let open = 0;
  return async (socket) => {
    const reader = new ByteReader((socket.readable as ReadableStream<Bytes>).getReader());
    const isRoom = open < MOST_OPEN;
    const gone = new AbortController();
    void socket.closed.then(() => gone.abort());
    ++open;
    try {
      const text = isRoom ? await outcome(reader, gone.signal, take) : '-too many downloads at once';
      await answer(socket, text);
      // The answer would be lost with a connection that is cut off.
      for (let rest = MOST_REST, bytes; rest > 0 && (bytes = await reader.some()) !== undefined;) rest -= bytes.length;
    } catch {
      // The program has gone.
    } finally {
      --open;
      socket.reset();
    }
  };
}

async function outcome(
  reader: ByteReader,
  signal: AbortSignal,
  take: (download: Download) => Promise<string | void>,
): Promise<string> {
  try {
    return `+${(await take(await readDownload(reader, signal))) ?? 'saved'}`;
  } catch (error) {
    return `-${error instanceof Error ? error.message : String(error)}`;
  }
}

async function answer(socket: MachineSocket, text: string): Promise<void> {
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(text.slice(0, MOST_ANSWER)));
  await writer.close();
}

/**
 * Reads what a download begins with. `signal` is that of the result.
 * @throws Error if it is none.
 */
export async function readDownload(
  reader: ByteReader,
  signal: AbortSignal = new AbortController().signal,
): Promise<Download> {
  const head = await whole(reader, HEADER_SIZE, brokenOff);
  const view = new DataView(head.buffer, head.byteOffset);
  const kind = view.getUint32(0, true);
  const length = view.getUint32(4, true);
  const size = view.getBigUint64(8, true);
  if ((kind !== FILE && kind !== FOLDER) || length > MOST_NAME) throw new Error('what the program sends is no file');
  const name = safeName(new TextDecoder().decode(await whole(reader, length, brokenOff)));
  return {
    name,
    folder: kind === FOLDER,
    // Nobody has files of more bytes than a number can count.
    size: size === UNKNOWN || size > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(size),
    content: contentOf(reader),
    signal,
  };
}

function contentOf(reader: ByteReader): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>(
    {
      pull: async (controller) => {
        const head = await whole(reader, 4, brokenOff);
        const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
        if (length > MOST_PIECE) throw new Error('what the program sends is no file');
        if (length > 0) controller.enqueue(await whole(reader, length, brokenOff));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

const brokenOff = () => new Error('the program has broken it off');
