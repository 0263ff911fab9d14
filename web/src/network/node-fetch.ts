// SPDX-License-Identifier: MIT
// fetch() for guests, in Node.js. Its own has no guard: it reaches whatever a
// name leads to. This one asks the policy for each address, also of redirects,
// and connects to those that were allowed and to no others.

import type * as NodeHttp from 'node:http';
import type * as NodeHttps from 'node:https';
import type * as NodeNetModule from 'node:net';
import type * as NodeStreams from 'node:stream';
import type * as NodeCompression from 'node:zlib';
import { nodeModule } from '../machine/platform.ts';
import { formatAddress, parseAddress } from './address.ts';
import type { NameBackend } from './backend.ts';
import { HttpError } from './http1.ts';
import { isGateway, type Policy } from './policy.ts';

type Fetch = (input: string, init: RequestInit) => Promise<Response>;
type Lookup = NodeNetModule.LookupFunction;

export interface NodeFetchOptions {
  policy: Policy;
  names: Pick<NameBackend, 'resolve'>;
}

/** As browsers do. */
const MOST_REDIRECTS = 20;
/** In ms, without a byte in either direction. */
const IDLE = 300_000;
/** Connections of one server that are kept for later, and for how long. */
const MOST_FREE = 8;
const KEPT_FOR = 30_000;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What says something of a body that is not sent again. */
const OF_BODY = new Set(['content-encoding', 'content-language', 'content-location', 'content-type']);

interface Sent {
  method: string;
  headers: [string, string][];
  body: Uint8Array | ReadableStream<Uint8Array> | null;
  signal: AbortSignal | undefined;
}

/** Where a request goes: literals, that were checked. */
interface Way {
  hostname: string;
  lookup: Lookup;
}

export class NodeFetch {
  private readonly options: NodeFetchOptions;
  private readonly http = nodeModule('node:http') as typeof NodeHttp;
  private readonly https = nodeModule('node:https') as typeof NodeHttps;
  private readonly streams = nodeModule('node:stream') as typeof NodeStreams;
  private readonly compression = nodeModule('node:zlib') as typeof NodeCompression;
  private readonly agents: Record<string, NodeHttp.Agent>;

  constructor(options: NodeFetchOptions) {
    const kept = { keepAlive: true, maxFreeSockets: MOST_FREE, timeout: KEPT_FOR };
    this.options = options;
    this.agents = { 'http:': new this.http.Agent(kept), 'https:': new this.https.Agent(kept) };
  }

  /** Connections that are idle end. */
  close(): void {
    for (const agent of Object.values(this.agents)) agent.destroy();
  }

  /** As fetch(), for what FetchFlow asks. */
  readonly fetch: Fetch = async (input, init) => {
    let url = new URL(input);
    const sent: Sent = {
      method: (init.method ?? 'GET').toUpperCase(),
      headers: init.headers as [string, string][],
      body: init.body as Sent['body'],
      signal: init.signal ?? undefined,
    };
    for (let count = 0; count <= MOST_REDIRECTS; ++count) {
      const answer = await this.request(url, sent);
      const { location } = answer.headers;
      if (!REDIRECTS.has(answer.statusCode!) || location === undefined)
        return this.response(answer, url, sent.method, count > 0);
      answer.resume();
      url = redirected(url, location, answer.statusCode!, sent);
    }
    throw new Error('the server redirects without an end');
  };

  private async wayTo({ protocol, hostname, port }: URL): Promise<Way> {
    const { policy, names } = this.options;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
    const literal = parseAddress(host);
    const found = literal === undefined ? await addressesOf(names, host) : [formatAddress(literal)];
    const name = literal === undefined ? [host] : [];
    const allowed = found.filter((address) => {
      // The gateway is this computer, but no name leads to it.
      const isHere = isGateway(parseAddress(address)!);
      return (!isHere || literal !== undefined) && policy.allows(address, number, ...name);
    });
    if (allowed.length === 0) throw new HttpError(403, `This machine may not reach ${host}, port ${number}.`);
    const addresses = allowed.map((address) => {
      const parsed = parseAddress(address)!;
      if (isGateway(parsed)) return { address: parsed.version === 4 ? '127.0.0.1' : '::1', family: parsed.version };
      return { address, family: parsed.version };
    });
    const lookup: Lookup = (_name, { all }, done) =>
      queueMicrotask(() => {
        if (all === true) done(null, addresses);
        else done(null, addresses[0]!.address, addresses[0]!.family);
      });
    // Of a literal nothing is looked up: it is what was checked.
    return { hostname: literal === undefined ? hostname : addresses[0]!.address, lookup };
  }

