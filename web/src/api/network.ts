// SPDX-License-Identifier: MIT
// A machine's network, as its owner sees it.

import { FIRST_OWNED } from '../machine/owner-flows.ts';
import type { NetworkStart } from '../machine/network.ts';
import type { InitialEntry, NetworkEvents, NetworkRequest, NetworkRequests } from '../machine/protocol.ts';
import { GuestHttp } from '../network/guest-http.ts';
import type { HostNetworkOptions, NetworkReport } from '../network/open-network.ts';
import { NETWORK_BITS, type FetchNetworkOptions, type NetworkOptions } from '../network/options.ts';
import { GATEWAYS, RESOLVERS } from '../network/policy.ts';
import { CaptureClient } from './captures.ts';
import { checkNetwork } from './check-options.ts';
import { reportException } from './handlers.ts';
import { takePlace, type TakenPlace } from './link-place.ts';
import { SocketClient } from './sockets.ts';
import { MachineError, type Assets, type MachineSocket, type NetworkCapture } from './types.ts';

/** By these, /sbin/sysinit sets the address, and programs find names. */
function networkFiles({ options, address, hostname }: NetworkStart): InitialEntry[] {
  // DHCP says the rest.
  if (options.type === 'ethernet') return [{ path: '/etc/network.addresses', content: 'eth0 dhcp\n' }];
  const name = hostname === undefined ? [] : [{ path: '/etc/hostname', content: `${hostname}\n` }];
  return [
    { path: '/etc/network.addresses', content: `eth0 ${address}/${NETWORK_BITS} ${GATEWAYS[0]}\n` },
    { path: '/etc/resolv.conf', content: `nameserver ${RESOLVERS[0]}\n` },
    ...name,
  ];
}

function intercepts(options: NetworkOptions): options is FetchNetworkOptions {
  return options.type === 'fetch' && options.intercept === true;
}

/**
 * The options with what the host needs for them, and what the guest is to
 * trust.
 * @throws MachineError
 */
async function trustedOf(
  options: NetworkOptions,
  assets: Assets,
  signal: AbortSignal,
): Promise<{ options: HostNetworkOptions; files: InitialEntry[] }> {
  if (!intercepts(options)) return { options, files: [] };
  const { makeInterception } = await import('./interception.ts');
  const { interception, file } = await makeInterception(assets, signal);
  return { options: { ...options, interception }, files: [file] };
}

const LARGEST_PORT = 65_535;

/** Gets a port of TCP, and whether programs in the guest listen there. */
export type PortHandler = (port: number, isOpen: boolean) => void;

export class MachineNetwork {
  /** The guest's address. Undefined without a network, and before the start. */
  address: string | undefined;
  private readonly sockets: SocketClient;
  private readonly options: NetworkOptions | undefined;
  private readonly captures: CaptureClient;
  private readonly http: GuestHttp;
  private readonly request: (request: NetworkRequest) => void;
  private readonly reports = new Set<NetworkReport>();
  private state: Parameters<NetworkReport> | undefined;
  private readonly portHandlers = new Set<PortHandler>();
  private open: ReadonlySet<number> = new Set();
  private place: TakenPlace | undefined;
  private hasEnded = false;

  constructor(options: NetworkOptions | undefined, post: (message: NetworkRequests) => void) {
    this.options = options;
    this.request = (request) => post({ type: 'network', request });
    this.sockets = new SocketClient(this.request, FIRST_OWNED, LARGEST_PORT);
    this.captures = new CaptureClient((request) => post({ type: 'network-capture', request }));
    this.http = new GuestHttp((port) => this.sockets.connect(port));
  }

  /**
   * Connects to a port of the guest, of TCP. Resolves when a program has
   * accepted the connection.
   * @throws MachineError 'refused' if no program listens there;
   *   'invalid-option' if the port is none; 'failed' if the machine was booted
   *   without a network, or with a relay's; the machine's error if the machine
   *   has ended.
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

  /** Whether the machine has a card. */
  get exists(): boolean {
    return this.options !== undefined;
  }

  /** The ports of TCP that are open now, as watchPorts() tells of them. */
  get openPorts(): number[] {
    return [...this.open];
  }

