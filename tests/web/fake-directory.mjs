// SPDX-License-Identifier: MIT
// Directories as the File System API has them, in memory: handles that are paths, locks, streams that write to a copy.

const fail = (name, message = name) => {
  throw new DOMException(message, name);
};

/** Of all directories of one tree. */
export class FakeSystem {
  /** Bytes that all files may have together. */
  room = Infinity;
  /** Files with synchronous handles, as those of OPFS. */
  synchronous = true;
  /** Streams have the mode "exclusive", which older engines do not know. */
  exclusive = true;
  /** Files that can be moved. */
  moves = true;
  /** What every call fails with, such as a permission that was withdrawn. */
  error = undefined;
  /** Counts of calls by their names. */
  calls = {};
  /** Called before a move, and with what fails instead. */
  beforeMove = () => {};
  /** Called before a stream is closed, which waits for it. */
  beforeClose = async () => {};
  time = 1_700_000_000_000;
  rootContent = { folder: new Map() };
  root = new FakeDirectory(this, []);

  call(name) {
    this.calls[name] = (this.calls[name] ?? 0) + 1;
    if (this.error !== undefined) fail(this.error);
  }

  /** What is at a path now: { folder: Map } or { bytes, modified, locks }. */
  at(path) {
    let found = this.rootContent;
    for (const name of path) found = found?.folder?.get(name);
    return found;
  }

  get used() {
    const sum = ({ folder, bytes }) =>
      folder === undefined ? bytes.length : [...folder.values()].reduce((all, each) => all + sum(each), 0);
    return sum(this.rootContent);
  }

  write(content, bytes) {
    if (this.used - content.bytes.length + bytes.length > this.room) fail('QuotaExceededError');
    content.bytes = bytes;
    content.modified = this.time += 1000;
  }
}

/** The bytes with a part of them written. */
function spliced(bytes, at, data) {
  const all = new Uint8Array(Math.max(bytes.length, at + data.length));
  all.set(bytes);
  all.set(data, at);
  return all;
}

function resized(bytes, size) {
  const all = new Uint8Array(size);
  all.set(bytes.subarray(0, size));
  return all;
}

class FakeDirectory {
  kind = 'directory';

  constructor(system, path) {
    this.system = system;
    this.path = path;
  }

  content() {
    const found = this.system.at(this.path);
    if (found?.folder === undefined) fail('NotFoundError');
    return found.folder;
  }

  async get(name, kind, create) {
    this.system.call(kind);
    if (/[/\\]/.test(name) || name === '' || name === '..') throw new TypeError('Name is not allowed.');
    const folder = this.content();
    if (!folder.has(name)) {
      if (!create) fail('NotFoundError');
      folder.set(
        name,
        kind === 'directory'
          ? { folder: new Map() }
          : { bytes: new Uint8Array(0), modified: (this.system.time += 1000), locks: 0 },
      );
    }
    if ((folder.get(name).folder !== undefined) !== (kind === 'directory')) fail('TypeMismatchError');
    return new (kind === 'directory' ? FakeDirectory : FakeFile)(this.system, [...this.path, name]);
  }

  getFileHandle(name, { create = false } = {}) {
    return this.get(name, 'file', create);
  }

  getDirectoryHandle(name, { create = false } = {}) {
    return this.get(name, 'directory', create);
  }

  async removeEntry(name) {
    this.system.call('removeEntry');
    const found = this.content().get(name);
    if (found === undefined) fail('NotFoundError');
    if (found.folder?.size > 0) fail('InvalidModificationError');
    if (found.locks > 0) fail('NoModificationAllowedError');
    this.content().delete(name);
  }

  async *entries() {
    for (const [name, { folder }] of [...this.content()])
      yield [name, { kind: folder === undefined ? 'file' : 'directory' }];
  }
}

class FakeFile {
  kind = 'file';

  constructor(system, path) {
    this.system = system;
    this.path = path;
    this.move = system.moves ? this.move : undefined;
  }

  content() {
    const found = this.system.at(this.path);
    if (found?.bytes === undefined) fail('NotFoundError');
    return found;
  }

  async getFile() {
    this.system.call('getFile');
    const content = this.content();
    const { bytes, modified } = content;
    const file = new File([bytes], this.path.at(-1), { lastModified: modified });
    const slice = file.slice.bind(file);
    file.slice = (begin, end) => {
      const part = slice(begin, end);
      // As browsers do when the file has changed meanwhile.
      if (this.system.at(this.path) !== content || content.bytes !== bytes)
        part.arrayBuffer = async () => fail('NotReadableError');
      return part;
    };
    return file;
  }

  async createSyncAccessHandle() {
    this.system.call('createSyncAccessHandle');
    if (!this.system.synchronous) fail('InvalidStateError');
    const { system } = this;
    const content = this.content();
    if (content.locks > 0) fail('NoModificationAllowedError');
    content.locks = 1;
    return {
      read: (view, { at }) => {
        const part = content.bytes.subarray(at, at + view.length);
        view.set(part);
        return part.length;
      },
      write: (view, { at }) => {
        system.write(content, spliced(content.bytes, at, view));
        return view.length;
      },
      truncate: (size) => system.write(content, resized(content.bytes, size)),
      getSize: () => content.bytes.length,
      flush: () => system.call('flush'),
      close: () => (content.locks = 0),
    };
  }

  async createWritable({ keepExistingData }) {
    this.system.call('createWritable');
    const content = this.content();
    if (content.locks > 0) fail('NoModificationAllowedError');
    content.locks = this.system.exclusive ? 1 : 0;
    let copy = keepExistingData ? content.bytes : new Uint8Array(0);
    const change = async (bytes) => {
      if (this.system.used + bytes.length > this.system.room) {
        content.locks = 0;
        fail('QuotaExceededError');
      }
      copy = bytes;
    };
    return {
      write: ({ position, data }) => change(spliced(copy, position, data)),
      truncate: (size) => change(resized(copy, size)),
      close: async () => {
        await this.system.beforeClose();
        content.locks = 0;
        this.system.call('close');
        this.system.write(content, copy);
      },
    };
  }

  async move(directory, name) {
    this.system.call('move');
    const content = this.content();
    this.system.beforeMove();
    const target = directory.content();
    if (content.locks > 0 || target.get(name)?.locks > 0) fail('NoModificationAllowedError');
    this.system.at(this.path.slice(0, -1)).folder.delete(this.path.at(-1));
    target.set(name, content);
  }
}

/** Adds a file, as the page would. */
export async function put(system, name, content, folder = system.root) {
  const file = await folder.getFileHandle(name, { create: true });
  system.write(file.content(), new TextEncoder().encode(content));
}

/** The text of a file; undefined if there is none. */
export const has = (system, ...path) => {
  const found = system.at(path);
  return found === undefined ? undefined : new TextDecoder().decode(found.bytes);
};
