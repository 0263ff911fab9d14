// SPDX-License-Identifier: MIT
// Files that were picked or dropped, as a list for the guest.

import { uploadName, type Upload } from '../api/uploads.ts';

/** Files that were picked, with the folders in which they are. */
export function uploadsOfFiles(files: Iterable<File>): Upload[] {
  const uploads: Upload[] = [];
  const folders = new Set<string>();
  for (const file of files) {
    const path = file.webkitRelativePath;
    const names = path === '' ? [uploadName(file.name)] : path.split('/').map(uploadName);
    for (let depth = 1; depth < names.length; ++depth) {
      const path = names.slice(0, depth).join('/');
      if (!folders.has(path)) uploads.push({ path });
      folders.add(path);
    }
    uploads.push({ path: names.join('/'), file });
  }
  return distinct(uploads);
}

/** @throws DOMException if something cannot be read. */
export async function uploadsOfItems(items: readonly (FileSystemEntry | File)[]): Promise<Upload[]> {
  const uploads: Upload[] = [];
  const waiting = items.map((item) => ({ item, above: '' })).reverse();
  // A folder comes before what is in it.
  for (let next; (next = waiting.pop()) !== undefined;) {
    const { item, above } = next;
    const path = above + uploadName(item.name);
    if (item instanceof File) uploads.push({ path, file: item });
    else if (item.isFile) uploads.push({ path, file: await fileOf(item as FileSystemFileEntry) });
    else {
      uploads.push({ path });
      for await (const entry of entriesOf(item as FileSystemDirectoryEntry))
        waiting.push({ item: entry, above: `${path}/` });
    }
  }
  return distinct(uploads);
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function* entriesOf(folder: FileSystemDirectoryEntry): AsyncGenerator<FileSystemEntry> {
  const reader = folder.createReader();
  for (;;) {
    // A browser gives some at a time, and none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    yield* entries;
  }
}

/** Files from different places may have one name. */
function distinct(uploads: readonly Upload[]): Upload[] {
  const taken = new Set<string>();
  return uploads.map((upload) => {
    let { path } = upload;
    if (upload.file !== undefined && !path.includes('/'))
      for (let count = 1; taken.has(path); ++count) path = `${count} ${upload.path}`;
    taken.add(path);
    return { ...upload, path };
  });
}
