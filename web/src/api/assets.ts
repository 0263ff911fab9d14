// SPDX-License-Identifier: MIT
// Loads the parts of a machine, and counts their bytes for progress.

import { nodeModule } from '../machine/platform.ts';
import { MachineError, type Asset, type Assets, type SizedUrl } from './types.ts';

type LoadedBytes = (bytes: number) => void;

/** What is used of node:fs/promises. */
interface FileReader {
  readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>;
}

function isSized(asset: unknown): asset is SizedUrl {
  return typeof asset === 'object' && asset !== null && 'url' in asset && 'size' in asset;
}

function urlOf(asset: string | URL | SizedUrl): string {
  return String(isSized(asset) ? asset.url : asset);
}

function knownSize(asset: Asset<unknown>): number {
  if (asset instanceof Uint8Array) return asset.length;
  return isSized(asset) ? asset.size : 0;
}

/** The bytes of all assets, or 0 if the size of one is not known. */
export function totalSize(assets: Assets): number {
  const sizes = [assets.kernel, assets.initramfs, assets.host].map(knownSize);
  return sizes.includes(0) ? 0 : sizes.reduce((sum, size) => sum + size, 0);
}

async function download(url: string, loaded: LoadedBytes, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new MachineError(
      'download',
      `${nameOf(url)} could not be downloaded: is the network up?`,
      `${url}: ${error}`,
    );
  }
  if (!response.ok || response.body === null) {
    throw new MachineError(
      'download',
      `${nameOf(url)} could not be downloaded: the server answered ${response.status}`,
      url,
    );
  }
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        loaded(chunk.length);
        controller.enqueue(chunk);
      },
    }),
  );
  // compileStreaming() refuses any other type, and a server may send one.
  return new Response(counted, { headers: { 'Content-Type': 'application/wasm' } });
}

function nameOf(url: string): string {
  return url.split('?')[0]!.split('/').pop()!;
}

/**
 * The error for a download that broke off. Such a download shows as a read
 * error, or as a module that is cut short.
 */
function broken(url: string, error: unknown): MachineError {
  if (error instanceof MachineError) return error;
  return new MachineError('download', `${nameOf(url)} was not downloaded completely`, `${url}: ${error}`);
}

/**
 * Reads a file: URL in Node.js, whose fetch() does not know them. The result is
 * undefined for any other URL.
 */
async function readFile(url: string, loaded: LoadedBytes): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const files = url.startsWith('file:') ? (nodeModule('node:fs/promises') as FileReader | undefined) : undefined;
  if (files === undefined) return undefined;
  try {
    const bytes = await files.readFile(new URL(url));
    loaded(bytes.length);
    return bytes;
  } catch (error) {
    throw new MachineError('download', `${nameOf(url)} could not be read`, `${url}: ${error}`);
  }
}

/**
 * Loads the bytes of an asset. `loaded` gets the size of each piece that
 * arrives.
 * @throws MachineError 'download'; the signal's reason if it was aborted.
 */
export async function loadBytes(
  asset: Asset<Uint8Array>,
  loaded: LoadedBytes,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (asset instanceof Uint8Array) return asset;
  const url = urlOf(asset);
  const content = await readFile(url, loaded);
  if (content !== undefined) return content;
  const response = await download(url, loaded, signal);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    signal?.throwIfAborted();
    throw broken(url, error);
  }
}

/**
 * Loads and compiles a module. A download is compiled while its bytes arrive.
 * @throws MachineError 'download'; the signal's reason if it was aborted.
 */
export async function loadModule(
  asset: Asset<WebAssembly.Module | Uint8Array>,
  loaded: LoadedBytes,
  signal?: AbortSignal,
): Promise<WebAssembly.Module | Uint8Array> {
  if (asset instanceof WebAssembly.Module || asset instanceof Uint8Array) return asset;
  const url = urlOf(asset);
  const content = await readFile(url, loaded);
  if (content !== undefined) return WebAssembly.compile(content);
  const response = await download(url, loaded, signal);
  try {
    return await WebAssembly.compileStreaming(response);
  } catch (error) {
    signal?.throwIfAborted();
    throw broken(url, error);
  }
}
