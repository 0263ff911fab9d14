// SPDX-License-Identifier: MIT
// The host's network: gives the C++ host's flows to a backend, and the
// backend's answers to the C++ host.

import { addressOfBytes, formatAddress } from '../network/address.ts';
import type { Addresses, FlowBackend, FlowEvents, FlowKind } from '../network/backend.ts';
import { ExchangeableNetwork } from '../network/exchangeable-network.ts';
import { openLink, type HostLink, type LinkEvents, type LinkStart } from '../network/host-link.ts';
import type { HostNetworkOptions } from '../network/open-network.ts';
import { MTU, type NetworkOptions } from '../network/options.ts';
import { GATEWAYS, isGateway } from '../network/policy.ts';
import { errorText, HostFailure } from './failure.ts';
import { HostCapture } from './host-capture.ts';
import type { HostModule } from './host-module.ts';
import { NAME_FAILED, NAME_FOUND, NAME_UNKNOWN, type NetworkCalls, type NetworkModule } from './network-module.ts';
import { OwnerFlows } from './owner-flows.ts';
import { OpenPorts } from './open-ports.ts';
import type { NetworkEvent, NetworkEvents, NetworkRequests } from './protocol.ts';

/** Runs the C++ host. Undefined if the machine has ended. */
export type WithModule = <T>(use: (module: HostModule) => T) => T | undefined;

/** What the owner's thread has chosen for a machine with a network. */
export interface NetworkStart {
  options: HostNetworkOptions;
  /** Of the card: 6 bytes. */
  mac: Uint8Array;
  /** The guest's. */
  address: string;
  hostname?: string;
  link?: LinkStart;
}

/** This name is the owner's, and leads to the ports that it serves. */
const OWNER_NAME = 'owner.auklet';

/**
 * Adds the card to the C++ host. Resolves when the backend is ready. `post`
 * tells the owner of its own connections, of its captures, and how the network
 * is.
 *
 * @throws HostFailure
 */
export async function openHostNetwork(
  start: NetworkStart,
  module: HostModule,
  withModule: WithModule,
  post: (message: NetworkEvents) => void,
): Promise<HostNetwork> {
  let network: HostNetwork | undefined;
  try {
    network = new HostNetwork(start, withModule, post);
    await network.open(module);
    return network;
  } catch (error) {
    network?.close();
    throw new HostFailure('network', errorText(error).message, { cause: error });
  }
}

export class HostNetwork implements NetworkCalls {
  private readonly withModule: WithModule;
  private readonly backend: ExchangeableNetwork;
  private readonly owner: OwnerFlows;
  private readonly start: NetworkStart;
  private readonly link: HostLink | undefined;
  private readonly capture: HostCapture;
  private readonly ports: OpenPorts;

  constructor(start: NetworkStart, withModule: WithModule, post: (message: NetworkEvents) => void) {
    this.start = start;
    this.withModule = withModule;
    const events: FlowEvents = {
      opened: (id, room) => this.tell((network) => network.opened(id, room)),
      failed: (id, error) => this.tell((network) => network.failed(id, error)),
      incoming: (id, port, room) => this.tell((network) => network.incoming(id, port, room)) ?? false,
      data: (id, bytes) => this.tell((network) => network.data(id, bytes)) ?? 0,
      writable: (id, room) => this.tell((network) => network.writable(id, room)),
      finished: (id) => this.tell((network) => network.finished(id)),
      aborted: (id) => this.tell((network) => network.aborted(id)),
    };
    const tellOwner = (event: NetworkEvent) => post({ type: 'network', event });
    this.owner = new OwnerFlows(events, tellOwner);
    this.ports = new OpenPorts((ports) => tellOwner({ type: 'ports', ports }));
    const recorder = {
      start: () => this.tell((network) => network.startCapture()),
      stop: () => this.tell((network) => network.stopCapture()),
    };
    this.capture = new HostCapture(recorder, (event) => post({ type: 'network-capture', event }));
    const linkEvents: LinkEvents = {
      receive: (size, copy) => this.tell((network) => network.receive(size, copy)) ?? true,
      writable: () => this.tell((network) => network.linkWritable()),
    };
    this.backend = new ExchangeableNetwork(start.options, events, (state, text) =>
      tellOwner({ type: 'state', state, text }),
    );
    if (start.link !== undefined) this.link = openLink(start.link, start.mac, linkEvents);
  }

