// SPDX-License-Identifier: MIT
// The far sides of guests' connections as sockets of Node.js: the internet
// without a relay, and without rights.

import type * as NodeDatagramSockets from 'node:dgram';
import type * as NodeNames from 'node:dns/promises';
import type { Socket } from 'node:net';
import type * as NodeSockets from 'node:net';
import type * as NodeSystem from 'node:os';
import { nodeModule } from '../machine/platform.ts';
import { formatAddress, parseAddress } from './address.ts';
import type { FlowBackend, FlowError, FlowEvents, FlowKind } from './backend.ts';
import { Budget, MOST_DATAGRAM_FLOWS, MOST_STREAMS } from './budget.ts';
import { NodeDatagrams } from './node-datagrams.ts';
import { NodeStream, type Flow, type FlowOwner } from './node-stream.ts';
import { isGateway, isResolver, type Policy } from './policy.ts';
import { ResolverStream } from './resolver-stream.ts';

/** The system itself would try for two minutes. */
const CONNECT_TIMEOUT = 30_000;
/** Flows with larger numbers are the guest's and the owner's. */
const FIRST_OF_OTHERS = 2 ** 30;
const DNS_PORT = 53;
/** For how long the addresses of this computer are good, in ms. */
const OWN_GOOD_FOR = 5000;

export interface NodeFlowsOptions {
  policy: Policy;
  /** The names that were answered with an address. */
  namesOf?: (address: string) => readonly string[];
  /** The addresses of a name, for a flow that is opened by name. */
  lookup?: (name: string) => Promise<readonly string[]>;
  /** Answers questions that guests ask their resolver by TCP. */
  ask?: (message: Uint8Array) => Promise<Uint8Array>;
  /** In ms. */
  connectTimeout?: number;
}

/**
 * Larger networks are no neighbourhood: a tunnel may have all of the internet.
 */
const LEAST_BITS = { 4: 16, 6: 48 } as const;

/** A card's address, with the bits of its network if that is a small one. */
function ownNetwork({ address, cidr }: NodeSystem.NetworkInterfaceInfo): string {
  const bits = Number(cidr?.split('/')[1]);
  return bits >= LEAST_BITS[address.includes(':') ? 6 : 4] ? `${address}/${bits}` : address;
}

/** The addresses and networks of this computer's cards, for the policy. */
export function ownAddresses(
  cards: () => ReturnType<typeof NodeSystem.networkInterfaces> = systemCards,
): () => readonly string[] {
  let addresses: string[] = [];
  let until = -Infinity;
  return () => {
    const now = performance.now();
    if (now < until) return addresses;
    until = now + OWN_GOOD_FOR;
    try {
      addresses = Object.values(cards()).flatMap((card) => (card ?? []).map(ownNetwork));
    } catch {
      // Android does not tell.
    }
    return addresses;
  };
}

/** Whether a card of this computer has an address of the internet's IPv6. */
export function hasIpv6(): boolean {
  return ownAddresses()().some((literal) => {
    const address = parseAddress(literal.replace(/\/.*/, ''));
    return address?.version === 6 && address.value >> 125n === 1n;
  });
}

function systemCards(): ReturnType<typeof NodeSystem.networkInterfaces> {
  return (nodeModule('node:os') as typeof NodeSystem).networkInterfaces();
}

function isResolverLiteral(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && isResolver(address);
}

async function lookUp(name: string): Promise<string[]> {
  const names = nodeModule('node:dns/promises') as typeof NodeNames;
  return (await names.lookup(name, { all: true })).map(({ address }) => address);
}

/** A flow that waits for its addresses, or will hear that it has none. */
class Waiting implements Flow {
  private readonly early: Uint8Array[] = [];

  /** Only datagrams come before opened(), and the first is worth keeping. */
  send(bytes: Uint8Array): number {
    if (this.early.length === 0) this.early.push(new Uint8Array(bytes));
    return 0;
  }

  finish(): void {}
  consumed(): void {}
  closed(): void {}

  pass(flow: Flow): void {
    for (const bytes of this.early) flow.send(bytes);
  }
}

export class NodeFlows implements FlowBackend {
  private readonly sockets = nodeModule('node:net') as typeof NodeSockets;
  private readonly datagrams = nodeModule('node:dgram') as typeof NodeDatagramSockets;
  private readonly owner: FlowOwner;
  private readonly options: NodeFlowsOptions;
  private readonly flows = new Map<number, Flow>();
  private lastId = 0;

  constructor(events: FlowEvents, options: NodeFlowsOptions) {
    this.owner = { events, budget: new Budget(), ended: (id) => this.flows.delete(id) };
    this.options = options;
  }

