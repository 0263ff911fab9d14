// SPDX-License-Identifier: MIT
// The packets of Wisp, versions 1 and 2, and those of Auklet's own extension. A
// packet is one binary message of a WebSocket: a byte of type, 32 bits of
// stream, and what is below. Numbers are little endian.
//
// Auklet's extension is number 0xf0. It adds what Wisp lacks:
// - The client's CONTINUE gives the server credit in bytes, in addition to what
//   it has. INFO has the credit that each stream begins with. The server sends
//   nothing beyond it.
// - FINISH ends one direction of a stream. When both have ended, the stream is
//   gone without a CLOSE.
// - The client's CONTINUE for stream 0 asks whether the server is there, which
//   answers by one. Browsers do not tell when a WebSocket leads nowhere.
// - LISTEN asks for a port of the server's, and is answered with the port, or
//   with CLOSE. ACCEPT is a connection there. Its number is the server's, and
//   has the top bit.

import type { FlowKind } from './backend.ts';

export type Packet =
  | { type: 'connect'; stream: number; kind: FlowKind; port: number; host: string }
  | { type: 'data'; stream: number; bytes: Uint8Array }
  | { type: 'continue'; stream: number; count: number }
  | { type: 'close'; stream: number; reason: number }
  | { type: 'info'; major: number; minor: number; extensions: Map<number, Uint8Array> }
  | { type: 'finish'; stream: number }
  | { type: 'listen'; stream: number; port: number }
  | { type: 'accept'; stream: number; listener: number; port: number; host: string };

const CONNECT = 1;
const DATA = 2;
const CONTINUE = 3;
const CLOSE = 4;
const INFO = 5;
const FINISH = 6;
const LISTEN = 7;
const ACCEPT = 8;

/** Bytes before the payload. */
export const HEADER = 5;

/** Numbers of streams that the server has chosen begin here. */
export const FIRST_SERVER_STREAM = 2 ** 31;

/** Why a stream, or with number 0 the whole connection, was closed. */
export const REASON = {
  unknown: 0x01,
  voluntary: 0x02,
  network: 0x03,
  extensions: 0x04,
  invalid: 0x41,
  unreachable: 0x42,
  timedOut: 0x43,
  refused: 0x44,
  idle: 0x47,
  blocked: 0x48,
  throttled: 0x49,
  client: 0x81,
  password: 0xc0,
  noPassword: 0xc2,
} as const;

export const EXTENSION = { udp: 1, password: 2, message: 4, confirmation: 5, auklet: 0xf0 } as const;

/** The subprotocol that a client offers to hear of version 2. */
export const SUBPROTOCOL = 'wisp-v2';

/** Bytes of a host's name: those of DNS have 253, addresses fewer. */
const LONGEST_HOST = 255;
const MOST_EXTENSIONS = 64;
const LONGEST_INFO = 65536;

/** What came is no packet of Wisp. The message says what is wrong. */
export class PacketError extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new PacketError(`${what} is no UTF-8`);
  }
}

