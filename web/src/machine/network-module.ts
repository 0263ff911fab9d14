// SPDX-License-Identifier: MIT
// The part of the C++ host that is about flows and names
// (host/src/network/translator.hpp), as a TypeScript object.

import { bytesOfAddress, parseAddress } from '../network/address.ts';
import type { FlowError, FlowEvents, FlowKind } from '../network/backend.ts';
import { OFFLOAD, OFFLOAD_FIELDS, LONGEST_FRAME } from '../network/frame-ring.ts';

/**
 * What the C++ host calls. The arrays are copies, but for flowSend() and
 * captured().
 */
export interface NetworkCalls {
  /** `address` has 16 bytes, as an IPv6 address. */
  flowOpen(id: number, kind: FlowKind, address: Uint8Array, port: number): void;
  flowAccepted(id: number): void;
  /** `bytes` is only valid during the call. Returns the room that is left. */
  flowSend(id: number, bytes: Uint8Array): number;
  flowFinish(id: number): void;
  flowConsumed(id: number, count: number): void;
  flowClosed(id: number, reset: boolean): void;
  nameResolve(id: number, name: string, ipv6: boolean): void;
  nameAsk(id: number, message: Uint8Array): void;
  /** Both are only valid during the call. False: there is no room now. */
  linkSend(offload: Uint8Array, frame: Uint8Array): boolean;
  linkReady(): void;
  /**
   * The next bytes of a capture, which are only valid during the call. False if
   * there is no room.
   */
  captured(bytes: Uint8Array): boolean;
}

/** A network card, and what it is connected to. */
export interface CardDescription {
  mac: Uint8Array;
  mtu: number;
  /** The guest's address. */
  address: string;
  /** Whether there is a translator. */
  translates: boolean;
  reachesIpv6: boolean;
}

export interface NetworkExports {
  memory: WebAssembly.Memory;
  allocate(size: number): number;
  addNetwork(mac: number, mtu: number, translates: number, reachesIpv6: number): number;
  addRemote(offloads: number, mtu: number): number;
  linkReceive(bytes: number, size: number): number;
  linkWritable(): void;
  flowOpened(id: number, room: number): void;
  flowFailed(id: number, error: number): void;
  flowIncoming(id: number, address: number, port: number, room: number): number;
  flowData(id: number, bytes: number, size: number): number;
  flowWritable(id: number, room: number): void;
  flowFinished(id: number): void;
  flowAborted(id: number): void;
  nameResolved(id: number, error: number, addresses: number, count: number, seconds: number): void;
  nameAnswered(id: number, message: number, size: number): void;
  startCapture(): void;
  stopCapture(): void;
}

/** Those of host/src/backends/flows.hpp, in this order. */
const KINDS = ['stream', 'datagrams'] as const;
const ERRORS: readonly FlowError[] = ['refused', 'unreachable', 'timed-out', 'prohibited'];

/** That of host/src/backends/names.hpp. */
export const NAME_FOUND = 0;
export const NAME_UNKNOWN = 1;
export const NAME_FAILED = 2;

/** A name with more addresses than this has only the first ones. */
const MOST_ADDRESSES = 64;

/** Bytes for one call. A datagram of UDP has fewer than 64 KiB. */
const BUFFER = 65536;

/** The imports of the C++ host. `own` gives a view of its memory. */
export function networkImports(
  calls: () => NetworkCalls | undefined,
  own: (address: number, size: number) => Uint8Array,
): Record<string, (...values: number[]) => number | void> {
  return {
    flowOpen: (id, kind, address, port) => calls()?.flowOpen(id >>> 0, KINDS[kind]!, own(address, 16).slice(), port),
    flowAccepted: (id) => calls()?.flowAccepted(id >>> 0),
    flowSend: (id, bytes, size) => calls()?.flowSend(id >>> 0, own(bytes, size)) ?? 0,
    flowFinish: (id) => calls()?.flowFinish(id >>> 0),
    flowConsumed: (id, count) => calls()?.flowConsumed(id >>> 0, count >>> 0),
    flowClosed: (id, reset) => calls()?.flowClosed(id >>> 0, reset !== 0),
    nameResolve: (id, name, size, ipv6) =>
      calls()?.nameResolve(id >>> 0, new TextDecoder().decode(own(name, size)), ipv6 !== 0),
    nameAsk: (id, message, size) => calls()?.nameAsk(id >>> 0, own(message, size).slice()),
    // A machine that ends waits for nobody.
    linkSend: (offload, frame, size) =>
      Number(calls()?.linkSend(own(offload, OFFLOAD_FIELDS), own(frame, size)) ?? true),
    linkReady: () => calls()?.linkReady(),
    captured: (bytes, size) => Number(calls()?.captured(own(bytes, size)) ?? false),
  };
}

