// SPDX-License-Identifier: MIT
// The backends of shares: the one list of them.

import { nodeModule } from '../machine/platform.ts';
import { FolderShare, type Files } from './folder-share.ts';
import { MemoryShare } from './memory-share.ts';
import type { Share } from './share.ts';

/** Where a share's files are. The owner has checked all of it. */
export interface ShareSource {
  name: string;
  readOnly: boolean;
  /** The absolute path in the guest. */
  place: string;
  /** A folder of Node.js. Without it the share is in memory. */
  folder?: string;
  /** Bytes that a share in memory may take. */
  size?: number;
}

const MEMORY_SIZE = 2 ** 30;

/** @throws Error with a message for users. */
export function openShare({ folder, size, readOnly }: ShareSource): Share {
  if (folder === undefined) return new MemoryShare(size ?? MEMORY_SIZE, readOnly);
  const files = nodeModule('node:fs') as Files | undefined;
  if (files === undefined) throw new Error('only Node.js has folders');
  return new FolderShare(files, folder, readOnly);
}
