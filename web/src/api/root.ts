// SPDX-License-Identifier: MIT
// The option `root`: an image in chunks as the root file system.

import { isNode } from '../machine/platform.ts';
import type { InitialEntry } from '../machine/protocol.ts';
import type { DiskSource } from '../storage/protocol.ts';

/** No other disk has this name if there is a root. */
export const ROOT_DISK = 'root';

/**
 * The kernel's first program is then sysinit, which makes the root file system
 * (userland/programs/sysinit/root.c).
 */
export const ROOT_ARGUMENT = 'rdinit=/sbin/sysinit';

/** sysinit moves what is here to the root file system. */
const OWNERS_FILES = '/.owner';

const MANIFEST = 'root.json';

/** `root`: the address of a manifest, or of its folder. `cache`: rootCache. */
export function rootSource(root: string, cache: string | false | undefined): DiskSource {
  const isFile = isNode && !/^https?:/.test(root);
  const whole = /\.json$/.test(root) ? root : `${root.replace(/\/$/, '')}/${MANIFEST}`;
  const address = isFile ? whole : new URL(whole, isNode ? undefined : document.baseURI).href;
  const kept = isNode ? (typeof cache === 'string' ? { cache } : {}) : cache === false ? {} : { kept: true as const };
  return { name: ROOT_DISK, readOnly: true, image: { address, ...kept } };
}

export function filesForRoot(files: readonly InitialEntry[]): InitialEntry[] {
  return files.map((entry) => ({ ...entry, path: OWNERS_FILES + entry.path }));
}
