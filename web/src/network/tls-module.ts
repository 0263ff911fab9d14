// SPDX-License-Identifier: MIT
// The module tls.wasm (host/tls/tls.c) as TypeScript objects.

import { LONGEST_NAME } from './certificate.ts';

/** Bits of state(), and kinds of bytes, as BearSSL has them. */
export const CLOSED = 1;
export const RECORDS_OUT = 2;
export const RECORDS_IN = 4;
export const TEXT_OUT = 8;
export const TEXT_IN = 16;

type Kind = typeof RECORDS_OUT | typeof RECORDS_IN | typeof TEXT_OUT | typeof TEXT_IN;

interface Exports {
  memory: WebAssembly.Memory;
  arguments(): number;
  key(): number;
  open(certificateSize: number): number;
  close(connection: number): void;
  state(connection: number): number;
  buffer(connection: number, kind: Kind): number;
  size(): number;
  done(connection: number, kind: Kind, count: number): void;
  flush(connection: number): void;
  finish(connection: number): void;
  error(connection: number): number;
}

/** Those of `arguments` in tls.c, one after the other. */
const SEED = 32;
const NAME = LONGEST_NAME + 1;
const LONGEST_CERTIFICATE = 1024;

export class TlsModule {
  private readonly exports: Exports;

  /** `secret`: the private key of all certificates, 32 bytes. */
  constructor(module: WebAssembly.Module, secret: Uint8Array) {
    this.exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.bytes(this.exports.key(), secret.length).set(secret);
  }

  /**
   * The server's side of a connection, for a client that asks for this name.
   * Undefined if there is no memory for it.
   */
  open(name: string, certificate: Uint8Array): TlsConnection | undefined {
    if (name.length > LONGEST_NAME || certificate.length > LONGEST_CERTIFICATE) return undefined;
    const place = this.bytes(this.exports.arguments(), SEED + NAME + LONGEST_CERTIFICATE);
    crypto.getRandomValues(place.subarray(0, SEED));
    place.fill(0, SEED, SEED + NAME);
    new TextEncoder().encodeInto(name, place.subarray(SEED, SEED + LONGEST_NAME));
    place.set(certificate, SEED + NAME);
    const connection = this.exports.open(certificate.length);
    return connection === 0 ? undefined : new TlsConnection(this.exports, connection);
  }

  /** Bytes of its memory, which grows. */
  get memorySize(): number {
    return this.exports.memory.buffer.byteLength;
  }

  private bytes(address: number, size: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.exports.memory.buffer, address, size);
  }
}

export class TlsConnection {
  private readonly exports: Exports;
  /** 0: it is closed. What is called then does nothing. */
  private connection: number;

  constructor(exports: Exports, connection: number) {
    this.exports = exports;
    this.connection = connection;
  }

  /** Which kinds of bytes it has or takes now, or CLOSED. */
  get state(): number {
    return this.connection === 0 ? CLOSED : this.exports.state(this.connection);
  }

  /** Why it is closed: 0 if the client has said that it ends. */
  get error(): number {
    return this.connection === 0 ? 0 : this.exports.error(this.connection);
  }

  /** Returns how many bytes it has taken: none if it takes no such bytes. */
  write(kind: typeof RECORDS_IN | typeof TEXT_OUT, bytes: Uint8Array): number {
    const place = this.place(kind);
    const count = Math.min(place.length, bytes.length);
    place.set(bytes.subarray(0, count));
    if (count > 0) this.exports.done(this.connection, kind, count);
    return count;
  }

  /**
   * Shows the bytes that it has of a kind, which are valid during the call
   * only, to one who says how many were taken. Returns that.
   */
  read(kind: typeof RECORDS_OUT | typeof TEXT_IN, take: (bytes: Uint8Array<ArrayBuffer>) => number): number {
    const place = this.place(kind);
    const count = place.length === 0 ? 0 : take(place);
    // Who takes them may close it.
    if (count > 0 && this.connection !== 0) this.exports.done(this.connection, kind, count);
    return count;
  }

  /** Makes a record of what was written until now. */
  flush(): void {
    if (this.connection !== 0) this.exports.flush(this.connection);
  }

  /**
   * Tells the client that nothing follows. All that was written must have gone.
   */
  finish(): void {
    if (this.connection !== 0) this.exports.finish(this.connection);
  }

  close(): void {
    if (this.connection !== 0) this.exports.close(this.connection);
    this.connection = 0;
  }

  private place(kind: Kind): Uint8Array<ArrayBuffer> {
    const address = this.connection === 0 ? 0 : this.exports.buffer(this.connection, kind);
    return address === 0 ? new Uint8Array(0) : new Uint8Array(this.exports.memory.buffer, address, this.exports.size());
  }
}
