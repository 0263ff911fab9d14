// SPDX-License-Identifier: MIT
// The option --disk FILE[:ro][:name=NAME][:size=SIZE][:ext4].

import { basename, extname } from 'node:path';
import type { BootOptions, DiskOptions } from '../api/types.ts';
import { UsageError, type CommandLine } from './options.ts';

const LONGEST_NAME = 20;

/**
 * What --disk options name. A file's name may have colons: only what is known
 * at its end is taken off.
 */
export function disksOf(values: readonly string[]): DiskOptions[] {
  return values.map((value) => {
    const disk: DiskOptions = { name: '', file: value };
    for (let match; (match = /^(.*):(ro|ext4|name=[^:]*|size=[^:]*)$/s.exec(disk.file!)) !== null;) {
      disk.file = match[1]!;
      const [option, text] = match[2]!.split('=') as [string, string?];
      if (option === 'ro') disk.readOnly = true;
      else if (option === 'ext4') disk.format = 'ext4';
      else if (option === 'name') disk.name ||= text!;
      else disk.size ??= text!;
    }
    if (disk.file === '') throw new UsageError(`--disk ${value}: write FILE[:ro][:name=NAME][:size=SIZE][:ext4]`);
    disk.name ||= nameOf(disk.file!);
    return disk;
  });
}

/** What --root and --root-cache name. */
export function rootOf({ values }: CommandLine): Pick<BootOptions, 'root' | 'rootCache'> {
  const root = values.get('root');
  const rootCache = values.get('root-cache');
  if (rootCache !== undefined && root === undefined) throw new UsageError('--root-cache needs --root');
  return { ...(root === undefined ? {} : { root }), ...(rootCache === undefined ? {} : { rootCache }) };
}

/**
 * As the file, without its ending and with letters that a disk's name can have.
 */
function nameOf(file: string): string {
  const name = basename(file, extname(file)).replaceAll(/[^\w-]/g, '-');
  return name.slice(0, LONGEST_NAME) || 'disk';
}