  private async request(url: URL, { method, headers, body, signal }: Sent): Promise<NodeHttp.IncomingMessage> {
    const { hostname, lookup } = await this.wayTo(url);
    signal?.throwIfAborted();
    const { request: start } = url.protocol === 'https:' ? this.https : this.http;
    const request = start({
      protocol: url.protocol,
      hostname,
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: { ...Object.fromEntries(headers), host: url.host, 'accept-encoding': 'identity' },
      agent: this.agents[url.protocol],
      lookup,
      signal,
      timeout: IDLE,
    } as NodeHttps.RequestOptions);
    return new Promise((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error('the server does not answer')));
      if (body instanceof ReadableStream) {
        const source = this.streams.Readable.fromWeb(body as Parameters<typeof NodeStreams.Readable.fromWeb>[0]);
        this.streams.pipeline(source, request, (error) => {
          if (error) reject(error);
        });
      } else request.end(body ?? undefined);
    });
  }

  private response(answer: NodeHttp.IncomingMessage, url: URL, method: string, isRedirected: boolean): Response {
    const status = answer.statusCode!;
    const isEmpty = status === 204 || status === 205 || status === 304 || method === 'HEAD';
    const { rawHeaders } = answer;
    const headers = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]!]] : []));
    const body = isEmpty ? null : this.streams.Readable.toWeb(this.decoded(answer));
    if (isEmpty) answer.resume();
    const init = { status, statusText: answer.statusMessage ?? '', headers: headers as [string, string][] };
    const response = new Response(body as ReadableStream<Uint8Array<ArrayBuffer>> | null, init);
    return Object.defineProperties(response, { url: { value: url.href }, redirected: { value: isRedirected } });
  }

  /** Some servers encode what they were asked not to. */
  private decoded(answer: NodeHttp.IncomingMessage): NodeStreams.Readable {
    const { createGunzip, createInflate, createBrotliDecompress } = this.compression;
    const decoders = { gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress };
    const encoding = (answer.headers['content-encoding'] ?? 'identity').toLowerCase();
    if (encoding === 'identity') return answer;
    if (!Object.hasOwn(decoders, encoding)) {
      answer.destroy();
      throw new Error(`the server encodes with ${JSON.stringify(encoding)}`);
    }
    // An error of either is one of the decoder's reader.
    return this.streams.pipeline(answer, decoders[encoding as keyof typeof decoders](), () => {});
  }
}

async function addressesOf(names: Pick<NameBackend, 'resolve'>, host: string): Promise<string[]> {
  const name = host.replace(/\.$/, '');
  const found = await Promise.all([names.resolve(name, false), names.resolve(name, true)]);
  const addresses = found.flatMap((each) => each?.addresses ?? []);
  if (addresses.length === 0) throw new Error('nobody has this name');
  return addresses;
}

/** The next address. What is sent there becomes what fetch() sends then. */
function redirected(from: URL, location: string, status: number, sent: Sent): URL {
  let url: URL;
  try {
    url = new URL(location, from);
  } catch {
    throw new Error('the server redirects to what is no address');
  }
  if (!/^https?:$/.test(url.protocol)) throw new Error(`the server redirects to ${url.protocol}`);
  if (url.username !== '' || url.password !== '') throw new Error('the server redirects with a password');
  const becomesGet = status === 303 ? sent.method !== 'HEAD' : status <= 302 && sent.method === 'POST';
  if (becomesGet) {
    sent.method = 'GET';
    sent.body = null;
    sent.headers = sent.headers.filter(([name]) => !OF_BODY.has(name));
  } else if (sent.body instanceof ReadableStream) throw new Error('the server redirects what was sent already');
  // It was for that server only.
  if (url.origin !== from.origin) sent.headers = sent.headers.filter(([name]) => name !== 'authorization');
  return url;
}
