// SPDX-License-Identifier: MIT
// A copy in memory of a saved disk that another tab has, as it was at one
// moment. The two talk by a channel between tabs.

import { MemoryDisk } from './memory-disk.ts';
import type { Snapshot } from './snapshot.ts';
import type { FromTransfer } from './transfers.ts';

/** `copy`: which one, because several tabs may want copies. */
type CopyMessage = { copy: string; type: 'pull' } | { copy: string; type: 'reply'; reply: FromTransfer };

/** Milliseconds for the other tab to answer. It may be busy or frozen. */
const PATIENCE = 10_000;

const channelOf = (disk: string): string => `auklet-copy-${disk}`;

/** Bytes of a copy at most. It is all in memory. */
const MOST_COPIED = 1 << 30;

/**
 * Gives copies to other tabs. `begin` returns a snapshot and a function to end
 * it. Returns a function that ends the offer.
 */
export function offerCopies(disk: string, begin: () => [Snapshot, () => void]): () => void {
  const channel = new BroadcastChannel(channelOf(disk));
  const copies = new Map<string, { snapshot: Snapshot; end: () => void }>();
  const answer = async (copy: string): Promise<FromTransfer> => {
    const { snapshot } = copies.get(copy)!;
    const piece = await snapshot.next();
    return piece === undefined ? { type: 'end', length: snapshot.size } : { type: 'piece', ...piece };
  };
  channel.onmessage = ({ data }: MessageEvent<CopyMessage>) => {
    if (data.type !== 'pull') return;
    const { copy } = data;
    if (!copies.has(copy)) {
      const [snapshot, end] = begin();
      copies.set(copy, { snapshot, end });
      // The tab that copies holds this lock until it has all, or is gone.
      void navigator.locks.request(copy, () => {
        copies.delete(copy);
        end();
      });
    }
    answer(copy)
      .catch((error: unknown): FromTransfer => ({ type: 'failed', message: String(error) }))
      .then((reply) => channel.postMessage({ copy, type: 'reply', reply } satisfies CopyMessage))
      // The offer has ended meanwhile.
      .catch(() => {});
  };
  return () => {
    channel.close();
    for (const { end } of copies.values()) end();
  };
}

/** @throws Error with a message for users. */
export async function copyFromHolder(disk: string): Promise<MemoryDisk> {
  const copy = `auklet-copy-${crypto.randomUUID()}`;
  return navigator.locks.request(copy, async () => {
    const channel = new BroadcastChannel(channelOf(disk));
    try {
      const pieces: { offset: number; bytes: Uint8Array }[] = [];
      for (let sum = 0; ;) {
        const reply = await pull(channel, copy);
        if (reply.type === 'failed') throw new Error(`the other tab could not copy it: ${reply.message}`);
        if (reply.type === 'end') return diskOf(reply.length, pieces);
        if (reply.type !== 'piece') continue;
        if ((sum += reply.bytes.length) > MOST_COPIED) throw new Error('it is too large for a copy in memory');
        pieces.push(reply);
      }
    } finally {
      channel.close();
    }
  });
}

function pull(channel: BroadcastChannel, copy: string): Promise<FromTransfer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the other tab does not answer')), PATIENCE);
    channel.onmessage = ({ data }: MessageEvent<CopyMessage>) => {
      if (data.type !== 'reply' || data.copy !== copy) return;
      clearTimeout(timer);
      resolve(data.reply);
    };
    channel.postMessage({ copy, type: 'pull' } satisfies CopyMessage);
  });
}

function diskOf(size: number, pieces: { offset: number; bytes: Uint8Array }[]): MemoryDisk {
  const disk = new MemoryDisk(size, false);
  for (const { offset, bytes } of pieces) disk.write(offset, [bytes]);
  return disk;
}
