// SPDX-License-Identifier: MIT
// Saves a stream as a file of the visitor's.

import { readable } from './texts.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Bytes from which a file is written straight to where the visitor wants it, in
 * browsers that can do so. Others keep it whole before they save it.
 */
const LARGE = 256 << 20;

/** Bytes that a browser is asked to keep. */
const MOST_KEPT = 4 * 2 ** 30;

interface Picker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** Whether the visitor should say where the file is to be saved. */
export function wantsPlace(size: number | undefined): boolean {
  return size !== undefined && size >= LARGE && (globalThis as Picker).showSaveFilePicker !== undefined;
}

/**
 * Lets the visitor say where a file is to be saved. Browsers want a click or a
 * key shortly before.
 * @throws DOMException 'AbortError' if the visitor says nowhere, and
 *   'SecurityError' if there was no click.
 */
export function askPlace(name: string): Promise<FileSystemFileHandle> {
  return (globalThis as Picker).showSaveFilePicker!({ suggestedName: name });
}

export interface SaveOptions {
  signal: AbortSignal;
  onProgress?: (done: number) => void;
  /** As askPlace() gives it. Without it, the browser's folder of downloads. */
  place?: FileSystemFileHandle | undefined;
}

/** Nothing is saved if this rejects. */
export async function save(
  content: ReadableStream<Bytes>,
  name: string,
  { signal, onProgress, place }: SaveOptions,
): Promise<void> {
  // Its source waits for a reader, or for the end.
  const target = await place?.createWritable().catch(async (error: unknown) => {
    await content.cancel(error).catch(() => {});
    throw error;
  });
  let done = 0;
  const counter = new TransformStream<Bytes, Bytes>({
    transform: (bytes, controller) => {
      done += bytes.length;
      if (target === undefined && done > MOST_KEPT)
        throw new Error(`this browser saves no file of more than ${readable(MOST_KEPT)}`);
      onProgress?.(done);
      controller.enqueue(bytes);
    },
  });
  const counted = content.pipeThrough(counter, { signal });
  if (target === undefined) return offer(await keep(counted), name);
  // What was written counts only when the file is closed.
  await counted.pipeTo(target, { signal });
}

/** A response's bytes go to the browser's store, which may be on its disk. */
function keep(content: ReadableStream<Bytes>): Promise<Blob> {
  return new Response(content, { headers: { 'content-type': 'application/octet-stream' } }).blob();
}

function offer(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has the blob by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