  open(id: number, kind: FlowKind, address: string, port: number): void {
    const { budget } = this.owner;
    const isFull = kind === 'stream' ? budget.streams >= MOST_STREAMS : budget.datagramFlows >= MOST_DATAGRAM_FLOWS;
    const addresses = isFull ? 'unreachable' : this.addressesOf(address, port);
    const { ask } = this.options;
    const isQuestion = ask !== undefined && kind === 'stream' && port === DNS_PORT && isResolverLiteral(address);
    const questions = isQuestion && !isFull ? ResolverStream.open(id, this.owner, ask) : undefined;
    if (questions !== undefined) this.flows.set(id, questions);
    else if (Array.isArray(addresses)) this.connect(id, kind, addresses, port);
    else void this.wait(id, kind, port, addresses);
  }

  accepted(id: number): void {
    this.flows.get(id)?.accepted?.();
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

  closed(id: number, reset: boolean): void {
    const flow = this.flows.get(id);
    this.flows.delete(id);
    flow?.closed(reset);
  }

  close(): void {
    for (const flow of this.flows.values()) flow.closed(true);
    this.flows.clear();
  }

  /**
   * Connects a socket of a server (published-ports.ts) to a port of the guest.
   * It is reset if there is nobody.
   */
  accept(socket: Socket, port: number): void {
    const { budget, events } = this.owner;
    const id = this.newId();
    const stream = budget.streams < MOST_STREAMS ? NodeStream.accept(id, this.owner, socket) : undefined;
    if (stream === undefined) {
      socket.on('error', () => {});
      socket.resetAndDestroy();
      return;
    }
    this.flows.set(id, stream);
    if (!events.incoming(id, port, stream.room)) this.closed(id, true);
  }

  private newId(): number {
    // There are far fewer flows than numbers.
    do this.lastId = (this.lastId + 1) % FIRST_OF_OTHERS;
    while (this.flows.has(this.lastId));
    return this.lastId;
  }

  /** The literals that may be connected to, or why there are none. */
  private addressesOf(address: string, port: number): string[] | FlowError | Promise<string[] | FlowError> {
    const { policy, namesOf, lookup = lookUp } = this.options;
    const parsed = parseAddress(address);
    if (parsed === undefined) {
      const allowed = (literal: string): boolean => policy.allows(literal, port, address);
      return lookup(address).then(
        (all) => (all.length === 0 ? 'unreachable' : this.usable(all.filter(allowed))),
        () => 'unreachable',
      );
    }
    return this.usable(policy.allows(address, port, ...(namesOf?.(address) ?? [])) ? [address] : []);
  }

  /** Connects to what was checked, and not to how it was written. */
  private usable(allowed: readonly string[]): string[] | FlowError {
    if (allowed.length === 0) return 'prohibited';
    return allowed.map((literal) => {
      const address = parseAddress(literal)!;
      if (isGateway(address)) return address.version === 4 ? '127.0.0.1' : '::1';
      return formatAddress(address);
    });
  }

  private async wait(
    id: number,
    kind: FlowKind,
    port: number,
    pending: FlowError | Promise<string[] | FlowError>,
  ): Promise<void> {
    const flow = new Waiting();
    this.flows.set(id, flow);
    const addresses = await pending;
    // The number may be another flow's by now.
    if (this.flows.get(id) !== flow) return;
    this.flows.delete(id);
    if (typeof addresses === 'string') {
      this.owner.events.failed(id, addresses);
    } else {
      this.connect(id, kind, addresses, port);
      flow.pass(this.flows.get(id)!);
    }
  }

  private connect(id: number, kind: FlowKind, addresses: readonly string[], port: number): void {
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const { address, family } = all[0]!;
    if (kind === 'datagrams') {
      const socket = this.datagrams.createSocket(family === 4 ? 'udp4' : 'udp6');
      this.flows.set(id, new NodeDatagrams(id, this.owner, socket, address, port));
      return;
    }
    // Node.js tries several addresses in turn, which it takes from a lookup.
    const target =
      all.length === 1
        ? { host: address }
        : {
            host: 'name',
            autoSelectFamily: true,
            lookup: (
              _: string,
              __: unknown,
              found: (error: null, all: { address: string; family: number }[]) => void,
            ) => queueMicrotask(() => found(null, all)),
          };
    const connect = (option: object): Socket =>
      this.sockets.connect({
        ...target,
        ...option,
        port,
        allowHalfOpen: true,
        noDelay: true,
      } as NodeSockets.TcpNetConnectOpts);
    const timeout = this.options.connectTimeout ?? CONNECT_TIMEOUT;
    this.flows.set(id, NodeStream.open(id, this.owner, connect, timeout));
  }
}
