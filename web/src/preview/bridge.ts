// SPDX-License-Identifier: MIT
// The page's end of a preview: requests of its service worker become requests
// to one port of the guest, and nothing else.

import { GuestHttp } from '../network/guest-http.ts';
import { GuestHttpError } from '../network/guest-http-error.ts';
import type { Connect } from '../network/guest-http-pool.ts';
import type { Fields, ResponseHead } from '../network/http1.ts';
import { endToEnd } from '../network/http1.ts';
import { answerFields, decodedBody, isHtml, textPage, withScript, type Embedder } from './answers.ts';
import { CookieJar } from './cookies.ts';
import { GuestSocket } from './guest-socket.ts';
import { receivePieces, sendPieces } from './pieces.ts';
import type { Abort, Answer, Greeting, PageRequest, ToSocket, Untrusted } from './protocol.ts';

/** Requests under way. A site in development may have a thousand modules. */
const MOST_REQUESTS = 1024;
const MOST_SOCKETS = 64;
const MOST_FIELDS = 200;
const LONGEST_TARGET = 65_536;
/** Fields that are made here. */
const OWN = new Set(['host', 'origin', 'cookie', 'content-length', 'expect', 'accept-encoding']);

export class PreviewBridge {
  /** The last request for a document has found no server. */
  isWaiting = false;
  private readonly port: number;
  private readonly embedder: Embedder;
  private readonly http: GuestHttp;
  private readonly cookies = new CookieJar();
  private channel: MessagePort | undefined;
  private readonly requests = new Set<AbortController>();
  private readonly sockets = new Set<GuestSocket>();

  /** `connect` leads to the machine that runs now. */
  constructor(port: number, connect: Connect, embedder: Embedder) {
    this.port = port;
    this.embedder = embedder;
    this.http = new GuestHttp(connect);
  }

  /** A service worker's channel of requests. */
  serve(channel: MessagePort): void {
    // There is one service worker. It was ended, and has begun again.
    this.end();
    this.channel = channel;
    channel.onmessage = ({ data, ports }: MessageEvent<Untrusted<PageRequest>>) => {
      const [own, body] = ports;
      if (own === undefined) return;
      if (data?.type === 'request') void this.request(data, own, body);
      else if (data?.type === 'socket') this.socket(data, own);
    };
    channel.postMessage({ type: 'welcome' } satisfies Greeting);
  }

  private end(): void {
    this.channel?.close();
    for (const request of this.requests) request.abort(new Error('the service worker has ended'));
    this.requests.clear();
  }

  private async request(request: Untrusted<PageRequest>, own: MessagePort, bodyPort?: MessagePort): Promise<void> {
    const abort = new AbortController();
    const { signal } = abort;
    const isDocument = request?.isDocument === true;
    own.onmessage = ({ data }: MessageEvent<Untrusted<Abort>>) => {
      if (data?.type === 'abort') abort.abort(new Error('the request was aborted'));
    };
    try {
      if (this.requests.size === MOST_REQUESTS)
        throw new GuestHttpError('busy', `more than ${MOST_REQUESTS} requests are under way`);
      this.requests.add(abort);
      const { method, target, fields } = this.checked(request);
      const body = bodyPort === undefined ? null : receivePieces(bodyPort, signal);
      let head: ResponseHead | undefined;
      const response = await this.http.send(
        this.port,
        { method, target, fields: [...this.ownFields(target), ...fields], body, signal },
        (answered) => (head = answered),
      );
      if (isDocument) this.isWaiting = false;
      const answered = endToEnd(head!.fields);
      for (const [name, value] of answered) if (name === 'set-cookie') this.cookies.set(value, target);
      let stream = response.body === null ? null : decodedBody(response.body, answered);
      if (isDocument && stream !== null && isHtml(answered)) stream = withScript(stream);
      const { status, statusText } = response;
      this.post(own, status, statusText, answerFields(answered, this.port, this.embedder), stream, () =>
        this.requests.delete(abort),
      );
    } catch (error) {
      // A body that nobody reads would hold its connection.
      abort.abort(error);
      this.requests.delete(abort);
      this.refuse(own, error, isDocument);
    }
  }

