// SPDX-License-Identifier: MIT
// What the extensions of Wisp say in INFO, from either side.

import { PacketError } from './wisp-packets.ts';

/** The version of Auklet's extension that is here. */
const VERSION = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface Credentials {
  /** At most 255 bytes of UTF-8. */
  name: string;
  password: string;
}

/** What a server with Auklet's extension does. */
export interface ServerAbilities {
  /** LISTEN may succeed. */
  listens: boolean;
  /** 10.0.2.3 and fd00::3 are its resolver, at port 53. */
  resolves: boolean;
  /** A CONTINUE for stream 0 is answered by one. */
  answers: boolean;
}

export function encodeServerAbilities({ listens, resolves, answers }: ServerAbilities): Uint8Array {
  return Uint8Array.of(VERSION, (listens ? 1 : 0) | (resolves ? 2 : 0) | (answers ? 4 : 0));
}

/**
 * Undefined: it speaks another version.
 *
 * @throws PacketError
 */
export function decodeServerAbilities(bytes: Uint8Array): ServerAbilities | undefined {
  const [version, flags] = bytes;
  if (version !== VERSION) return undefined;
  if (flags === undefined || bytes.length !== 2) throw new PacketError(`extension 0xf0 of ${bytes.length} bytes`);
  return { listens: (flags & 1) !== 0, resolves: (flags & 2) !== 0, answers: (flags & 4) !== 0 };
}

/** The credit, in bytes, that each stream begins with. */
export function encodeClientCredit(credit: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = VERSION;
  new DataView(bytes.buffer).setUint32(1, credit, true);
  return bytes;
}

/**
 * Undefined: it speaks another version.
 *
 * @throws PacketError
 */
export function decodeClientCredit(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== VERSION) return undefined;
  if (bytes.length !== 5) throw new PacketError(`extension 0xf0 of ${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
}

/**
 * Whether the server wants a password.
 *
 * @throws PacketError
 */
export function decodePasswordWanted(bytes: Uint8Array): boolean {
  if (bytes.length !== 1) throw new PacketError(`the extension of passwords of ${bytes.length} bytes`);
  return bytes[0] !== 0;
}

/** @throws RangeError if the name is too long. */
export function encodeCredentials({ name, password }: Credentials): Uint8Array {
  const nameBytes = encoder.encode(name);
  if (nameBytes.length > 255) throw new RangeError(`a name for a relay has at most 255 bytes, not ${nameBytes.length}`);
  const passwordBytes = encoder.encode(password);
  const bytes = new Uint8Array(1 + nameBytes.length + passwordBytes.length);
  bytes[0] = nameBytes.length;
  bytes.set(nameBytes, 1);
  bytes.set(passwordBytes, 1 + nameBytes.length);
  return bytes;
}

/**
 * The credentials that the bytes may be, one or two: wisp-js also writes the
 * length of the password, in two bytes behind that of the name.
 *
 * @throws PacketError
 */
export function decodeCredentials(bytes: Uint8Array): Credentials[] {
  const length = bytes[0];
  if (length === undefined || bytes.length < 1 + length) throw new PacketError('credentials that are cut off');
  const found = [credentialsAt(bytes, 1, length)];
  const rest = bytes.length - 3 - length;
  if (rest >= 0 && rest === (bytes[1]! | (bytes[2]! << 8))) found.push(credentialsAt(bytes, 3, length));
  const known = found.filter((each) => each !== undefined);
  if (known.length === 0) throw new PacketError('credentials are no UTF-8');
  return known;
}

function credentialsAt(bytes: Uint8Array, at: number, length: number): Credentials | undefined {
  try {
    return {
      name: decoder.decode(bytes.subarray(at, at + length)),
      password: decoder.decode(bytes.subarray(at + length)),
    };
  } catch {
    return undefined;
  }
}
