// SPDX-License-Identifier: MIT
// What the guest has of a share: nodes and open files, each with a number; and
// what it asks for, done by the share.

import { FileError } from './file-error.ts';
import { AnswerWords, LONGEST_NAME, type ShareRequest } from './share-protocol.ts';
import {
  ACCESS,
  EXCLUSIVE,
  FILE,
  FOLDER,
  TRUNCATE,
  TYPE,
  type Attributes,
  type Changes,
  type Entry,
  type Maybe,
  type Share,
  type Time,
} from './share.ts';

/** struct fuse_setattr_in's bits. */
const SET_MODE = 1;
const SET_USER = 2;
const SET_GROUP = 4;
const SET_SIZE = 8;
const SET_ACCESSED = 16;
const SET_MODIFIED = 32;
const SET_ACCESSED_NOW = 128;
const SET_MODIFIED_NOW = 256;

const ROOT = 1;

/** Names in listings that are open, of all folders together. */
const MOST_LISTED = 1_000_000;

/**
 * Milliseconds within which a file may change twice and have one time of
 * change.
 */
const SAME_TIME = 50;

type Node = object;

interface KnownNode {
  node: Node;
  references: number;
  /** Of the file when it was opened last. Empty: not known. */
  version: string;
}

type Handle = { node: number; open: object } | { node: number; entries: Entry[] | undefined };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** @throws FileError EILSEQ if it is no UTF-8, which no share can keep. */
function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FileError('EILSEQ');
  }
}

/** Calls `use` with a value that may come later. */
function after<T, R>(value: Maybe<T>, use: (value: T) => Maybe<R>): Maybe<R> {
  return value instanceof Promise ? value.then(use) : use(value);
}

/** Calls `undo` if `act` fails. */
function orUndo<T>(undo: () => void, act: () => Maybe<T>): Maybe<T> {
  const failed = (error: unknown): never => {
    undo();
    throw error;
  };
  try {
    const done = act();
    return done instanceof Promise ? done.catch(failed) : done;
  } catch (error) {
    return failed(error);
  }
}

function versionOf({ size, modified, changed }: Attributes): string {
  const age = Date.now() - changed.seconds * 1000 - changed.nanoseconds / 1e6;
  if (Math.abs(age) < SAME_TIME) return '';
  return `${size} ${modified.seconds}.${modified.nanoseconds} ${changed.seconds}.${changed.nanoseconds}`;
}

export class ShareSession {
  private readonly share: Share;
  private readonly viewsOf: (places: Uint32Array) => Uint8Array[];
  private readonly nodes = new Map<number, KnownNode>();
  private readonly numbers = new Map<Node, number>();
  private readonly handles = new Map<number, Handle>();
  private nextNode = ROOT + 1;
  private nextHandle = 1;
  private listed = 0;
  private ended = false;

  constructor(share: Share, viewsOf: (places: Uint32Array) => Uint8Array[]) {
    this.share = share;
    this.viewsOf = viewsOf;
    this.nodes.set(ROOT, { node: share.root, references: 1, version: '' });
    this.numbers.set(share.root, ROOT);
  }

  /** The guest has begun anew: all that it had is free. */
  end(): void {
    this.ended = true;
    for (const handle of this.handles.values()) if ('open' in handle) this.drop(handle.open);
    this.handles.clear();
    for (const { node, references } of this.nodes.values())
      if (node !== this.share.root) this.share.forget(node, references);
    this.nodes.clear();
    this.numbers.clear();
  }

  /** Closes a file of a guest that hears of nothing any more. */
  private drop(open: object): void {
    const close = async () => this.share.close(open);
    close().catch(() => {});
  }

  forget({ node, length }: ShareRequest): void {
    const known = this.nodes.get(node);
    if (known === undefined || node === ROOT) return;
    // Both sides count, because answers that name the node may be on their way.
    const uses = Math.min(length, known.references);
    known.references -= uses;
    this.share.forget(known.node, uses);
    if (known.references > 0) return;
    this.nodes.delete(node);
    this.numbers.delete(known.node);
  }

