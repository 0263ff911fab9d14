// SPDX-License-Identifier: MIT
// Machines in Node.js: the same as in a page, with parts and files read from the disk.

import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { Machine } from '../api/machine.ts';
import type { Assets, BootOptions, InitialFile } from '../api/types.ts';
import { UsageError } from './options.ts';

/** This file is bundled into build/cli; AUKLET_PARTS names another build folder. */
function part(path: string): URL {
  const folder = process.env.AUKLET_PARTS;
  return folder === undefined ? new URL(`../${path}`, import.meta.url) : new URL(path, `file://${folder}/`);
}

async function read(path: string, instead?: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(instead ?? part(path));
    // An array of its own can be transferred to the host worker instead of copied.
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
  } catch {
    throw new UsageError(
      instead === undefined
        ? `${path} is missing in the build folder; run: ./auklet build`
        : `cannot read the kernel ${instead}`,
      1,
    );
  }
}

export async function loadAssets(): Promise<Assets> {
  const [kernel, initramfs, host] = await Promise.all([
    // Compiled here, so that neither this thread nor the host's keeps the bytes. AUKLET_KERNEL is another kernel than the
    // shipped one, such as the debug kernel.
    read('kernel/vmlinux.wasm', process.env.AUKLET_KERNEL).then((bytes) => WebAssembly.compile(bytes as BufferSource)),
    read('initramfs/initramfs.cpio.gz'),
    read('host/emscripten/auklet-host.wasm'),
  ]);
  return { kernel, initramfs, host };
}

export async function startMachine(options: BootOptions): Promise<Machine> {
  return new Machine({
    ...options,
    assets: await loadAssets(),
    hostWorkerUrl: new URL('host-worker.mjs', import.meta.url).href,
    guestWorkerUrl: new URL('guest-worker.mjs', import.meta.url).href,
  });
}

async function collect(host: string, guest: string, files: InitialFile[]): Promise<void> {
  const information = await stat(host);
  if (information.isDirectory()) {
    for (const name of await readdir(host)) await collect(join(host, name), posix.join(guest, name), files);
  } else {
    files.push({ path: guest, mode: information.mode & 0o7777, content: new Uint8Array(await readFile(host)) });
  }
}

/** The files that --put HOST:GUEST options name; a folder is copied with all that is in it. */
export async function filesOf(puts: readonly string[]): Promise<InitialFile[]> {
  const files: InitialFile[] = [];
  for (const put of puts) {
    const colon = put.lastIndexOf(':');
    const host = put.slice(0, colon);
    let guest = put.slice(colon + 1);
    if (colon <= 0 || !guest.startsWith('/'))
      throw new UsageError(`--put ${put}: write HOST-FILE:/ABSOLUTE/GUEST/PATH`);
    if (guest.endsWith('/')) guest += basename(host);
    try {
      await collect(host, guest, files);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new UsageError(
        code === 'ENOENT'
          ? `--put ${put}: there is no file ${host}`
          : `--put ${put}: cannot read ${host} (${code ?? error})`,
      );
    }
  }
  return files;
}
