// SPDX-License-Identifier: MIT
// The relay of `./auklet run`. It is for the page that comes from the same
// server, in a browser of this computer, and for nobody else.

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import { BlockList } from 'node:net';
import type { RelayFile } from '../network/relay-file.ts';
import type { Policy } from '../network/policy.ts';
import { systemResolver } from '../relay/destination.ts';
import { startRelay, type Relay } from '../relay/relay.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Names of others may lead here, too (DNS rebinding). */
const OWN_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
/** Of proxies, which hide from where a request has come. */
const OF_PROXIES = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];

/** Whether a request is one of this computer to this server. */
function isFromHere({ headers, socket }: IncomingMessage): boolean {
  const { remoteAddress = '' } = socket;
  return (
    loopback.check(remoteAddress, remoteAddress.includes(':') ? 'ipv6' : 'ipv4') &&
    OWN_HOST.test(headers.host ?? '') &&
    OF_PROXIES.every((name) => headers[name] === undefined)
  );
}

/** Whether a WebSocket is one of a page that has come from this server. */
const isOwnPage = (request: IncomingMessage): boolean =>
  isFromHere(request) && request.headers.origin === `http://${request.headers.host}`;

export class PageRelay {
  private readonly relay: Relay;

  private constructor(relay: Relay) {
    this.relay = relay;
  }

  /** Serves WebSockets of the server, which listens already. */
  static async start(server: Server, filter: Policy): Promise<PageRelay> {
    const token = randomBytes(18).toString('base64url');
    return new PageRelay(await startRelay({ server, token, filter, accepts: isOwnPage, resolver: systemResolver() }));
  }

  /**
   * What the page is told. Undefined: whoever asks is not this page. Browsers
   * let no other page read an answer, and say who wants it.
   */
  fileFor(request: IncomingMessage): RelayFile | undefined {
    const site = request.headers['sec-fetch-site'];
    if (!isFromHere(request) || (site !== undefined && site !== 'same-origin')) return undefined;
    return { path: this.relay.path };
  }

  close(): Promise<void> {
    return this.relay.close();
  }
}