  /** Throws, or rejects with, what a share throws. */
  do(request: ShareRequest): Maybe<AnswerWords> {
    const { share } = this;
    const answer = new AnswerWords();
    const { flags, mode } = request;
    const node = () => this.nodeOf(request.node);
    const done = (value: Maybe<void>) => after(value, () => answer);
    const name = textOf(request.name);
    switch (request.operation) {
      case 'lookup':
        return this.addEntry(answer, share.lookup(node(), name));
      case 'getAttributes':
        return after(share.attributes(node()), (attributes) => answer.addAttributes(attributes));
      case 'setAttributes':
        return after(share.setAttributes(node(), changesOf(request)), () =>
          after(share.attributes(node()), (attributes) => answer.addAttributes(attributes)),
        );
      case 'readLink':
        return after(share.readLink(node()), (target) => answer.addBytes(encoder.encode(target)));
      case 'makeFile':
        return after(share.create(node(), name, EXCLUSIVE, mode, request), ({ node: made, open }) =>
          this.handOn(made, () => after(share.close(open), () => this.addNode(answer, made))),
        );
      case 'makeFolder':
        return this.addEntry(answer, share.makeFolder(node(), name, mode, request));
      case 'makeLink':
        return this.addEntry(answer, share.makeLink(node(), name, textOf(request.otherName), request));
      case 'removeFile':
        return done(share.remove(node(), name));
      case 'removeFolder':
        return done(share.removeFolder(node(), name));
      case 'rename':
        return done(share.rename(node(), name, this.nodeOf(request.otherNode), textOf(request.otherName), flags));
      case 'link': {
        const folder = node();
        return after(share.link(this.nodeOf(request.otherNode), folder, name), () =>
          this.addEntry(answer, share.lookup(folder, name)),
        );
      }
      case 'open':
        return after(share.open(node(), flags & (ACCESS | TRUNCATE)), (open) =>
          this.handOpenOn(open, () =>
            after(share.attributes(node()), (attributes) => this.addOpen(answer, request.node, open, attributes)),
          ),
        );
      case 'create':
        return this.create(answer, request, name);
      case 'read':
        return after(share.read(this.fileOf(request), request.offset, this.viewsOf(request.places)), (count) =>
          answer.add(count),
        );
      case 'write':
        return after(share.write(this.fileOf(request), request.offset, this.viewsOf(request.places)), (count) =>
          answer.add(count),
        );
      case 'space':
        return after(share.space(), (space) => answer.addSpace(space));
      case 'close':
        return done(this.close(request.handle));
      case 'sync':
        return done(this.sync(request));
      case 'flush':
        return done(share.flush?.(this.fileOf(request)));
      case 'openFolder':
        return after(share.attributes(node()), (attributes) => {
          if ((attributes.mode & TYPE) !== FOLDER) throw new FileError('ENOTDIR');
          return this.addHandle(answer, { node: request.node, entries: undefined }, false);
        });
      case 'list':
        return this.list(answer, request);
      // ShareServer does these.
      case 'reset':
      case 'forget':
        break;
    }
    throw new FileError('ENOSYS');
  }

  private nodeOf(number: number): Node {
    const known = this.nodes.get(number);
    if (known === undefined) throw new FileError('ESTALE');
    return known.node;
  }

  private handleOf({ handle }: ShareRequest): Handle {
    const found = this.handles.get(handle);
    if (found === undefined) throw new FileError('EBADF');
    return found;
  }

  private fileOf(request: ShareRequest): object {
    const handle = this.handleOf(request);
    if (!('open' in handle)) throw new FileError('EISDIR');
    return handle.open;
  }