  async open(module: HostModule): Promise<void> {
    const { options, mac, address } = this.start;
    const { reachesIpv6 } = this.backend;
    const translates = options.type !== 'ethernet';
    module.addNetwork({ mac, mtu: MTU, address, translates, reachesIpv6 }, this.link?.offloads);
    await Promise.all([this.backend.ready, this.link?.ready]);
  }

  request(message: NetworkRequests): void {
    if (message.type === 'network-capture') return this.capture.request(message.request);
    const { request } = message;
    if (request.type === 'exchange') this.backend.exchange(this.withAuthority(request.options));
    else if (request.type === 'link') this.link?.change?.(request.change);
    else this.owner.request(request);
  }

  /** The guest has trusted one authority from the start on, or none. */
  private withAuthority(options: NetworkOptions): HostNetworkOptions {
    const { options: first } = this.start;
    if (options.type !== 'fetch' || options.intercept !== true || first.type !== 'fetch') return options;
    return { ...options, interception: first.interception };
  }

  /** Tells the owner of all frames that have passed. */
  flush(): void {
    this.capture.flush();
  }

  portChanged(port: number, isOpen: boolean): void {
    this.ports.changed(port, isOpen);
  }

  close(): void {
    this.link?.close();
    this.ports.close();
    this.backend.close();
  }

  // ---- NetworkCalls ---------------------------------------------------------

  flowOpen(id: number, kind: FlowKind, bytes: Uint8Array, port: number): void {
    const address = addressOfBytes(bytes);
    if (kind === 'stream' && isGateway(address) && this.owner.listens(port)) this.owner.open(id, port);
    else this.backend.open(id, kind, formatAddress(address), port);
  }

  flowAccepted(id: number): void {
    this.flows(id).accepted?.(id);
  }

  flowSend(id: number, bytes: Uint8Array): number {
    return this.flows(id).send(id, bytes);
  }

  flowFinish(id: number): void {
    this.flows(id).finish(id);
  }

  flowConsumed(id: number, count: number): void {
    this.flows(id).consumed(id, count);
  }

  flowClosed(id: number, reset: boolean): void {
    this.flows(id).closed(id, reset);
  }

  nameResolve(id: number, name: string, ipv6: boolean): void {
    const known = name.toLowerCase();
    const machine = known === this.start.hostname ? this.start.address : this.link?.find?.(known);
    let found: Promise<Addresses | undefined>;
    if (known === OWNER_NAME) found = Promise.resolve({ addresses: [GATEWAYS[ipv6 ? 1 : 0]], seconds: 60 });
    // Another machine may have the name soon.
    else if (machine !== undefined) found = Promise.resolve({ addresses: ipv6 ? [] : [machine], seconds: 1 });
    else found = this.backend.names.resolve(name, ipv6);
    found.then(
      (answer) =>
        this.tell((network) =>
          answer === undefined
            ? network.resolved(id, NAME_UNKNOWN, [], 0)
            : network.resolved(id, NAME_FOUND, answer.addresses, answer.seconds),
        ),
      () => this.tell((network) => network.resolved(id, NAME_FAILED, [], 0)),
    );
  }

  nameAsk(id: number, message: Uint8Array): void {
    this.backend.names.ask(message).then(
      (answer) => this.tell((network) => network.answered(id, answer)),
      () => this.tell((network) => network.answered(id, new Uint8Array(0))),
    );
  }

  linkSend(offload: Uint8Array, frame: Uint8Array): boolean {
    return this.link?.send(offload, frame) ?? true;
  }

  linkReady(): void {
    this.link?.receiverReady();
  }

  captured(bytes: Uint8Array): boolean {
    return this.capture.captured(bytes);
  }

  /** Whose flow it is. */
  private flows(id: number): FlowBackend | OwnerFlows {
    return this.owner.has(id) ? this.owner : this.backend;
  }

  private tell<T>(use: (network: NetworkModule) => T): T | undefined {
    return this.withModule((module) => use(module.network));
  }
}
