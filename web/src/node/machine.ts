// SPDX-License-Identifier: MIT
// Machines in Node.js. They are as in a page, but their parts and files are
// read from the disk.

import type { Stats } from 'node:fs';
import { lstat, open, readFile, readdir, readlink, stat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { Machine } from '../api/machine.ts';
import type { Assets, BootOptions, InitialEntry, PlatformOptions } from '../api/types.ts';
import { Host } from '../machine/host.ts';
import { UsageError } from './options.ts';

export { createLink } from '../network/link.ts';

const WASM_PAGE = 65536;

/**
 * The address of a part. This file is bundled into build/cli, and the build
 * folder is around it. AUKLET_PARTS names another build folder.
 */
function part(path: string): URL {
  const folder = process.env.AUKLET_PARTS;
  return folder === undefined ? new URL(`../${path}`, import.meta.url) : new URL(path, `file://${folder}/`);
}

/**
 * Reads a part, or the file `instead`. The bytes are in a memory of WebAssembly
 * and not of malloc(). If an array of the kernel's size was freed once, glibc
 * would keep all that is freed later up to that size: 9 MiB at the prompt.
 */
async function read(path: string, instead?: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const file = await open(instead ?? part(path));
    try {
      const { size } = await file.stat();
      const memory = new WebAssembly.Memory({ initial: Math.ceil(size / WASM_PAGE) });
      const bytes = new Uint8Array(memory.buffer, 0, size);
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
    // The kernel is compiled here, so that neither this thread nor the host's
    // keeps its bytes. AUKLET_KERNEL names another kernel than the shipped one,
    // such as the debug kernel.
    read('kernel/vmlinux.wasm', process.env.AUKLET_KERNEL).then((bytes) => WebAssembly.compile(bytes)),
    read('initramfs/initramfs.cpio.gz'),
    read('host/emscripten/auklet-host.wasm'),
  ]);
  return { kernel, initramfs, host, tls: part('tls/auklet-tls.wasm') };
}

/** Tests have a storage worker of their own. */
type NodeOptions = BootOptions & Pick<PlatformOptions, 'storageWorkerUrl'>;

function newMachine(
  assets: Assets,
  options: NodeOptions,
  host: Pick<PlatformOptions, 'hostHere' | 'hostWorkerUrl'>,
): Machine {
  return new Machine({
    ...options,
    ...host,
    assets,
    guestWorkerUrl: new URL('guest-worker.mjs', import.meta.url).href,
    storageWorkerUrl: options.storageWorkerUrl ?? new URL('storage-worker.mjs', import.meta.url).href,
  });
}

export async function startMachine(options: NodeOptions = {}): Promise<Machine> {
  const assets = await loadAssets();
  return newMachine(assets, options, { hostWorkerUrl: new URL('host-worker.mjs', import.meta.url).href });
}

/**
 * Starts a machine for a program that does nothing else. The host needs no
 * worker then, and waits while the program writes. `made` gets the machine
 * before it has done anything.
 */
export async function startMachineHere(
  options: BootOptions = {},
  made: (machine: Machine) => void = () => {},
): Promise<Machine> {
  const assets = await loadAssets();
  const machine = newMachine(assets, options, { hostHere: (owner) => void new Host(owner) });
  made(machine);
  return machine;
}

/**
 * Adds the file at `host` to `entries`. A folder is added with all that is in
 * it. A symbolic link in it is added as a link.
 */
async function collect(
  host: string,
  guest: string,
  entries: InitialEntry[],
  look: (path: string) => Promise<Stats>,
): Promise<void> {
  const information = await look(host);
  const mode = information.mode & 0o7777;
  if (information.isDirectory()) {
    entries.push({ path: guest, directory: true, mode });
    for (const name of (await readdir(host)).sort())
      await collect(join(host, name), posix.join(guest, name), entries, lstat);
  } else if (information.isSymbolicLink()) entries.push({ path: guest, link: await readlink(host) });
  else if (information.isFile()) entries.push({ path: guest, mode, content: new Uint8Array(await readFile(host)) });
  // A read of a pipe or a device would not end.
  else throw new UsageError(`--put: ${host} is neither a file, a folder nor a symbolic link`);
}

/**
 * The files that the options --put HOST:GUEST name. If HOST itself is a link,
 * its target is taken, as cp -H does.
 */
export async function filesOf(puts: readonly string[]): Promise<InitialEntry[]> {
  const files: InitialEntry[] = [];
  for (const put of puts) {
    const colon = put.lastIndexOf(':');
    const host = put.slice(0, colon);
    let guest = put.slice(colon + 1);
    if (colon <= 0 || !guest.startsWith('/'))
      throw new UsageError(`--put ${put}: write HOST-FILE:/ABSOLUTE/GUEST/PATH`);
    // "." and ".." have names, too.
    if (guest.endsWith('/')) guest += basename(resolve(host));
    try {
      await collect(host, guest, files, stat);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const { code, path = host } = error as NodeJS.ErrnoException;
      throw new UsageError(
        code === 'ENOENT'
          ? `--put ${put}: there is no file ${path}`
          : `--put ${put}: cannot read ${path} (${code ?? error})`,
      );
    }
  }
  return files;
}
