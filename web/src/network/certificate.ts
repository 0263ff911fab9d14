// SPDX-License-Identifier: MIT
// An authority that is one machine's own, and its certificates for the names
// that the machine connects to (RFC 5280).

import { bits, boolean, identifier, integer, octets, sequence, set, time, utf8, value } from './der.ts';

type Bytes = Uint8Array<ArrayBuffer>;

export interface Authority {
  /** It signs. Nobody can read it, not even this page. */
  key: CryptoKey;
  certificate: Bytes;
  /** By which clients find it: a hash of its public key. */
  keyIdentifier: Bytes;
  /** From when on, and until when, it and all certificates are valid. */
  from: Date;
  until: Date;
}

/** The key of all certificates of an authority. */
export interface ServerKey {
  /** The number of the private key, 32 bytes. */
  secret: Bytes;
  /** The public key, as certificates have it. */
  info: Bytes;
}

/** The longest name of DNS. */
export const LONGEST_NAME = 253;

const EC = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
/** Programs of the guest show it. */
const ISSUER = 'Auklet: this machine only';
/** A clock of the guest that is set may be behind that of the owner. */
const EARLIER = 86_400_000;
/** No machine runs for longer. */
const LATER = 2 * 365 * 86_400_000;

const ECDSA_WITH_SHA256 = sequence(identifier('1.2.840.10045.4.3.2'));
const COMMON_NAME = identifier('2.5.4.3');
const SERVER_AUTHENTICATION = identifier('1.3.6.1.5.5.7.3.1');
/** Bits of a key's usage, the first of which is the highest. */
const DIGITAL_SIGNATURE = bits(Uint8Array.of(0x80), 7);
const KEY_CERT_SIGN = bits(Uint8Array.of(0x04), 2);

const nameOf = (commonName: string): Bytes => sequence(set(sequence(COMMON_NAME, utf8(commonName))));

function extension(id: string, isCritical: boolean, content: Uint8Array): Bytes {
  return sequence(identifier(id), ...(isCritical ? [boolean(true)] : []), octets(content));
}

interface Content {
  subject: Bytes;
  info: Bytes;
  from: Date;
  until: Date;
  extensions: Bytes[];
}

async function signed(key: CryptoKey, { subject, info, from, until, extensions }: Content): Promise<Bytes> {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Neither 0 nor shorter than others.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const content = sequence(
    value(0xa0, integer(Uint8Array.of(2))),
    integer(serial),
    ECDSA_WITH_SHA256,
    nameOf(ISSUER),
    sequence(time(from), time(until)),
    subject,
    info,
    value(0xa3, sequence(...extensions)),
  );
  // Two numbers of 32 bytes.
  const numbers = new Uint8Array(await crypto.subtle.sign(SIGNING, key, content));
  const signature = sequence(integer(numbers.subarray(0, 32)), integer(numbers.subarray(32)));
  return sequence(content, ECDSA_WITH_SHA256, bits(signature));
}

const publicInfo = async (key: CryptoKey): Promise<Bytes> => new Uint8Array(await crypto.subtle.exportKey('spki', key));

/** A new one, whose key never leaves WebCrypto. */
export async function makeAuthority(now = new Date()): Promise<Authority> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(EC, false, ['sign', 'verify']);
  const info = await publicInfo(publicKey);
  const keyIdentifier = new Uint8Array(await crypto.subtle.digest('SHA-256', info)).slice(0, 20);
  const from = new Date(now.getTime() - EARLIER);
  const until = new Date(now.getTime() + LATER);
  const certificate = await signed(privateKey, {
    subject: nameOf(ISSUER),
    info,
    from,
    until,
    extensions: [
      // An authority, but for none below it.
      extension('2.5.29.19', true, sequence(boolean(true), integer(Uint8Array.of(0)))),
      extension('2.5.29.15', true, KEY_CERT_SIGN),
      extension('2.5.29.14', false, octets(keyIdentifier)),
    ],
  });
  return { key: privateKey, certificate, keyIdentifier, from, until };
}

/** A new one. Its number is for the code that speaks TLS. */
export async function makeServerKey(): Promise<ServerKey> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const { d } = await crypto.subtle.exportKey('jwk', privateKey);
  const binary = atob(d!.replaceAll('-', '+').replaceAll('_', '/'));
  return { secret: Uint8Array.from(binary, (character) => character.charCodeAt(0)), info: await publicInfo(publicKey) };
}

/** A certificate for the server of one name, which is printable ASCII. */
export function makeCertificate(authority: Authority, { info }: ServerKey, name: string): Promise<Bytes> {
  const { key, keyIdentifier, from, until } = authority;
  return signed(key, {
    // Names of DNS are only in the extension, which is critical then.
    subject: sequence(),
    info,
    from,
    until,
    extensions: [
      extension('2.5.29.17', true, sequence(value(0x82, new TextEncoder().encode(name)))),
      extension('2.5.29.15', true, DIGITAL_SIGNATURE),
      extension('2.5.29.37', false, sequence(SERVER_AUTHENTICATION)),
      extension('2.5.29.35', false, sequence(value(0x80, keyIdentifier))),
    ],
  });
}

export function toPem(certificate: Uint8Array): string {
  const text = btoa(String.fromCharCode(...certificate));
  return `-----BEGIN CERTIFICATE-----\n${text.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

/** Certificates that are kept. */
const MOST_KEPT = 1024;

/** The certificates of an authority, each made once if it can be kept. */
export class Certificates {
  private readonly authority: Authority;
  private readonly key: ServerKey;
  /** The one that was asked for longest ago is the first. */
  private readonly kept = new Map<string, Promise<Bytes>>();

  constructor(authority: Authority, key: ServerKey) {
    this.authority = authority;
    this.key = key;
  }

  of(name: string): Promise<Bytes> {
    const made = this.kept.get(name) ?? makeCertificate(this.authority, this.key, name);
    this.kept.delete(name);
    if (this.kept.size === MOST_KEPT) this.kept.delete(this.kept.keys().next().value!);
    this.kept.set(name, made);
    // One that failed is tried again.
    made.catch(() => void (this.kept.get(name) === made && this.kept.delete(name)));
    return made;
  }

  get size(): number {
    return this.kept.size;
  }
}