  /**
   * The node's number, with one more reference of the guest's, which takes over
   * one use of the node.
   */
  private referTo(node: Node): number {
    // A session that has ended gives nothing any more.
    if (this.ended) throw new FileError('EIO');
    let number = this.numbers.get(node);
    if (number === undefined) {
      number = this.nextNode++;
      this.numbers.set(node, number);
      this.nodes.set(number, { node, references: 0, version: '' });
    }
    if (number !== ROOT) ++this.nodes.get(number)!.references;
    return number;
  }

  /** Calls what hands a use of the node on to the guest. */
  private handOn<T>(node: Node, act: () => Maybe<T>): Maybe<T> {
    return orUndo(() => this.share.forget(node), act);
  }

  /** Calls what hands an open file on to the guest. */
  private handOpenOn<T>(open: object, act: () => Maybe<T>): Maybe<T> {
    return orUndo(() => this.drop(open), act);
  }

  private addEntry(answer: AnswerWords, found: Maybe<Node>): Maybe<AnswerWords> {
    return after(found, (node) => this.handOn(node, () => this.addNode(answer, node)));
  }

  private addNode(answer: AnswerWords, node: Node): Maybe<AnswerWords> {
    return after(this.share.attributes(node), (attributes) =>
      answer.add64(this.referTo(node)).addAttributes(attributes),
    );
  }

  private addHandle(answer: AnswerWords, handle: Handle, isUnchanged: boolean): AnswerWords {
    const number = this.nextHandle++;
    this.handles.set(number, handle);
    return answer.add64(number).add(isUnchanged ? 1 : 0);
  }

  private addOpen(answer: AnswerWords, number: number, open: object, attributes: Attributes): AnswerWords {
    if (this.ended) throw new FileError('EIO');
    const known = this.nodes.get(number);
    const version = versionOf(attributes);
    const isUnchanged = version !== '' && known?.version === version;
    if (known !== undefined) known.version = version;
    return this.addHandle(answer, { node: number, open }, isUnchanged);
  }

  private create(answer: AnswerWords, request: ShareRequest, name: string): Maybe<AnswerWords> {
    const { share } = this;
    const { flags } = request;
    const folder = this.nodeOf(request.node);
    const add = (node: Node, open: object) =>
      this.handOpenOn(open, () =>
        after(share.attributes(node), (attributes) => {
          const number = this.referTo(node);
          return this.addOpen(answer.add64(number).addAttributes(attributes), number, open, attributes);
        }),
      );
    const openOld = (error: unknown): Maybe<AnswerWords> => {
      if ((error as { code?: unknown }).code !== 'EEXIST' || (flags & EXCLUSIVE) !== 0) throw error;
      return after(share.lookup(folder, name), (node) =>
        this.handOn(node, () => after(share.open(node, flags & (ACCESS | TRUNCATE)), (open) => add(node, open))),
      );
    };
    let made;
    try {
      made = share.create(folder, name, flags, request.mode, request);
    } catch (error) {
      return openOld(error);
    }
    const addNew = ({ node, open }: { node: Node; open: object }) => this.handOn(node, () => add(node, open));
    return made instanceof Promise ? made.then(addNew, openOld) : addNew(made);
  }

  private close(number: number): Maybe<void> {
    const handle = this.handles.get(number);
    if (handle === undefined) throw new FileError('EBADF');
    this.handles.delete(number);
    if ('open' in handle) return this.share.close(handle.open);
    this.listed -= handle.entries?.length ?? 0;
  }

  private sync(request: ShareRequest): Maybe<void> {
    const handle = this.handleOf(request);
    if ('open' in handle) return this.share.sync(handle.open, request.flags !== 0);
    return this.share.syncFolder(this.nodeOf(request.node));
  }

  /** Places 0 and 1 are "." and "..", which have no numbers. */
  private list(answer: AnswerWords, request: ShareRequest): Maybe<AnswerWords> {
    const handle = this.handleOf(request);
    if ('open' in handle) throw new FileError('ENOTDIR');
    const { offset } = request;
    // A listing that begins anew shows what is there now.
    if (handle.entries !== undefined && offset > 0) return this.addEntries(answer, request, handle.entries);
    return after(this.share.list(this.nodeOf(request.node)), (entries) => {
      this.listed += entries.length - (handle.entries?.length ?? 0);
      handle.entries = entries;
      if (this.listed > MOST_LISTED) throw new FileError('ENOMEM');
      return this.addEntries(answer, request, entries);
    });
  }