  /**
   * Calls the handler when programs begin to listen at a port that connect()
   * reaches, and when none does any more; and soon, for each port that is open
   * already. The guest may lie, and of more than 64 ports it tells 64. Returns
   * a function to end that.
   * @throws MachineError as connect().
   */
  watchPorts(handler: PortHandler): () => void {
    this.check();
    this.portHandlers.add(handler);
    const known = this.open;
    queueMicrotask(() => {
      // What has changed since is told by setPorts().
      for (const port of known) if (this.open.has(port) && this.portHandlers.has(handler)) call(handler, port, true);
    });
    return () => void this.portHandlers.delete(handler);
  }

  /**
   * Lets the card lead elsewhere from now on. The guest's connections end, and
   * the handlers of onState() hear how it goes. A link to other machines stays,
   * and is no part of these options. `intercept` is for machines that were
   * booted with it, whose guests trust its authority.
   * @throws MachineError 'invalid-option', or 'failed' as connect().
   */
  exchange(options: NetworkOptions): void {
    this.check();
    checkNetwork(options);
    // Others' guests trust no authority of ours.
    if (intercepts(options) && !intercepts(this.options!))
      throw new MachineError('invalid-option', 'network: intercept is for machines that were booted with it');
    this.request({ type: 'exchange', options });
  }

  /**
   * Calls the handler with each state of the network, also with the last one.
   * Returns a function to end that.
   */
  onState(handler: NetworkReport): () => void {
    this.reports.add(handler);
    if (this.state !== undefined) handler(...this.state);
    return () => void this.reports.delete(handler);
  }

  /**
   * Records the frames of the network card from now on. A capture that begins
   * when the machine is made (`new Machine()`) has them all.
   * @throws MachineError 'failed' if the machine was booted without a network,
   *   or has a capture already; the machine's error if the machine has ended.
   */
  capture(): NetworkCapture {
    this.checkCard();
    return this.captures.start();
  }

  /**
   * For the machine, which starts: what its guest and its host get.
   *
   * @throws MachineError
   */
  async start(
    assets: Assets,
    signal: AbortSignal,
  ): Promise<{ files: InitialEntry[]; options: { network?: NetworkStart } }> {
    if (this.options === undefined) return { files: [], options: {} };
    this.place = await takePlace(this.options, (change) => this.request({ type: 'link', change }));
    if (this.hasEnded) this.place.leave();
    const { options, mac, address, hostname, link } = this.place;
    const trusted = await trustedOf(options, assets, signal);
    const network: NetworkStart = {
      options: trusted.options,
      mac,
      address,
      ...(hostname === undefined ? {} : { hostname }),
      ...(link === undefined ? {} : { link }),
    };
    if (options.type !== 'ethernet') this.address = address;
    return { files: [...networkFiles(network), ...trusted.files], options: { network } };
  }

  /** For the machine. */
  handle(message: NetworkEvents): void {
    if (message.type === 'network-capture') return this.captures.handle(message.event);
    const { event } = message;
    if (event.type === 'ports') this.setPorts(event.ports);
    else if (event.type === 'state') this.setState(event.state, event.text);
    else this.sockets.handle(event);
  }

  private setState(...state: Parameters<NetworkReport>): void {
    this.state = state;
    for (const report of [...this.reports]) call(report, ...state);
  }

  /** For the machine, which has ended. */
  ended(error: MachineError): void {
    this.hasEnded = true;
    this.place?.leave();
    this.sockets.ended(error);
    this.captures.ended(error);
    this.http.close();
    this.setPorts([]);
  }

  private setPorts(ports: readonly number[]): void {
    const before = this.open;
    this.open = new Set(ports);
    const tell = (port: number, isOpen: boolean) => {
      for (const handler of [...this.portHandlers]) call(handler, port, isOpen);
    };
    for (const port of before) if (!this.open.has(port)) tell(port, false);
    for (const port of this.open) if (!before.has(port)) tell(port, true);
  }

  private checkCard(): void {
    if (!this.exists) throw new MachineError('failed', 'the machine was booted without a network');
  }

  private check(): void {
    this.checkCard();
    if (this.options?.type === 'ethernet')
      throw new MachineError('failed', 'the guest is in the network of a relay, where only machines there reach it');
  }
}

function call<Values extends unknown[]>(handler: (...values: Values) => void, ...values: Values): void {
  try {
    handler(...values);
  } catch (error) {
    reportException(error);
  }
}
