// SPDX-License-Identifier: MIT
// Disk images as gzip: a file of members, each of which has MEMBER bytes of the
// image and tells its own length. gunzip and all else that reads gzip takes
// such a file (RFC 1952, 2.2).
//
// Most of a disk is zeros, and an engine compresses no more than some 100 MB in
// a second. Here all members of zeros are one that is made once. An engine's
// DecompressionStream ends with the first member, so the length in a field of
// the header tells where the next one begins.

import { ByteReader } from './byte-reader.ts';

/** Bytes of the image in a member; the last may have fewer. */
const MEMBER = 4 << 20;

/**
 * The header's bytes: magic, deflate, "has an extra field", no time, no flags,
 * unknown system; then a field of 8 bytes, with a subfield "AK" of 4 bytes: the
 * length of the member.
 */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 8, 0, 0x41, 0x4b, 4, 0);
const HEADER_SIZE = HEADER.length + 4;

/** Bytes of the header that CompressionStream makes. */
const PLAIN_HEADER_SIZE = 10;

/** Of a member's bytes at most, when a file is read. */
const MOST_COMPRESSED = 2 * MEMBER;

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes at an offset of the image, in a part of it that is not all zero. */
interface Piece {
  offset: number;
  bytes: Bytes;
}

/**
 * The members of an image of `size` bytes. Pieces come in order; each is within
 * MEMBER bytes that begin at a multiple of that.
 */
export async function* compressMembers(
  pieces: AsyncIterable<Piece>,
  size: number,
  onProgress: (done: number) => void,
): AsyncGenerator<Bytes> {
  let member = new Uint8Array(Math.min(MEMBER, size));
  let begin = 0;
  let isZero = true;
  /** The member that begins at `begin`. A member of zeros can be used again. */
  const end = async (): Promise<Bytes> => {
    const bytes = await (isZero && member.length === MEMBER ? zeros() : compress(member));
    const left = size - begin - member.length;
    if (!isZero || left < MEMBER) member = new Uint8Array(Math.min(MEMBER, left));
    isZero = true;
    return bytes;
  };
  for await (const { offset, bytes } of pieces) {
    while (begin + MEMBER <= offset) {
      yield await end();
      onProgress((begin += MEMBER));
    }
    member.set(bytes, offset - begin);
    isZero = false;
  }
  while (begin < size) {
    yield await end();
    onProgress((begin = Math.min(begin + MEMBER, size)));
  }
}

async function compress(bytes: Bytes): Promise<Bytes> {
  const plain = await collect(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip')));
  const member = new Uint8Array(HEADER_SIZE - PLAIN_HEADER_SIZE + plain.length);
  member.set(HEADER);
  new DataView(member.buffer).setUint32(HEADER.length, member.length, true);
  member.set(plain.subarray(PLAIN_HEADER_SIZE), HEADER_SIZE);
  return member;
}

/** What decompress() yields for a member of zeros. */
export const ZEROS: Bytes = new Uint8Array(MEMBER);

let zeroMember: Promise<Bytes> | undefined;

function zeros(): Promise<Bytes> {
  return (zeroMember ??= compress(ZEROS));
}

/**
 * The bytes of a stream, decompressed if it is gzip. A member of zeros that
 * this engine would make itself is not decompressed, and is always ZEROS.
 */
export async function* decompress(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  const reader = new ByteReader(stream.getReader());
  try {
    const head = await reader.peek(HEADER_SIZE);
    if (head[0] !== 0x1f || head[1] !== 0x8b) yield* reader.rest();
    else if (memberSize(head) === undefined)
      yield* chunks(streamOf(reader.rest()).pipeThrough(new DecompressionStream('gzip')));
    else yield* members(reader);
  } finally {
    await reader.cancel();
  }
}

async function* members(reader: ByteReader): AsyncGenerator<Bytes> {
  const zero = await zeros();
  for (let head; (head = await reader.peek(HEADER_SIZE)).length > 0;) {
    const size = memberSize(head);
    if (size === undefined) throw new Error('the file has something between the parts of the image');
    const member = await reader.take(size);
    if (member.length < size) throw new Error('the file ends in the middle');
    if (isEqual(member, zero)) yield ZEROS;
    else yield* chunks(new Blob([member]).stream().pipeThrough(new DecompressionStream('gzip')));
  }
}

/** The length that the header tells; undefined if it is none of ours. */
function memberSize(head: Bytes): number | undefined {
  if (head.length < HEADER_SIZE || !isEqual(head.subarray(0, HEADER.length), HEADER)) return undefined;
  const size = new DataView(head.buffer, head.byteOffset).getUint32(HEADER.length, true);
  return size > HEADER_SIZE && size <= MOST_COMPRESSED ? size : undefined;
}

function isEqual(one: Bytes, other: Bytes): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

async function collect(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A stream's chunks; ending the loop cancels the stream. */
export async function* chunks(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  const reader = stream.getReader();
  try {
    for (let result; !(result = await reader.read()).done;) yield result.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** A stream of what a generator yields; cancelling it ends the generator. */
export function streamOf(generator: AsyncGenerator<Bytes>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>(
    {
      pull: async (controller) => {
        const { done, value } = await generator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await generator.return(undefined)),
    },
    { highWaterMark: 0 },
  );
}
