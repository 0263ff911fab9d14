// SPDX-License-Identifier: MIT
// The option --get GUEST:HOST of exec: brings results back.
//
// The guest copies them to a shared folder that is new and empty, so that it
// reaches nothing else of this computer's. Then they are moved to their place.

import { mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, posix, resolve } from 'node:path';
import type { Machine } from '../api/machine.ts';
import type { ShareOptions } from '../api/types.ts';
import { UsageError } from './options.ts';

interface Get {
  option: string;
  guest: string;
  host: string;
}

/** What the guest runs. The modes of files stay as they are. */
const COPY = 'umask 0; exec cp -RP -- "$1" "$2"';

function getOf(option: string): Get {
  const match = /^(\/.*?):(.+)$/s.exec(option);
  const guest = match === null ? '/' : posix.normalize(match[1]!).replace(/\/+$/, '');
  if (match === null || guest === '') throw new UsageError(`--get ${option}: write /ABSOLUTE/GUEST/PATH:HOST-FILE`);
  const isFolder = statSync(match[2]!, { throwIfNoEntry: false })?.isDirectory() === true;
  const host = isFolder || match[2]!.endsWith('/') ? join(match[2]!, posix.basename(guest)) : match[2]!;
  return { option: `--get ${option}`, guest, host: resolve(host) };
}

export class Gets {
  private readonly gets: readonly Get[];
  private readonly folders: string[] = [];

  constructor(options: readonly string[]) {
    this.gets = options.map(getOf);
  }

  get any(): boolean {
    return this.gets.length > 0;
  }

  /** Makes the folders that the guest copies to. */
  shares(): ShareOptions[] {
    return this.gets.map(({ option, host }, index) => {
      let folder;
      try {
        folder = mkdtempSync(join(dirname(host), '.auklet-get-'));
      } catch (error) {
        this.end();
        throw new UsageError(`${option}: nothing can be made in ${dirname(host)} (${codeOf(error)})`);
      }
      this.folders.push(folder);
      return { name: `get-${index}`, folder, path: `/run/auklet/get-${index}` };
    });
  }

  /** Returns what failed, for users. */
  async fetch(machine: Machine): Promise<string[]> {
    const failures: string[] = [];
    for (const [index, { option, guest, host }] of this.gets.entries()) {
      try {
        const { status, stderr } = await machine.exec(['sh', '-c', COPY, 'get', guest, `/run/auklet/get-${index}/`]);
        if (status !== 0) throw new Error(new TextDecoder().decode(stderr).trim());
        renameSync(join(this.folders[index]!, basename(guest)), host);
      } catch (error) {
        failures.push(`${option}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return failures;
  }

  end(): void {
    for (const folder of this.folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code ?? error;
}
