// SPDX-License-Identifier: MIT
// Machines in Node.js: the same as in a page, with parts and files read from the disk.

import { open, readFile, readdir, stat } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { Machine } from '../api/machine.ts';
import type { Assets, BootOptions, InitialFile, PlatformOptions } from '../api/types.ts';
import { Host } from '../machine/host.ts';
import { UsageError } from './options.ts';

const WASM_PAGE = 65536;

/** This file is bundled into build/cli; AUKLET_PARTS names another build folder. */
function part(path: string): URL {
  const folder = process.env.AUKLET_PARTS;
  return folder === undefined ? new URL(`../${path}`, import.meta.url) : new URL(path, `file://${folder}/`);
}

/**
 * The bytes of a part, in a memory of WebAssembly and not of malloc: where an array of the kernel's size was freed once,
 * glibc keeps what is freed later up to that size, 9 MiB at the prompt.
 */
async function read(path: string, instead?: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const file = await open(instead ?? part(path));
    try {
      const { size } = await file.stat();
      const memory = new WebAssembly.Memory({ initial: Math.ceil(size / WASM_PAGE) });
      const bytes = new Uint8Array(memory.buffer as ArrayBuffer, 0, size);
      for (let offset = 0; offset < size;) {
        const { bytesRead } = await file.read(bytes, offset);
        if (bytesRead === 0) throw new Error('it was cut while it was read');
        offset += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
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
    read('kernel/vmlinux.wasm', process.env.AUKLET_KERNEL).then((bytes) => WebAssembly.compile(bytes)),
    read('initramfs/initramfs.cpio.gz'),
    read('host/emscripten/auklet-host.wasm'),
  ]);
  return { kernel, initramfs, host };
}

async function start(
  options: BootOptions,
  host: Pick<PlatformOptions, 'hostHere' | 'hostWorkerUrl'>,
): Promise<Machine> {
  return new Machine({
    ...options,
    ...host,
    assets: await loadAssets(),
    guestWorkerUrl: new URL('guest-worker.mjs', import.meta.url).href,
  });
}

export function startMachine(options: BootOptions): Promise<Machine> {
  return start(options, { hostWorkerUrl: new URL('host-worker.mjs', import.meta.url).href });
}

/** For a program that only has this machine: its host needs no worker, and waits while the program writes. */
export function startMachineHere(options: BootOptions): Promise<Machine> {
  return start(options, { hostHere: (owner) => void new Host(owner) });
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
