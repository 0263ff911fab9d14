// SPDX-License-Identifier: MIT
// A network without any server: HTTP to port 80 ends here, and fetch() carries
// each request on. Nothing else goes out.

import type { Addresses, FlowBackend, FlowEvents, FlowKind, NameBackend } from './backend.ts';
import { BodyBudget } from './collected-body.ts';
import type { Interceptor } from './interception.ts';
import { FetchFlow, type Sender } from './fetch-flow.ts';
import { failureText, isPublicName, ORIGIN_NAME } from './fetch-request.ts';
import { isPlaceholder, Placeholders } from './placeholders.ts';
import { GATEWAYS } from './policy.ts';

export interface FetchOptions {
  /** The engine's own, if it is left out. */
  fetch?: Sender['fetch'];
  /**
   * The origin of the page, if there is one, such as "https://example.org".
   * Guests read from it at http://origin.auklet/.
   */
  origin?: string;
  /**
   * Send requests as http rather than https. Only where the page itself came
   * by http, or there is none: other pages may not.
   */
  plain?: boolean;
  /**
   * Whether guests may reach this host, as URLs write it: a name, an address
   * of IPv4, or one of IPv6 in brackets. It is asked again after redirects. If
   * it is left out: names of the internet, and no addresses.
   */
  permits?: (host: string) => boolean | Promise<boolean>;
  /** Whether fetch() sends streams as bodies. If left out, it is tried. */
  streams?: boolean;
  /**
   * The origin, such as "http://10.0.2.2:8080", that all requests of a
   * connection to this address and port go to, if there is one. It is asked
   * before names are looked at.
   */
  serves?: (address: string, port: number) => string | undefined;
  /** For the one who reads in the guest why there is no response. */
  failureText?: Sender['failureText'];
}

/** The ports that are served, the second one if there is an interceptor. */
const HTTP = 80;
const HTTPS = 443;
/** Connections at a time; there are more names. */
const MOST_FLOWS = 1024;
/** Bytes of all bodies of requests that wait for their ends. */
const MOST_COLLECTED = 64 << 20;

/** Whether this engine sends a body while it comes. */
function streamsBodies(): boolean {
  let isAsked = false;
  try {
    const init = {
      method: 'POST',
      body: new ReadableStream(),
      // Who knows streams looks at this.
      get duplex() {
        isAsked = true;
        return 'half';
      },
    };
    // Others take a stream for a text, which has a type.
    return !new Request('https://origin.auklet/', init).headers.has('content-type') && isAsked;
  } catch {
    return false;
  }
}

/** Who a guest means that has connected to an address and names nobody. */
function hostOf(address: string): string {
  // This computer's part is what the page has.
  if (GATEWAYS.some((gateway) => gateway === address)) return ORIGIN_NAME;
  return address.includes(':') ? `[${address}]` : address;
}

type Flow = Pick<FetchFlow, 'send' | 'finish' | 'consumed' | 'close'>;

export class FetchBackend implements FlowBackend, NameBackend {
  private readonly events: FlowEvents;
  private readonly sender: Sender;
  /** For what comes by TLS. */
  private readonly secureSender: Sender;
  private interceptor: Interceptor | undefined;
  private readonly names: Placeholders;
  private readonly flows = new Map<number, Flow>();
  private readonly held = new Map<number, string>();
  private readonly serves: NonNullable<FetchOptions['serves']>;

  constructor(events: FlowEvents, options: FetchOptions = {}) {
    const { origin, permits = isPublicName } = options;
    this.events = events;
    this.serves = options.serves ?? (() => undefined);
    const isSecure = origin !== undefined && new URL(origin).protocol !== 'http:';
    const scheme = options.plain === true && !isSecure ? 'http' : 'https';
    const streams = options.streams ?? streamsBodies();
    this.sender = {
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      rules: { origin, scheme, port: HTTP, fixed: undefined },
      failureText: options.failureText ?? failureText,
      permits: (url) => (origin !== undefined && url.origin === new URL(origin).origin) || permits(url.hostname),
      // Engines stream by HTTP/2 only, which is never plain.
      streams: scheme === 'https' && streams,
      budget: new BodyBudget(MOST_COLLECTED),
    };
    // What a guest has encrypted is never sent plain.
    this.secureSender = { ...this.sender, rules: { origin, scheme: 'https', port: HTTPS, fixed: undefined }, streams };
    this.names = new Placeholders((name) =>
      name === ORIGIN_NAME ? origin !== undefined : !/(?:^|\.)auklet$/.test(name),
    );
  }

  /** From now on, port 443 is served, too. */
  intercept(interceptor: Interceptor | undefined): void {
    this.interceptor = interceptor;
  }

  open(id: number, kind: FlowKind, address: string, port: number): void {
    const isFree = kind === 'stream' && this.flows.size < MOST_FLOWS;
    const fixed = isFree ? this.serves(address, port) : undefined;
    const interceptor = port === HTTPS && fixed === undefined ? this.interceptor : undefined;
    const isServed = isFree && (port === HTTP || fixed !== undefined || interceptor?.hasRoom === true);
    const name = isServed ? this.names.hold(address) : undefined;
    // Of an address without a name, there can be no certificate.
    if (!isServed || (name === undefined && (interceptor !== undefined || isPlaceholder(address)))) {
      this.refuse(id);
      return;
    }
    if (name !== undefined) this.held.set(id, name);
    const host = name ?? hostOf(address);
    const cut = () => {
      this.forget(id);
      this.events.aborted(id);
    };
    const failed = () => {
      this.forget(id);
      this.events.failed(id, 'refused');
    };
    const { sender, secureSender } = this;
    const own = fixed === undefined ? sender : { ...sender, rules: { ...sender.rules, fixed } };
    const flow = interceptor?.open(id, host, this.events, {
      cut,
      failed,
      makeInner: (events, cutInner) => new FetchFlow(id, host, events, secureSender, cutInner),
    });
    this.flows.set(id, flow ?? new FetchFlow(id, host, this.events, own, cut));
  }

  send(id: number, bytes: Uint8Array): number {
    return this.flows.get(id)?.send(bytes) ?? 0;
  }

  finish(id: number): void {
    this.flows.get(id)?.finish();
  }

  consumed(id: number): void {
    this.flows.get(id)?.consumed();
  }

  closed(id: number): void {
    this.flows.get(id)?.close();
    this.forget(id);
  }

  close(): void {
    for (const id of [...this.flows.keys()]) this.closed(id);
  }

  resolve(name: string, ipv6: boolean): Promise<Addresses | undefined> {
    return this.names.resolve(name, ipv6);
  }

  ask(message: Uint8Array): Promise<Uint8Array> {
    return this.names.ask(message);
  }

  private refuse(id: number): void {
    const refusal: Flow = { send: () => 0, finish() {}, consumed() {}, close() {} };
    this.flows.set(id, refusal);
    queueMicrotask(() => {
      // It may be gone by now, and another have its number.
      if (this.flows.get(id) !== refusal) return;
      this.flows.delete(id);
      this.events.failed(id, 'refused');
    });
  }

  private forget(id: number): void {
    this.flows.delete(id);
    const name = this.held.get(id);
    if (name === undefined) return;
    this.held.delete(id);
    this.names.release(name);
  }
}
