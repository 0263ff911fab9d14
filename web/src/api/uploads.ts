// SPDX-License-Identifier: MIT
// Files as the guest's `transfer take` reads them (docs/transfers.md).

type Bytes = Uint8Array<ArrayBuffer>;

/** A file, or a folder if it has no content. */
export interface Upload {
  /** Names with "/" between. A folder comes before what is in it. */
  path: string;
  file?: File;
}

const END = 0;
const FILE = 1;
const FOLDER = 2;

/** A file that could not be read. */
export class UnreadableFile extends Error {
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.path = path;
  }
}

/** One name of a path: a browser's names may be what Linux has no file for. */
export function uploadName(name: string): string {
  const clean = name.replace(/[/\0]/g, '_');
  return clean === '' || clean === '.' || clean === '..' ? `_${clean.slice(1)}` : clean;
}

/** Bytes of all files. */
export function uploadSize(uploads: readonly Upload[]): number {
  return uploads.reduce((sum, { file }) => sum + (file?.size ?? 0), 0);
}

/**
 * The bytes for the guest. A file is read when its turn comes, as fast as its
 * bytes are taken. A signal ends the reading at once.
 * @throws UnreadableFile
 */
export async function* encodeUploads(uploads: Iterable<Upload>, signal?: AbortSignal): AsyncGenerator<Bytes> {
  for (const { path, file } of uploads) {
    yield entry(file === undefined ? FOLDER : FILE, path, file?.size ?? 0, file?.lastModified ?? 0);
    if (file !== undefined) yield* contentOf(path, file, signal);
  }
  yield entry(END, '', 0, 0);
}

function entry(kind: number, path: string, size: number, changed: number): Bytes {
  const name = new TextEncoder().encode(path);
  const bytes = new Uint8Array(24 + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, name.length, true);
  view.setBigUint64(8, BigInt(size), true);
  view.setBigInt64(16, BigInt(Math.trunc(changed)), true);
  bytes.set(name, 24);
  return bytes;
}

async function* contentOf(path: string, file: File, signal: AbortSignal | undefined): AsyncGenerator<Bytes> {
  const reader = (file.stream() as ReadableStream<Bytes>).getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal?.addEventListener('abort', cancel);
  let left = file.size;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new UnreadableFile(path, error);
      });
      if (done) break;
      // The guest has been told the size.
      if ((left -= value.length) < 0) break;
      yield value;
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
  if (left !== 0) throw new UnreadableFile(path, 'it has changed meanwhile');
}
