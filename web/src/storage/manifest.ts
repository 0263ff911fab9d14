// SPDX-License-Identifier: MIT
// The manifest of an image in chunks: root.json. It comes from a server or a
// folder, and nothing in it is trusted.

/** Bytes of a manifest that are read at most: an image of 32 GiB. */
export const LONGEST_MANIFEST = 16 << 20;

const SECTOR = 512;
const LEAST_CHUNK = 4096;
const LARGEST_CHUNK = 16 << 20;
const HASH = /^[0-9a-f]{64}$/;

export interface Manifest {
  /** Bytes of the image. */
  size: number;
  /** Bytes of each chunk but the last. */
  chunkSize: number;
  /** SHA-256 of each chunk, its file's name. Null: all zero, and no file. */
  chunks: (string | null)[];
  /** Chunks that are loaded before they are asked for, in order. */
  prefetch: number[];
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * @throws Error with a message for users, which begins with what the text is.
 */
export function parseManifest(text: string): Manifest {
  const wrong = (reason: string): Error => new Error(`the manifest of the image is wrong: ${reason}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(`it is no JSON, but begins with ${JSON.stringify(text.slice(0, 40))}`);
  }
  if (typeof value !== 'object' || value === null) throw wrong('it is no object');
  const { version, size, chunkSize, sha256, prefetch = [] } = value as Record<string, unknown>;
  if (version !== 1) throw wrong(`it has version ${JSON.stringify(version)}, and only 1 is known`);
  if (!isCount(size) || size === 0 || size % SECTOR !== 0) throw wrong('its size is no multiple of 512 bytes');
  if (!isCount(chunkSize) || chunkSize < LEAST_CHUNK || chunkSize > LARGEST_CHUNK || chunkSize % LEAST_CHUNK !== 0)
    throw wrong('its chunkSize is no multiple of 4096 bytes, or more than 16 MiB');
  const count = Math.ceil(size / chunkSize);
  if (!Array.isArray(sha256) || sha256.length !== count) throw wrong(`sha256 must be an array of ${count} names`);
  if (!sha256.every((name) => name === null || (typeof name === 'string' && HASH.test(name))))
    throw wrong('a name in sha256 is neither 64 hexadecimal digits nor null');
  if (
    !Array.isArray(prefetch) ||
    prefetch.length > count ||
    !prefetch.every((index) => isCount(index) && index < count)
  )
    throw wrong(`prefetch must be an array of at most ${count} numbers of chunks`);
  return { size, chunkSize, chunks: sha256, prefetch: [...new Set(prefetch)] };
}

/** The name of the chunk of this hash. */
export function nameOf(hash: Uint8Array): string {
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
