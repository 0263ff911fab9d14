// SPDX-License-Identifier: MIT
// Ports of this computer that lead to ports of the guest.

import type { Server, Socket } from 'node:net';
import type * as NodeSockets from 'node:net';
import { nodeModule } from '../machine/platform.ts';
import { formatAddress, parseAddress } from './address.ts';

export interface PublishedPort {
  /** A literal. */
  address: string;
  port: number;
  guestPort: number;
}

function parsePort(text: string, what: string, digits: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(digits) || Number(digits) > 65_535)
    throw new Error(`${JSON.stringify(text)} needs a number from 1 to 65535 as ${what}`);
  return Number(digits);
}

/**
 * `[ADDRESS:]PORT:GUESTPORT`. Without an address it is 127.0.0.1. One of IPv6
 * has brackets.
 *
 * @throws Error with a message for users
 */
export function parsePublishedPort(text: string): PublishedPort {
  const parts = /^(?:(\[[^\]]*\]|[^:[\]]*):)?([^:]*):([^:]*)$/.exec(text);
  if (parts === null) throw new Error(`${JSON.stringify(text)} is not [ADDRESS:]PORT:GUESTPORT, such as 8080:80`);
  const [, host = '127.0.0.1', port, guestPort] = parts;
  const literal = host.startsWith('[') ? host.slice(1, -1) : host;
  const address = parseAddress(literal);
  if (address === undefined || literal.includes(':') !== host.startsWith('['))
    throw new Error(`${JSON.stringify(text)} needs an address of this computer in front, such as 0.0.0.0 or [::1]`);
  return {
    address: formatAddress(address),
    port: parsePort(text, 'the port of this computer', port!),
    guestPort: parsePort(text, 'the port of the guest', guestPort!),
  };
}

/**
 * `PORT:GUESTPORT` of a relay, which listens where it wants to. Port 0 is any
 * that is free.
 *
 * @throws Error with a message for users
 */
export function parseRelayPort(text: string): Pick<PublishedPort, 'port' | 'guestPort'> {
  const parts = /^([^:]*):([^:]*)$/.exec(text);
  if (parts === null) throw new Error(`${JSON.stringify(text)} is not PORT:GUESTPORT, such as 20000:80`);
  const [, port, guestPort] = parts;
  return {
    port: port === '0' ? 0 : parsePort(text, 'the port of the relay', port!),
    guestPort: parsePort(text, 'the port of the guest', guestPort!),
  };
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'another program has it',
  EACCES: 'the system does not allow it',
  EADDRNOTAVAIL: 'this computer does not have the address',
};

export class PublishedPorts {
  private readonly servers: Server[] = [];

  /**
   * Listens at all of the ports, of which 0 is any that is free. `accept` takes
   * a paused socket for a port of the guest. Resolves to the ports.
   *
   * @throws Error with a message for users. Nothing listens then.
   */
  async listen(
    ports: readonly PublishedPort[],
    accept: (socket: Socket, guestPort: number) => void,
  ): Promise<number[]> {
    try {
      return await Promise.all(ports.map((port) => this.open(port, accept)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Connections that were accepted go on. */
  close(): void {
    for (const server of this.servers.splice(0)) server.close();
  }

  private open(
    { address, port, guestPort }: PublishedPort,
    accept: (socket: Socket, guestPort: number) => void,
  ): Promise<number> {
    const { createServer } = nodeModule('node:net') as typeof NodeSockets;
    const options = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true, highWaterMark: 1 };
    const server = createServer(options, (socket) => accept(socket, guestPort));
    this.servers.push(server);
    return new Promise((resolve, reject) => {
      server.on('error', (error: Error & { code?: string }) => {
        const place = `${address.includes(':') ? `[${address}]` : address}:${port}`;
        reject(new Error(`cannot listen at ${place}: ${REASONS[error.code ?? ''] ?? error.message}`, { cause: error }));
      });
      server.listen({ host: address, port, ipv6Only: true }, () =>
        resolve((server.address() as { port: number }).port),
      );
    });
  }
}
