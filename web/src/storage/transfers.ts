// SPDX-License-Identifier: MIT
// What passes between a disk and its owner, on a port of its own: the disk's
// bytes, or new ones. Each piece waits for the owner to be ready, and for the
// disk.

import type { Replacement, SavedDisk } from './saved-disk.ts';
import { isZero, type Piece, type Snapshot } from './snapshot.ts';

export type ToTransfer =
  /** Answered with 'piece', 'end' or 'failed'. */
  | { type: 'pull' }
  /** Answered with 'ready' or 'failed'. */
  | ({ type: 'piece' } & Piece)
  /** All pieces were sent; `length` bytes. Answered with 'end' or 'failed'. */
  | { type: 'commit'; length: number }
  | { type: 'cancel' };

export type FromTransfer =
  /** An export begins, of so many bytes. */
  | { type: 'begin'; length: number }
  | ({ type: 'piece' } & Piece)
  | { type: 'ready' }
  /** `length`: bytes of all. */
  | { type: 'end'; length: number }
  /** The text is for users. */
  | { type: 'failed'; message: string };

/** Resolves when the owner has all pieces, or wants no more. */
export function sendPieces(snapshot: Snapshot, port: MessagePort): Promise<void> {
  port.postMessage({ type: 'begin', length: snapshot.size } satisfies FromTransfer);
  return serve(port, async (message) => {
    if (message.type !== 'pull') return undefined;
    const piece = await snapshot.next();
    return piece === undefined ? { type: 'end', length: snapshot.size } : { type: 'piece', ...piece };
  });
}

/** Resolves when the disk has a new content, or keeps the old one. */
export async function takePieces(disk: SavedDisk, port: MessagePort): Promise<void> {
  let replacement: Replacement | undefined;
  await serve(port, async (message) => {
    replacement ??= await disk.replacement();
    if (message.type === 'piece') {
      if (!isZero(message.bytes)) await replacement.write(message.offset, message.bytes);
      return { type: 'ready' };
    }
    if (message.type !== 'commit') return undefined;
    await replacement.commit(message.length);
    replacement = undefined;
    return { type: 'end', length: message.length };
  });
  await replacement?.abandon();
}

/** Answers messages one by one, until one is no answer or the last. */
function serve(port: MessagePort, answer: (message: ToTransfer) => Promise<FromTransfer | undefined>): Promise<void> {
  return new Promise((resolve) => {
    let previous = Promise.resolve(true);
    const handle = async (message: ToTransfer): Promise<boolean> => {
      let reply: FromTransfer | undefined;
      try {
        reply = message.type === 'cancel' ? undefined : await answer(message);
      } catch (error) {
        reply = { type: 'failed', message: error instanceof Error ? error.message : String(error) };
      }
      if (reply !== undefined) port.postMessage(reply, reply.type === 'piece' ? [reply.bytes.buffer] : []);
      if (reply?.type === 'piece' || reply?.type === 'ready') return true;
      port.close();
      resolve();
      return false;
    };
    port.onmessage = ({ data }: MessageEvent<ToTransfer>) => {
      previous = previous.then((goesOn) => goesOn && handle(data));
    };
  });
}
