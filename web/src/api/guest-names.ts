// SPDX-License-Identifier: MIT
// Names of the guest's files as text, without loss.
//
// Linux's names are bytes. Most are UTF-8. In text, a byte that is not is a
// half of a UTF-16 pair that no UTF-8 has: U+DC00 and the byte.

import { FileError } from '../storage/file-error.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const ESCAPE = 0xdc00;

export function decodeName(bytes: Uint8Array): string {
  return decoded(bytes) ?? decodeByCharacters(bytes);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

function decodeByCharacters(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at]!;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const character = decoded(bytes.subarray(at, at + length));
    text += character ?? String.fromCharCode(ESCAPE + first);
    at += character === undefined ? 1 : length;
  }
  return text;
}

/** @throws FileError EILSEQ if the text is no path, and comes from no name. */
export function encodePath(path: string): Uint8Array {
  if (!/\p{Surrogate}/u.test(path)) return encoder.encode(path);
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.codePointAt(0)!;
    if (code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff) bytes.push(code - ESCAPE);
    else if (code >= 0xd800 && code <= 0xdfff) throw new FileError('EILSEQ', path);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}
