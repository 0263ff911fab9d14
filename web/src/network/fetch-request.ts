// SPDX-License-Identifier: MIT
// What a guest's request is for fetch(), and what its response is for a guest.

import { endToEnd, fieldOf, HttpError, listOf, type Fields, type RequestHead } from './http1.ts';
import { isHostName } from './placeholders.ts';

/** The name by which guests know the page's own origin. */
export const ORIGIN_NAME = 'origin.auklet';

export interface Rules {
  /**
   * The page's own origin, such as "https://example.org". Guests reach it as
   * http://origin.auklet/ and read from it what everybody can.
   */
  origin: string | undefined;
  /** Of other servers: "http" only where the page itself came so. */
  scheme: 'http' | 'https';
  /** Which port of the server the guest has connected to: http, or https. */
  port: 80 | 443;
  /** All requests go to this origin, whatever they say. */
  fixed: string | undefined;
}

export interface Outgoing {
  url: URL;
  /** Without a body and a signal. */
  init: RequestInit;
}

/** These fetch() sets itself, or never. */
const FORBIDDEN = new Set([
  'accept-charset',
  'accept-encoding',
  'content-length',
  'cookie',
  'cookie2',
  'date',
  'dnt',
  'expect',
  'host',
  'origin',
  'permissions-policy',
  'referer',
  'set-cookie',
  'via',
]);
const FORBIDDEN_PREFIX = /^(?:proxy-|sec-|access-control-request-)/;

/**
 * With one of these, the browser asks the server first whether it may send it,
 * and most say no. Without them, the response is right, too, if longer.
 */
const DISPENSABLE = new Set([
  'cache-control',
  'if-modified-since',
  'if-none-match',
  'pragma',
  'upgrade-insecure-requests',
  'user-agent',
]);

/** What fetch() refuses. */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK']);

/**
 * The request that a guest has sent to `host`.
 *
 * @throws HttpError with a text for the guest's user.
 */
export function outgoing(head: RequestHead, host: string, rules: Rules): Outgoing {
  const { method, fields, body } = head;
  const upper = method.toUpperCase();
  if (REFUSED_METHODS.has(upper)) throw new HttpError(501, `The browser sends no requests with ${upper}.`);
  const isRead = upper === 'GET' || upper === 'HEAD';
  if (isRead && body !== 0) throw new HttpError(501, `The browser sends no body with ${upper}.`);
  const url = urlOf(head, host, rules);
  const isOwn = rules.origin !== undefined && url.origin === new URL(rules.origin).origin;
  // Of its own origin, a page may do what others may not.
  if (isOwn && !isRead) throw new HttpError(403, "Of the page's own origin, files can only be read.");
  const init: RequestInit = {
    method,
    headers: headersOf(fields, isOwn),
    mode: isOwn ? 'same-origin' : 'cors',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    redirect: 'follow',
    cache: cacheOf(fields),
  };
  return { url, init };
}