  private addEntries(answer: AnswerWords, request: ShareRequest, entries: Entry[]): Maybe<AnswerWords> {
    const folder = this.nodeOf(request.node);
    const withAttributes = request.flags !== 0;
    let room = request.length;
    let isFirst = true;
    const all = entries.length + 2;
    const step = (place: number): Maybe<AnswerWords> => {
      for (let at = place; at < all; ++at) {
        const { name, type } = at < 2 ? { name: at === 0 ? '.' : '..', type: FOLDER } : entries[at - 2]!;
        const bytes = encoder.encode(name);
        if (bytes.length > LONGEST_NAME) continue;
        room -= request.mode + Math.ceil(bytes.length / 8) * 8;
        if (room < 0) {
          // No room for one name is no end of the folder.
          if (isFirst) throw new FileError('EINVAL');
          return answer;
        }
        isFirst = false;
        const finish = (kind: number) =>
          void answer
            .add64(at + 1)
            .add(kind >>> 12)
            .addBytes(bytes);
        if (!withAttributes || at < 2) {
          if (withAttributes) answer.add64(0).addAttributes(NO_ATTRIBUTES);
          else answer.add64(at + 1);
          finish(type);
          continue;
        }
        const entry = this.entryOf(folder, name);
        if (entry instanceof Promise)
          return entry.then((found) => {
            addFound(found);
            return step(at + 1);
          });
        addFound(entry);
        function addFound(found: { number: number; attributes: Attributes }): void {
          answer.add64(found.number).addAttributes(found.attributes);
          finish(found.number === 0 ? type : found.attributes.mode & TYPE);
        }
      }
      return answer;
    };
    return step(request.offset);
  }

  /** One that has gone meanwhile, or cannot be looked at, has number 0. */
  private entryOf(folder: Node, name: string): Maybe<{ number: number; attributes: Attributes }> {
    const none = () => ({ number: 0, attributes: NO_ATTRIBUTES });
    const refer = (node: Node, attributes: Attributes) => ({ number: this.referTo(node), attributes });
    try {
      const found = after(this.share.lookup(folder, name), (node) =>
        this.handOn(node, () => after(this.share.attributes(node), (attributes) => refer(node, attributes))),
      );
      return found instanceof Promise ? found.catch(none) : found;
    } catch {
      return none();
    }
  }
}

const NEVER: Time = { seconds: 0, nanoseconds: 0 };

/** Linux looks at the inode's number only. */
const NO_ATTRIBUTES: Attributes = {
  inode: 1,
  size: 0,
  blocks: 0,
  accessed: NEVER,
  modified: NEVER,
  changed: NEVER,
  mode: FILE,
  links: 1,
  user: 0,
  group: 0,
  blockSize: 4096,
};

function changesOf({ changes }: ShareRequest): Changes {
  const { valid } = changes;
  const has = (bit: number) => (valid & bit) !== 0;
  const result: Changes = {};
  if (has(SET_MODE)) result.mode = changes.mode;
  if (has(SET_USER)) result.user = changes.user;
  if (has(SET_GROUP)) result.group = changes.group;
  if (has(SET_SIZE)) result.size = changes.size;
  if (has(SET_ACCESSED))
    result.accessed = has(SET_ACCESSED_NOW)
      ? 'now'
      : { seconds: changes.accessed, nanoseconds: changes.accessedNanoseconds };
  if (has(SET_MODIFIED))
    result.modified = has(SET_MODIFIED_NOW)
      ? 'now'
      : { seconds: changes.modified, nanoseconds: changes.modifiedNanoseconds };
  return result;
}