function hostOf(bytes: Uint8Array): string {
  if (bytes.length === 0 || bytes.length > LONGEST_HOST)
    throw new PacketError(`a host of ${bytes.length} bytes, not 1 to ${LONGEST_HOST}`);
  const host = textOf(bytes, 'a host');
  // These are in no name and in no address. Logs and resolvers are not to see
  // them.
  if (/[\u0000-\u0020\u007f-\u00a0/\\%?#@]/.test(host)) throw new PacketError('a host with characters that none has');
  return host;
}

function portOf(port: number): number {
  if (port === 0) throw new PacketError('port 0');
  return port;
}

function extensionsOf(bytes: Uint8Array, view: DataView): Map<number, Uint8Array> {
  const extensions = new Map<number, Uint8Array>();
  for (let at = HEADER + 2; at < bytes.length;) {
    if (bytes.length - at < 5) throw new PacketError('an extension that is cut off');
    const id = view.getUint8(at);
    const length = view.getUint32(at + 1, true);
    at += 5;
    if (length > bytes.length - at) throw new PacketError('an extension longer than its packet');
    if (extensions.has(id)) throw new PacketError(`extension ${id} twice`);
    if (extensions.size === MOST_EXTENSIONS) throw new PacketError(`more than ${MOST_EXTENSIONS} extensions`);
    extensions.set(id, bytes.subarray(at, at + length));
    at += length;
  }
  return extensions;
}

/**
 * The packet in a message. Its bytes are those of the message, not a copy.
 *
 * @throws PacketError if it is none.
 */
export function decode(bytes: Uint8Array): Packet {
  if (bytes.length < HEADER) throw new PacketError(`a packet of ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint8(0);
  const stream = view.getUint32(1, true);
  const atLeast = (length: number) => {
    if (bytes.length < HEADER + length) throw new PacketError(`type ${type} of ${bytes.length} bytes`);
  };
  const exactly = (length: number) => {
    if (bytes.length !== HEADER + length) throw new PacketError(`type ${type} of ${bytes.length} bytes`);
  };
  const ofStream = () => {
    if (stream === 0) throw new PacketError(`type ${type} for stream 0`);
  };
  switch (type) {
    case CONNECT: {
      ofStream();
      atLeast(3);
      const kind = view.getUint8(5);
      if (kind !== 1 && kind !== 2) throw new PacketError(`a stream of kind ${kind}`);
      const port = portOf(view.getUint16(6, true));
      const host = hostOf(bytes.subarray(8));
      return { type: 'connect', stream, kind: kind === 1 ? 'stream' : 'datagrams', port, host };
    }
    case DATA:
      ofStream();
      return { type: 'data', stream, bytes: bytes.subarray(HEADER) };
    case CONTINUE:
      exactly(4);
      return { type: 'continue', stream, count: view.getUint32(5, true) };
    case CLOSE:
      exactly(1);
      return { type: 'close', stream, reason: view.getUint8(5) };
    case INFO:
      if (stream !== 0) throw new PacketError(`INFO for stream ${stream}`);
      atLeast(2);
      if (bytes.length > LONGEST_INFO) throw new PacketError(`INFO of ${bytes.length} bytes`);
      return { type: 'info', major: view.getUint8(5), minor: view.getUint8(6), extensions: extensionsOf(bytes, view) };
    case FINISH:
      ofStream();
      exactly(0);
      return { type: 'finish', stream };
    case LISTEN:
      ofStream();
      exactly(2);
      return { type: 'listen', stream, port: view.getUint16(5, true) };
    case ACCEPT: {
      ofStream();
      atLeast(6);
      const listener = view.getUint32(5, true);
      if (stream < FIRST_SERVER_STREAM) throw new PacketError(`ACCEPT for stream ${stream}`);
      const port = portOf(view.getUint16(9, true));
      return { type: 'accept', stream, listener, port, host: hostOf(bytes.subarray(11)) };
    }
    default:
      throw new PacketError(`a packet of type ${type}`);
  }
}

/** A message with room for a payload of so many bytes. */
function message(type: number, stream: number, length: number): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const bytes = new Uint8Array(HEADER + length);
  const view = new DataView(bytes.buffer);
  bytes[0] = type;
  view.setUint32(1, stream, true);
  return { bytes, view };
}

/** The message of a packet. */
export function encode(packet: Packet): Uint8Array<ArrayBuffer> {
  let made;
  switch (packet.type) {
    case 'connect': {
      const host = encoder.encode(packet.host);
      made = message(CONNECT, packet.stream, 3 + host.length);
      made.bytes[5] = packet.kind === 'stream' ? 1 : 2;
      made.view.setUint16(6, packet.port, true);
      made.bytes.set(host, 8);
      break;
    }
    case 'data':
      made = message(DATA, packet.stream, packet.bytes.length);
      made.bytes.set(packet.bytes, HEADER);
      break;
    case 'continue':
      made = message(CONTINUE, packet.stream, 4);
      made.view.setUint32(5, packet.count, true);
      break;
    case 'close':
      made = message(CLOSE, packet.stream, 1);
      made.bytes[5] = packet.reason;
      break;
    case 'info': {
      made = message(
        INFO,
        0,
        [...packet.extensions.values()].reduce((sum, each) => sum + 5 + each.length, 2),
      );
      made.bytes[5] = packet.major;
      made.bytes[6] = packet.minor;
      let at = HEADER + 2;
      for (const [id, payload] of packet.extensions) {
        made.bytes[at] = id;
        made.view.setUint32(at + 1, payload.length, true);
        made.bytes.set(payload, at + 5);
        at += 5 + payload.length;
      }
      break;
    }
    case 'finish':
      made = message(FINISH, packet.stream, 0);
      break;
    case 'listen':
      made = message(LISTEN, packet.stream, 2);
      made.view.setUint16(5, packet.port, true);
      break;
    case 'accept': {
      const host = encoder.encode(packet.host);
      made = message(ACCEPT, packet.stream, 6 + host.length);
      made.view.setUint32(5, packet.listener, true);
      made.view.setUint16(9, packet.port, true);
      made.bytes.set(host, 11);
      break;
    }
  }
  return made.bytes;
}
