// SPDX-License-Identifier: MIT
// Records of TLS 1.2 that are not encrypted (RFC 5246, section 6.2.1).

const HEAD = 5;
const HANDSHAKE = 22;
/** A type, and a length of three bytes. */
const MESSAGE_HEAD = 4;

/**
 * The same messages in records, of which each has one at most. BearSSL writes
 * several into one, of which BusyBox sees the first only. What has parts of
 * records or of messages stays as it is.
 */
export function oneMessageEach(records: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  for (let at = 0; at < records.length;) {
    if (at + HEAD > records.length) return records;
    const end = at + HEAD + view.getUint16(at + 3);
    if (end > records.length) return records;
    if (records[at] !== HANDSHAKE) pieces.push(records.subarray(at, end));
    else
      for (let message = at + HEAD; message < end;) {
        if (message + MESSAGE_HEAD > end) return records;
        const length = MESSAGE_HEAD + (view.getUint32(message) & 0xff_ffff);
        if (message + length > end) return records;
        // The type and the version are those of the record.
        pieces.push(records.slice(at, at + 3), Uint8Array.of(length >> 8, length & 0xff));
        pieces.push(records.subarray(message, message + length));
        message += length;
      }
    at = end;
  }
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