function urlOf({ target, fields }: RequestHead, host: string, { origin, scheme, port: own, fixed }: Rules): URL {
  // As to a proxy: all of the address is in the target, and Host says nothing.
  const absolute = (own === 80 ? /^http:\/\/([^/?#]*)(.*)$/i : /^https:\/\/([^/?#]*)(.*)$/i).exec(target);
  const authority = absolute?.[1] ?? fieldOf(fields, 'host') ?? host;
  const rest = absolute === null ? target : absolute[2]!.replace(/^(?!\/)/, '/');
  if (!rest.startsWith('/') || rest.includes('#')) throw new HttpError(400, 'The request is for no path.');
  if (fixed !== undefined) return new URL(fixed + rest);
  const [, name, port] = /^([\w.-]+|\[[\da-f:.]+\])(?::(\d*))?$/i.exec(authority) ?? [];
  if (name === undefined) throw new HttpError(400, 'Host is not the name of a server.');
  if (port !== undefined && port !== '' && Number(port) !== own)
    throw new HttpError(421, `Without a relay, there is only port ${own} for ${own === 80 ? 'http' : 'https'}.`);
  const isOwn = name.toLowerCase() === ORIGIN_NAME;
  if (isOwn && origin === undefined) throw new HttpError(404, 'There is no page, so it has no files.');
  try {
    return new URL((isOwn ? new URL(origin!).origin : `${scheme}://${name}`) + rest);
  } catch {
    throw new HttpError(400, 'The request is for no valid address.');
  }
}

function headersOf(fields: Fields, isOwn: boolean): [string, string][] {
  // A part of a file that may have changed is of no use.
  const dropsRange = !isOwn && fieldOf(fields, 'if-range') !== undefined;
  return endToEnd(fields).filter(
    ([name]) =>
      !FORBIDDEN.has(name) &&
      !FORBIDDEN_PREFIX.test(name) &&
      !(DISPENSABLE.has(name) && !(isOwn && name.startsWith('if-'))) &&
      !(dropsRange && (name === 'range' || name === 'if-range')),
  );
}

/** What a guest says to caches, for that of the browser. */
function cacheOf(fields: Fields): RequestCache {
  const directives = [...listOf(fields, 'cache-control'), ...listOf(fields, 'pragma')];
  if (directives.includes('no-store')) return 'no-store';
  return directives.some((each) => each === 'no-cache' || each === 'max-age=0') ? 'no-cache' : 'default';
}

/** What the response said of its bytes on the way, which are decoded now. */
const OF_THE_WAY = new Set(['alt-svc', 'content-encoding', 'content-length', 'strict-transport-security']);

export interface Incoming {
  fields: Fields;
  /** Bytes of the body, if that is known. */
  length: number | undefined;
}

export function incoming(response: Response): Incoming {
  const all: Fields = [...response.headers].map(([name, value]) => [name.toLowerCase(), value]);
  const { redirected, url } = response;
  const location = 'content-location';
  const fields = endToEnd(all).filter(([name]) => !OF_THE_WAY.has(name) && !(redirected && name === location));
  // Relative links are relative to this.
  if (redirected) fields.push([location, url]);
  // Other origins hide whether the body was encoded, and so what this counts.
  const isWhole = response.type !== 'cors' && fieldOf(all, 'content-encoding') === undefined;
  const length = fieldOf(all, 'content-length') ?? '';
  return { fields, length: isWhole && /^\d{1,15}$/.test(length) ? Number(length) : undefined };
}

/** Last labels of names that are no servers of the internet. */
const LOCAL = new Set(['arpa', 'corp', 'home', 'internal', 'intranet', 'lan', 'local', 'localhost', 'private']);

/**
 * Whether a guest may reach a host of the internet, as URLs write it. Pages
 * cannot see the addresses of names: whether a name may lead into the local
 * network is what browsers ask their users.
 */
export function isPublicName(host: string): boolean {
  const name = host.replace(/\.$/, '');
  const labels = name.split('.');
  return isHostName(name) && labels.length > 1 && !LOCAL.has(labels.at(-1)!);
}

/** The reason, as far as an engine says it. */
function firstLine(url: URL, error: unknown): string {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  // Node.js says what was wrong in the cause; browsers never do.
  const reason = cause instanceof Error && cause.message !== '' ? cause.message : message;
  return `${url.href} could not be fetched: ${reason}`;
}

/** Of Node.js, which says why. */
export function nodeFailureText(url: URL, error: unknown): string {
  return [firstLine(url, error), '', 'Requests of this machine to port 80 are sent as https, by Node.js.', ''].join(
    '\n',
  );
}

/** Why there is no response, for the one who reads it in the guest. */
export function failureText(url: URL, error: unknown, isStreamed: boolean): string {
  return [
    firstLine(url, error),
    '',
    'The browser sends the requests of this machine, and does not say why one',
    'has failed. It may be that',
    `- the server does not let other web pages read from it (CORS);`,
    `- the server does not know ${url.protocol === 'https:' ? 'https, which replaces http here' : 'http'};`,
    ...(isStreamed ? ['- the server does not know HTTP/2, which so long a body needs;'] : []),
    '- there is no such server, or this computer is offline.',
    '',
    'What helps: a server that sends "Access-Control-Allow-Origin: *", files',
    `beside the web page (http://${ORIGIN_NAME}/), or a network by a relay.`,
    '',
  ].join('\n');
}
