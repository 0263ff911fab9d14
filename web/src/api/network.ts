// SPDX-License-Identifier: MIT
// A machine's network, as its owner sees it.

import { FIRST_OWNED } from '../machine/owner-flows.ts';
import type { InitialEntry, SocketEvent, SocketRequest } from '../machine/protocol.ts';
import { GuestHttp } from '../network/guest-http.ts';
import { GUEST_ADDRESS, NETWORK_BITS, type NetworkOptions } from '../network/options.ts';
import { GATEWAYS, RESOLVERS } from '../network/policy.ts';
import { SocketClient } from './sockets.ts';
import { MachineError, type MachineSocket } from './types.ts';

/** By these, /sbin/sysinit sets the address, and programs find names. */
export function networkFiles(network: NetworkOptions | undefined): InitialEntry[] {
  if (network === undefined) return [];
  return [
    { path: '/etc/network.addresses', content: `eth0 ${GUEST_ADDRESS}/${NETWORK_BITS} ${GATEWAYS[0]}\n` },
    { path: '/etc/resolv.conf', content: `nameserver ${RESOLVERS[0]}\n` },
  ];
}

const LARGEST_PORT = 65_535;

export class MachineNetwork {
  private readonly sockets: SocketClient;
  private readonly exists: boolean;
  private readonly http: GuestHttp;

  constructor(options: NetworkOptions | undefined, request: (request: SocketRequest) => void) {
    this.exists = options !== undefined;
    this.sockets = new SocketClient(request, FIRST_OWNED, LARGEST_PORT);
    this.http = new GuestHttp((port) => this.sockets.connect(port));
  }

  /**
   * Connects to a port of the guest, of TCP. Resolves when a program has
   * accepted the connection.
   * @throws MachineError 'refused' if no program listens there;
   *   'invalid-option' if the port is none; 'failed' if the machine was booted
   *   without a network; the machine's error if the machine has ended.
   */
  async connect(port: number): Promise<MachineSocket> {
    this.check();
    return this.sockets.connect(port);
  }

  /**
   * Calls the handler for each connection of a program in the guest to this
   * port of the gateway, which the name owner.auklet has, too. Returns a
   * function to end that.
   * @throws MachineError as connect(), and 'invalid-option' if the port has a
   *   handler.
   */
  listen(port: number, handler: (socket: MachineSocket) => unknown): () => void {
    this.check();
    return this.sockets.listen(port, handler);
  }

  /**
   * The response of the HTTP server on a port of the guest, as it is: redirects
   * are not followed, and bodies not decoded. The request's address says what
   * the server sees as Host. Connections are kept for the next request.
   * @throws MachineError as connect(); GuestHttpError, or the reason of the
   *   request's signal. Both may also come from the body.
   */
  async fetch(port: number, request: Request | URL | string, init?: RequestInit): Promise<Response> {
    this.check();
    return this.http.fetch(port, new Request(request, init));
  }

  /** For the machine. */
  handle(event: SocketEvent): void {
    this.sockets.handle(event);
  }

  /** For the machine, which has ended. */
  ended(error: MachineError): void {
    this.sockets.ended(error);
    this.http.close();
  }

  private check(): void {
    if (!this.exists) throw new MachineError('failed', 'the machine was booted without a network');
  }
}
