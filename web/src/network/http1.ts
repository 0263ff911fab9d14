// SPDX-License-Identifier: MIT
// Messages of HTTP/1.1 (RFC 9112): what they are made of, and how they are
// written. Nothing that could be understood in two ways is let through.

/** Names are in lower case; values have no white space around them. */
export type Fields = [name: string, value: string][];

/**
 * What follows a head: so many bytes, chunks, or all until the connection ends.
 */
export type BodyLength = number | 'chunked' | 'until-close';

export interface Head {
  /** The digit after "HTTP/1.". */
  minor: 0 | 1;
  fields: Fields;
  body: BodyLength;
  /** Another message may follow this one. */
  keepAlive: boolean;
}

export interface RequestHead extends Head {
  method: string;
  /** Printable ASCII without spaces. */
  target: string;
}

export interface ResponseHead extends Head {
  /** 100 to 599. */
  status: number;
  reason: string;
}

/** Not HTTP/1.1, or more than what is taken. */
export class HttpError extends Error {
  /** What a server answers to such a request. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}

/** Names of methods and of fields. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const TARGET = /^[\x21-\x7e]+$/;
/** Text of a field or a reason. A byte is a character. */
export const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/** The value of a field that comes once; of several, the first one's. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  return fields.find(([other]) => other === name)?.[1];
}

/** The parts of all fields of this name, which are lists with commas. */
export function listOf(fields: Fields, name: string): string[] {
  return fields
    .filter(([other]) => other === name)
    .flatMap(([, value]) => value.split(','))
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '');
}

/** What is meant for this connection only: those that it names, and these. */
const OF_THE_CONNECTION = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The fields that are not for this connection only. */
export function endToEnd(fields: Fields): Fields {
  const named = listOf(fields, 'connection');
  return fields.filter(([name]) => !OF_THE_CONNECTION.has(name) && !named.includes(name));
}

/**
 * What follows a head with these fields, or undefined if they do not say.
 *
 * @throws HttpError if they could be understood in two ways.
 */
export function bodyLength(fields: Fields, minor: 0 | 1): BodyLength | undefined {
  const values = (name: string) => fields.filter(([other]) => other === name).map(([, value]) => value);
  const codings = values('transfer-encoding');
  const lengths = values('content-length');
  if (codings.length > 0) {
    if (lengths.length > 0) throw new HttpError(400, 'there are both Content-Length and Transfer-Encoding');
    if (minor === 0) throw new HttpError(400, 'HTTP/1.0 has no Transfer-Encoding');
    if (codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked')
      throw new HttpError(501, 'the only Transfer-Encoding that is known is chunked');
    return 'chunked';
  }
  if (lengths.length === 0) return undefined;
  if (lengths.length > 1) throw new HttpError(400, 'there is more than one Content-Length');
  if (!/^\d{1,15}$/.test(lengths[0]!)) throw new HttpError(400, 'Content-Length is no number of bytes');
  return Number(lengths[0]);
}

/** Whether the connection outlives a message with these fields. */
export function persists(fields: Fields, minor: 0 | 1): boolean {
  const options = listOf(fields, 'connection');
  return !options.includes('close') && (minor === 1 || options.includes('keep-alive'));
}

const CRLF = '\r\n';

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; ++at) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function fieldLines(fields: Fields): string {
  let text = '';
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || !TEXT.test(value))
      throw new HttpError(500, `the field ${JSON.stringify(name)} is not valid`);
    text += `${name}: ${value}${CRLF}`;
  }
  return text + CRLF;
}

/** @throws HttpError if a part would break the message. */
export function requestHead(method: string, target: string, fields: Fields): Uint8Array<ArrayBuffer> {
  if (!TOKEN.test(method) || !TARGET.test(target)) throw new HttpError(500, 'the method or the target is not valid');
  return bytesOf(`${method} ${target} HTTP/1.1${CRLF}${fieldLines(fields)}`);
}

/**
 * A reason that cannot be sent is left out.
 *
 * @throws HttpError if a field would break the message.
 */
export function responseHead(status: number, reason: string, fields: Fields): Uint8Array<ArrayBuffer> {
  return bytesOf(`HTTP/1.1 ${status} ${TEXT.test(reason) ? reason : ''}${CRLF}${fieldLines(fields)}`);
}

/** Bytes that are copied, rather than sent on their own. */
const SMALL_CHUNK = 16_384;

/** A chunk of a body, in parts that follow each other. No bytes are none. */
export function chunkOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  if (bytes.length === 0) return [];
  const line = bytesOf(bytes.length.toString(16) + CRLF);
  if (bytes.length > SMALL_CHUNK) return [line, bytes, bytesOf(CRLF)];
  const chunk = new Uint8Array(line.length + bytes.length + 2);
  chunk.set(line);
  chunk.set(bytes, line.length);
  chunk.set([13, 10], line.length + bytes.length);
  return [chunk];
}

/** The end of a body of chunks. */
export const lastChunk = (): Uint8Array<ArrayBuffer> => bytesOf(`0${CRLF}${CRLF}`);
