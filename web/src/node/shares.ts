// SPDX-License-Identifier: MIT
// The option --share DIR[:GUESTPATH][:ro].

import { basename, resolve } from 'node:path';
import type { ShareOptions } from '../api/types.ts';
import { UsageError } from './options.ts';

const LONGEST_NAME = 35;

/**
 * What --share options name. A folder's name may have colons: only what is
 * known at its end is taken off.
 */
export function sharesOf(values: readonly string[]): ShareOptions[] {
  const shares: ShareOptions[] = [];
  for (const value of values) {
    let folder = value;
    const readOnly = folder.endsWith(':ro');
    if (readOnly) folder = folder.slice(0, -':ro'.length);
    const path = /^(.+):(\/[^:]*)$/s.exec(folder);
    if (path !== null) folder = path[1]!;
    if (folder === '') throw new UsageError(`--share ${value}: write DIR[:GUESTPATH][:ro]`);
    const name = nameOf(folder, shares);
    shares.push({
      name,
      folder,
      readOnly,
      ...(path === null ? {} : { path: path[2]!.replace(/(?<=.)\/+$/, '') }),
    });
  }
  return shares;
}

/** As the folder, with letters that a name can have, and of no other share. */
function nameOf(folder: string, others: readonly ShareOptions[]): string {
  const letters =
    basename(resolve(folder))
      .replaceAll(/[^\w-]/g, '-')
      .slice(0, LONGEST_NAME - 3) || 'share';
  let name = letters;
  for (let count = 2; others.some((share) => share.name === name); ++count) name = `${letters}-${count}`;
  return name;
}