  private refuse(own: MessagePort, error: unknown, isDocument: boolean): void {
    const { status, title, text } = this.failureOf(error);
    if (isDocument && status === 502) this.isWaiting = true;
    const content = new TextEncoder().encode(isDocument ? textPage(title, text) : `${title}: ${text}\n`);
    const type = `text/${isDocument ? 'html' : 'plain'}; charset=utf-8`;
    const fields = answerFields([['content-type', type]], this.port, this.embedder);
    this.post(own, status, title, [...fields, ['cache-control', 'no-store']], new Blob([content]).stream());
  }

  private post(
    own: MessagePort,
    status: number,
    statusText: string,
    fields: Fields,
    stream: ReadableStream<Uint8Array> | null,
    onEnd = (): void => {},
  ): void {
    const answer: Answer = { type: 'answer', status, statusText, fields, hasBody: stream !== null };
    if (stream === null) {
      own.postMessage(answer);
      return onEnd();
    }
    const { port1, port2 } = new MessageChannel();
    sendPieces(port1, stream, () => {
      // Else the worker's end would keep it, with all that it can abort.
      own.close();
      onEnd();
    });
    own.postMessage(answer, [port2]);
  }

  private socket(request: Untrusted<PageRequest>, own: MessagePort): void {
    const target = checkedTarget(request?.target);
    const protocols: unknown = request?.protocols;
    if (this.sockets.size === MOST_SOCKETS || target === undefined || !isTexts(protocols)) {
      own.postMessage({ type: 'close', code: 1006, reason: '', wasClean: false } satisfies ToSocket);
      return own.close();
    }
    const fields: Fields = [...this.ownFields(target), ['origin', this.origin]];
    const where = { http: this.http, port: this.port, target, protocols, fields };
    const socket: GuestSocket = new GuestSocket(own, where, () => this.sockets.delete(socket));
    this.sockets.add(socket);
  }

  /** What the server believes to be its origin. */
  private get origin(): string {
    return `http://localhost${this.port === 80 ? '' : `:${this.port}`}`;
  }

  private ownFields(target: string): Fields {
    const cookie = this.cookies.get(target);
    return [
      ['host', this.origin.slice('http://'.length)],
      // Nobody but this file decodes what comes.
      ['accept-encoding', 'identity'],
      ...(cookie === undefined ? [] : [['cookie', cookie] as [string, string]]),
    ];
  }

  /** @throws Error if it is no request. */
  private checked(request: Untrusted<PageRequest>): { method: string; target: string; fields: Fields } {
    const method: unknown = request?.method;
    const target = checkedTarget(request?.target);
    const given: unknown = request?.fields;
    if (typeof method !== 'string' || target === undefined) throw new Error('that is no request');
    if (!Array.isArray(given) || given.length > MOST_FIELDS) throw new Error('there are too many fields');
    const fields = given.map((field: unknown): [string, string] => {
      if (!isTexts(field) || field.length !== 2) throw new Error('that is no field');
      return [field[0]!.toLowerCase(), field[1]!];
    });
    const kept = endToEnd(fields).filter(([name]) => !OWN.has(name));
    // A browser sends it with what may change something.
    if (!['GET', 'HEAD'].includes(method)) kept.push(['origin', this.origin]);
    return { method, target, fields: kept };
  }

  private failureOf(error: unknown): { status: number; title: string; text: string } {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof GuestHttpError ? error.code : undefined;
    // The reason of MachineNetwork.connect().
    const cause = code === 'unreachable' ? (error as GuestHttpError).cause : undefined;
    const reason = (cause as { code?: string } | undefined)?.code;
    if (reason === 'refused') {
      const text = 'This page is loaded again when a program of the machine does.';
      return { status: 502, title: `Nothing listens at port ${this.port}`, text };
    }
    if (reason === 'halted' || reason === 'disposed')
      return { status: 502, title: 'The machine has ended', text: 'Start it again, and the server in it.' };
    if (code === 'busy') return { status: 503, title: 'Too many requests', text: message };
    return { status: 502, title: `Port ${this.port} gives no answer`, text: message };
  }
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

function checkedTarget(target: unknown): string | undefined {
  if (typeof target !== 'string' || target.length > LONGEST_TARGET) return undefined;
  return /^\/[\x21-\x7e]*$/.test(target) ? target : undefined;
}
