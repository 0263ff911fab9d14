// SPDX-License-Identifier: MIT
// Answers of a guest's server, as a frame of the page can show them.

import { fieldOf, type Fields } from '../network/http1.ts';
import { SCRIPT_PATH } from './protocol.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Fields that are not for a frame of another origin, or not for the browser:
 * cookies are kept by the page, and bodies come decoded.
 */
const DROPPED = new Set([
  'alt-svc',
  'clear-site-data',
  'content-encoding',
  'content-length',
  'cross-origin-embedder-policy',
  'cross-origin-embedder-policy-report-only',
  'cross-origin-opener-policy',
  'cross-origin-opener-policy-report-only',
  'cross-origin-resource-policy',
  'nel',
  'origin-agent-cluster',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'x-frame-options',
]);

/** Who may embed the answers, and whether its engine knows `credentialless`. */
export interface Embedder {
  origin: string;
  credentialless: boolean;
}

/** The fields of an answer of the server on this port. */
export function answerFields(fields: Fields, port: number, { origin, credentialless }: Embedder): Fields {
  const kept: Fields = [];
  for (const [name, value] of fields) {
    if (DROPPED.has(name)) continue;
    if (name === 'location') kept.push([name, ownLocation(value, port)]);
    else if (name.startsWith('content-security-policy')) {
      const rest = withoutAncestors(value);
      if (rest !== '') kept.push([name, rest]);
    } else kept.push([name, value]);
  }
  return [
    ...kept,
    // An isolated page embeds only who says this. Without credentials, what the
    // guest's page takes from elsewhere needs no fields of its own.
    ['cross-origin-embedder-policy', credentialless ? 'credentialless' : 'require-corp'],
    ['cross-origin-resource-policy', 'cross-origin'],
    ['content-security-policy', `frame-ancestors 'self' ${origin}`],
  ];
}

/** The server believes that it is at localhost. */
function ownLocation(value: string, port: number): string {
  const own = new RegExp(
    `^https?://(?:localhost|127\\.0\\.0\\.1|10\\.0\\.2\\.15)${port === 80 ? '(?::80)?' : `:${port}`}(?=[/?#]|$)`,
    'i',
  );
  const path = value.replace(own, '');
  if (path === value) return value;
  return path.startsWith('/') ? path : `/${path}`;
}

function withoutAncestors(policies: string): string {
  return policies
    .split(',')
    .map((policy) =>
      policy
        .split(';')
        .filter((directive) => !/^\s*frame-ancestors(\s|$)/i.test(directive))
        .join(';')
        .trim(),
    )
    .filter((policy) => policy !== '')
    .join(', ');
}

/** @throws Error if nobody here can decode it. */
export function decodedBody(body: ReadableStream<Uint8Array>, fields: Fields): ReadableStream<Uint8Array> {
  const codings = fields.filter(([name]) => name === 'content-encoding').flatMap(([, value]) => value.split(','));
  let stream = body;
  for (const coding of codings.toReversed()) {
    const name = coding.trim().toLowerCase();
    if (name === 'identity' || name === '') continue;
    const format = ({ gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' } as const)[name];
    if (format === undefined) throw new Error(`the server answers in the coding ${name}, which nobody has asked for`);
    stream = stream.pipeThrough(new DecompressionStream(format) as ReadableWritablePair<Bytes, Uint8Array>);
  }
  return stream;
}

export function isHtml(fields: Fields): boolean {
  return /^text\/html\s*(;|$)/i.test(fieldOf(fields, 'content-type')?.trim() ?? '');
}

/** Bytes in which a document's declaration must end. */
const LONGEST_PROLOGUE = 4096;
const BOM = '\xef\xbb\xbf';
const DECLARATION = '<!doctype';

/**
 * Where the script goes in a document that begins so: -1 is nowhere, undefined
 * means that more must come first.
 */
function placeOf(text: string): number | undefined {
  // UTF-16 has no such script.
  if (/^(\xff\xfe|\xfe\xff)/.test(text)) return -1;
  if (text.length < BOM.length && BOM.startsWith(text)) return undefined;
  const start = text.startsWith(BOM) ? BOM.length : 0;
  for (let at = start; ;) {
    while (/\s/.test(text.charAt(at))) ++at;
    const isComment = text.startsWith('<!--', at);
    const next = text.slice(at, at + DECLARATION.length).toLowerCase();
    if (!isComment && next !== DECLARATION)
      return DECLARATION.startsWith(next) || '<!--'.startsWith(next) ? undefined : start;
    const end = text.indexOf(isComment ? '-->' : '>', at + 4);
    if (end < 0) return undefined;
    if (!isComment) return end + 1;
    at = end + '-->'.length;
  }
}

/**
 * Puts the script that replaces WebSocket before all others of the document: at
 * its begin, but behind its declaration, without which it would be an old one.
 */
export function withScript(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const script = new TextEncoder().encode(`<script src="${SCRIPT_PATH}"></script>`);
  let start: Uint8Array | undefined = new Uint8Array(0);
  const place = (bytes: Uint8Array, isAll: boolean): number | undefined => {
    const text = latin1(bytes.subarray(0, LONGEST_PROLOGUE));
    const found = placeOf(text);
    if (found !== undefined || (!isAll && bytes.length < LONGEST_PROLOGUE)) return found;
    return text.startsWith(BOM) ? BOM.length : 0;
  };
  const pass = (controller: TransformStreamDefaultController<Uint8Array>, bytes: Uint8Array, at: number) => {
    if (at < 0) return controller.enqueue(bytes);
    if (at > 0) controller.enqueue(bytes.subarray(0, at));
    controller.enqueue(script);
    if (at < bytes.length) controller.enqueue(bytes.subarray(at));
  };
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        if (start === undefined) return controller.enqueue(bytes);
        start = start.length === 0 ? bytes : joined(start, bytes);
        const at = place(start, false);
        if (at === undefined) return;
        pass(controller, start, at);
        start = undefined;
      },
      flush: (controller) => {
        if (start !== undefined && start.length > 0) pass(controller, start, place(start, true)!);
      },
    }),
  );
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);

/** A page of text, for a visitor. */
export function textPage(title: string, text: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem; overflow-wrap: anywhere }</style>
<h1>${escaped(title)}</h1>
<p>${escaped(text)}</p>
</html>
`;
}