/** Comes to be of use when the machine has a network card. */
export class NetworkModule implements FlowEvents {
  private readonly exports: NetworkExports;
  /** The address of BUFFER bytes of the module's memory. */
  private buffer: number | undefined;
  /** The address of a frame with its offloads there. */
  private frame: number | undefined;
  /** The guest's, of 16 bytes. */
  private address: Uint8Array = new Uint8Array(16);

  constructor(exports: NetworkExports) {
    this.exports = exports;
  }

  /** Returns false after an error, whose text the module has. */
  addNetwork({ mac, mtu, address, translates, reachesIpv6 }: CardDescription): boolean {
    this.address = bytesOfAddress(parseAddress(address)!);
    const addresses = new Uint8Array([...mac, ...this.address]);
    return this.exports.addNetwork(this.lend(addresses), mtu, Number(translates), Number(reachesIpv6)) !== 0;
  }

  /** Comes after addNetwork(). */
  addLink(offloads: boolean, mtu: number): boolean {
    return this.exports.addRemote(Number(offloads), mtu) !== 0;
  }

  /** As LinkEvents. */
  receive(size: number, copy: (target: Uint8Array) => void): boolean {
    this.frame ??= this.exports.allocate(OFFLOAD + LONGEST_FRAME) >>> 0;
    copy(new Uint8Array(this.exports.memory.buffer, this.frame, size));
    return this.exports.linkReceive(this.frame, size) !== 0;
  }

  linkWritable(): void {
    this.exports.linkWritable();
  }

  opened(id: number, room: number): void {
    this.exports.flowOpened(id, room);
  }

  failed(id: number, error: FlowError): void {
    this.exports.flowFailed(id, ERRORS.indexOf(error));
  }

  incoming(id: number, port: number, room: number): boolean {
    return this.exports.flowIncoming(id, this.lend(this.address), port, room) !== 0;
  }

  data(id: number, bytes: Uint8Array): number {
    // A datagram may be empty, and has room in one part.
    for (let taken = 0; ;) {
      const part = bytes.subarray(taken, taken + BUFFER);
      const count = this.exports.flowData(id, this.lend(part), part.length) >>> 0;
      taken += count;
      if (count < part.length || taken === bytes.length) return taken;
    }
  }

  writable(id: number, room: number): void {
    this.exports.flowWritable(id, room);
  }

  finished(id: number): void {
    this.exports.flowFinished(id);
  }

  aborted(id: number): void {
    this.exports.flowAborted(id);
  }

  /** `addresses` are literals, of which others are left out. */
  resolved(id: number, error: number, addresses: readonly string[], seconds: number): void {
    const known = addresses
      .map(parseAddress)
      .filter((address) => address !== undefined)
      .slice(0, MOST_ADDRESSES);
    const bytes = new Uint8Array(16 * known.length);
    known.forEach((address, index) => bytes.set(bytesOfAddress(address), 16 * index));
    this.exports.nameResolved(id, error, this.lend(bytes), bytes.length / 16, seconds);
  }

  answered(id: number, message: Uint8Array): void {
    const known = message.length <= BUFFER ? message : new Uint8Array(0);
    this.exports.nameAnswered(id, this.lend(known), known.length);
  }

  /** Calls captured() with the header of a file, and then for each frame. */
  startCapture(): void {
    this.exports.startCapture();
  }

  stopCapture(): void {
    this.exports.stopCapture();
  }

  /** Copies up to BUFFER bytes to the module. They stay until the next call. */
  private lend(bytes: Uint8Array): number {
    this.buffer ??= this.exports.allocate(BUFFER) >>> 0;
    new Uint8Array(this.exports.memory.buffer).set(bytes, this.buffer);
    return this.buffer;
  }
}
