// SPDX-License-Identifier: MIT
// The C++ host (host/platform/emscripten) as a TypeScript object. It
// instantiates auklet-host.wasm, gives it its imports, and wraps its exports.

import { DURABLE, type DiskDescription, type DiskRequest } from '../storage/protocol.ts';
import type { ShareDescription } from '../storage/share-protocol.ts';
import {
  NetworkModule,
  networkImports,
  type CardDescription,
  type NetworkCalls,
  type NetworkExports,
} from './network-module.ts';
import { losesWakeUps } from './platform.ts';
import type { InitialEntry, SocketEvent, SocketRequest } from './protocol.ts';

export async function compile(code: WebAssembly.Module | Uint8Array): Promise<WebAssembly.Module> {
  if (code instanceof WebAssembly.Module) return code;
  const bytes = code as Uint8Array<ArrayBuffer>;
  return losesWakeUps ? new WebAssembly.Module(bytes) : WebAssembly.compile(bytes);
}

/** What the C++ host calls (host/src/platform.hpp). */
export interface HostPlatform {
  createMemory(id: number, maximumPages: number): boolean;
  /**
   * Copies between user memory `id` and K; `write` means from K. Returns the
   * number of bytes copied. All `length` bytes are within K.
   */
  copyMemory(id: number, address: number, guestAddress: number, length: number, write: boolean): number;
  setSafepoint(id: number, address: number): void;
  startWorker(slot: number): void;
  terminateWorker(slot: number): void;
  setTimer(milliseconds: number): void;
  /** `bytes` is only valid during the call. */
  consoleOutput(bytes: Uint8Array): void;
  consoleConsumed(bytes: number): void;
  /** The bytes of a 'data' event are a copy. */
  socketEvent(event: SocketEvent): void;
  /** `places` is a copy. Answered by diskCompleted(), later. */
  diskSubmit(request: DiskRequest): void;
  /** `words` is a copy. Answered by shareCompleted(), later. */
  shareSubmit(share: number, words: Uint32Array): void;
  /** Undefined while there is none. */
  readonly network: NetworkCalls | undefined;
  log(level: 'information' | 'warning' | 'error', message: string): void;
}

/** What host/platform/emscripten/exports.cpp exports. */
interface Exports extends NetworkExports {
  _initialize(): void;
  release(address: number): void;
  textAddress(): number;
  textLength(): number;
  configure(text: number, size: number): number;
  kernelPages(): number;
  watchInterval(): number;
  processPages(): number;
  cpus(): number;
  setInitramfs(source: number, size: number): void;
  addFile(path: number, pathSize: number, mode: number, source: number, size: number): number;
  addDirectory(path: number, pathSize: number, mode: number): number;
  addLink(path: number, pathSize: number, target: number, targetSize: number): number;
  addDisk(name: number, nameSize: number, size: number, readOnly: number, discards: number, unit: number): number;
  addShare(tag: number, tagSize: number, readOnly: number, flushes: number): number;
  firstStorageLine(): number;
  diskCompleted(disk: number, id: number, succeeded: number): void;
  diskGrown(disk: number, size: number): void;
  shareCompleted(share: number, id: number, error: number, words: number, count: number): void;
  prepare(): number;
  startPools(): number;
  attach(machineAddress: number, heapBase: number): number;
  doorbell(): number;
  service(): number;
  end(): void;
  timer(): void;
  watch(): void;
  workerReady(slot: number): void;
  workerGone(slot: number): void;
  input(bytes: number, size: number): void;
  outputTaken(bytes: number): void;
  flushOutput(): void;
  resize(columns: number, rows: number): void;
  socketConnect(id: number, port: number): void;
  socketListen(port: number, on: number): void;
  socketSend(id: number, bytes: number, size: number): void;
  socketTaken(id: number, count: number): void;
  socketFinish(id: number): void;
  socketAbort(id: number): void;
  diagnose(): void;
}

/**
 * Milliseconds by which Date.now() may be inexact, in browsers that hide the
 * exact time from those who track users.
 */
const WALL_CLOCK_RESOLUTION = 100;

/**
 * Milliseconds since 1970. They are more exact than Date.now(), as long as
 * nobody has set the computer's clock since this page or program was loaded.
 */
function wallTime(): number {
  const exact = performance.timeOrigin + performance.now();
  const now = Date.now();
  return Math.abs(exact - now) <= WALL_CLOCK_RESOLUTION ? exact : now;
}

/** crypto.getRandomValues() refuses to make more bytes in one call. */
const MOST_RANDOM_BYTES = 65536;

export class HostModule {
  /** Of use after addNetwork(). */
  readonly network: NetworkModule;
  private readonly exports: Exports;
  private kernelBytes = new Uint8Array(0);
  private kernelHalves = new Uint16Array(0);
  private kernelWords = new Int32Array(0);
  /**
   * The index in kernelWords of the word that waitForDoorbell() has waited for.
   */
  private doorbell: number | undefined;
  private readonly sources = new Map<number, Uint8Array>();
  private nextSource = 1;

  static async load(module: WebAssembly.Module, platform: HostPlatform): Promise<HostModule> {
    return new HostModule(module, platform);
  }

  private constructor(module: WebAssembly.Module, platform: HostPlatform) {
    // The memory of the C++ host may grow, which detaches views of it. So each
    // use makes a view.
    const own = (address: number, size: number) =>
      new Uint8Array(this.exports.memory.buffer, address >>> 0, size >>> 0);
    const levels = ['information', 'warning', 'error'] as const;
    const auklet = {
      // Addresses come as signed numbers. C++ has checked the range and the
      // alignment of each.
      copyFrom: (address: number, destination: number, size: number) =>
        own(destination, size).set(this.kernelBytes.subarray(address >>> 0, (address >>> 0) + size)),
      copyTo: (address: number, source: number, size: number) => this.kernelBytes.set(own(source, size), address >>> 0),
      load16: (address: number) => Atomics.load(this.kernelHalves, address >>> 1),
      store16: (address: number, value: number) => void Atomics.store(this.kernelHalves, address >>> 1, value),
      load32: (address: number) => Atomics.load(this.kernelWords, address >>> 2),
      store32: (address: number, value: number) => void Atomics.store(this.kernelWords, address >>> 2, value),
      exchange32: (address: number, value: number) => Atomics.exchange(this.kernelWords, address >>> 2, value),
      or32: (address: number, value: number) => Atomics.or(this.kernelWords, address >>> 2, value),
      add32: (address: number, value: number) => Atomics.add(this.kernelWords, address >>> 2, value),
      compareExchange32: (address: number, expected: number, desired: number) =>
        Atomics.compareExchange(this.kernelWords, address >>> 2, expected, desired),
      notify: (address: number) => void Atomics.notify(this.kernelWords, address >>> 2),
      copySource: (source: number, address: number) => {
        const bytes = this.sources.get(source);
        if (bytes !== undefined) this.kernelBytes.set(bytes, address >>> 0);
      },
      releaseSource: (source: number) => void this.sources.delete(source),
      createMemory: (id: number, maximumPages: number) => (platform.createMemory(id, maximumPages) ? 1 : 0),
      copyMemory: (id: number, address: number, guestAddress: number, length: number, write: number) =>
        platform.copyMemory(id >>> 0, address >>> 0, guestAddress >>> 0, length >>> 0, write !== 0),
      setSafepoint: (id: number, address: number) => platform.setSafepoint(id, address >>> 0),
      startWorker: (slot: number) => platform.startWorker(slot),
      terminateWorker: (slot: number) => platform.terminateWorker(slot),
      now: () => performance.now(),
      wallTime,
      setTimer: (milliseconds: number) => platform.setTimer(milliseconds),
      random: (address: number, size: number) => {
        for (let done = 0; done < size; done += MOST_RANDOM_BYTES)
          crypto.getRandomValues(own(address + done, Math.min(MOST_RANDOM_BYTES, size - done)));
      },
      consoleOutput: (address: number, size: number) => platform.consoleOutput(own(address, size)),
      consoleConsumed: (count: number) => platform.consoleConsumed(count),
      socketOpened: (id: number) => platform.socketEvent({ type: 'opened', id: id >>> 0 }),
      socketAccepted: (id: number, port: number) =>
        platform.socketEvent({ type: 'accepted', id: id >>> 0, port: port >>> 0 }),
      socketData: (id: number, address: number, size: number) =>
        platform.socketEvent({ type: 'data', id: id >>> 0, bytes: own(address, size).slice() }),
      socketSent: (id: number, count: number) => platform.socketEvent({ type: 'sent', id: id >>> 0, count }),
      socketEnded: (id: number) => platform.socketEvent({ type: 'ended', id: id >>> 0 }),
      socketClosed: (id: number, reset: number) =>
        platform.socketEvent({ type: 'closed', id: id >>> 0, reset: reset !== 0 }),
      diskSubmit: (
        disk: number,
        operation: number,
        durable: number,
        id: number,
        offset: number,
        length: number,
        places: number,
        placeCount: number,
      ) =>
        platform.diskSubmit({
          disk,
          operation: durable === 0 ? operation : operation | DURABLE,
          id,
          offset,
          length,
          places: new Uint32Array(this.exports.memory.buffer, places >>> 0, 2 * placeCount).slice(),
        }),
      shareSubmit: (share: number, words: number, count: number) =>
        platform.shareSubmit(share, new Uint32Array(this.exports.memory.buffer, words >>> 0, count).slice()),
      ...networkImports(() => platform.network, own),
      log: (level: number, address: number, size: number) =>
        platform.log(levels[level] ?? 'error', new TextDecoder().decode(own(address, size))),
    };
    const instance = new WebAssembly.Instance(module, {
      auklet,
      env: { emscripten_notify_memory_growth: () => {} },
    });
    this.exports = instance.exports as unknown as Exports;
    this.network = new NetworkModule(this.exports);
    this.exports._initialize();
  }

  /** Throws an error with a message for users if the configuration is wrong. */
  configure(settings: string): void {
    this.withBytes(new TextEncoder().encode(settings), (address, size) =>
      this.check(this.exports.configure(address, size)),
    );
  }

  /** Milliseconds between two calls of watch(). */
  get watchInterval(): number {
    return this.exports.watchInterval();
  }

  get kernelPages(): number {
    return this.exports.kernelPages();
  }

  get processPages(): number {
    return this.exports.processPages();
  }

  get cpus(): number {
    return this.exports.cpus();
  }

  /**
   * Sets K. Its initial size is its maximum, so its views stay valid. This
   * comes before prepare().
   */
  setKernelMemory(memory: WebAssembly.Memory): void {
    this.kernelBytes = new Uint8Array(memory.buffer);
    this.kernelHalves = new Uint16Array(memory.buffer);
    this.kernelWords = new Int32Array(memory.buffer);
  }

  setInitramfs(bytes: Uint8Array): void {
    this.exports.setInitramfs(this.addSource(bytes), bytes.length);
  }

  addEntry(entry: InitialEntry): void {
    if ('link' in entry) this.addLink(entry.path, entry.link);
    else if ('directory' in entry) this.addDirectory(entry.path, entry.mode ?? 0o755);
    else {
      const { content } = entry;
      this.addFile(
        entry.path,
        entry.mode ?? 0o644,
        typeof content === 'string' ? new TextEncoder().encode(content) : content,
      );
    }
  }

  private addFile(path: string, mode: number, content: Uint8Array): void {
    this.withBytes(new TextEncoder().encode(path), (address, size) =>
      this.check(this.exports.addFile(address, size, mode, this.addSource(content), content.length)),
    );
  }

  private addDirectory(path: string, mode: number): void {
    this.withBytes(new TextEncoder().encode(path), (address, size) =>
      this.check(this.exports.addDirectory(address, size, mode)),
    );
  }

  private addLink(path: string, target: string): void {
    this.withBytes(new TextEncoder().encode(path), (address, size) =>
      this.withBytes(new TextEncoder().encode(target), (targetAddress, targetSize) =>
        this.check(this.exports.addLink(address, size, targetAddress, targetSize)),
      ),
    );
  }

  /**
   * A card, and a link to other machines if `offloads` says what that has.
   * Comes before disks and shares.
   */
  addNetwork(card: CardDescription, offloads: boolean | undefined): void {
    this.check(Number(this.network.addNetwork(card)));
    if (offloads !== undefined) this.check(Number(this.network.addLink(offloads, card.mtu)));
  }

  /** Comes before prepare(). Throws with a message for users. */
  addDisk({ name, size, readOnly, discards, unit }: DiskDescription): void {
    this.withBytes(new TextEncoder().encode(name), (address, nameSize) =>
      this.check(this.exports.addDisk(address, nameSize, size, Number(readOnly), Number(discards), unit)),
    );
  }

  /**
   * What a storage worker sets in the doorbell, whose address is `address`;
   * valid after attach().
   */
  get storageDoorbell(): { address: number; bit: number } {
    return { address: this.exports.doorbell() >>> 0, bit: 1 << this.exports.firstStorageLine() };
  }

  diskCompleted(disk: number, id: number, succeeded: boolean): void {
    this.exports.diskCompleted(disk, id, Number(succeeded));
  }

  /** The disk has `size` bytes now, which are more than before. */
  diskGrown(disk: number, size: number): void {
    this.exports.diskGrown(disk, size);
  }

  /** As addDisk(). */
  addShare({ tag, readOnly, flushes }: ShareDescription): void {
    this.withBytes(new TextEncoder().encode(tag), (address, size) =>
      this.check(this.exports.addShare(address, size, Number(readOnly), Number(flushes))),
    );
  }

  /** The share's answer: an error of Linux or 0, and words. */
  shareCompleted(share: number, id: number, error: number, words: Int32Array): void {
    // malloc() aligns for words.
    this.withBytes(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), (address) =>
      this.exports.shareCompleted(share, id, error, address, words.length),
    );
  }

  /** Fills K. Returns the address of the device tree. */
  prepare(): number {
    const deviceTree = this.exports.prepare();
    this.check(deviceTree);
    return deviceTree >>> 0;
  }

  /** Throws if there is not enough memory. */
  startPools(): void {
    this.check(this.exports.startPools());
  }

  attach(machineAddress: number, heapBase: number): void {
    this.check(this.exports.attach(machineAddress, heapBase));
  }

  /**
   * Serves the doorbell. Returns true if it has to be called again soon, after
   * other events.
   */
  service(): boolean {
    return this.exports.service() !== 0;
  }

  /**
   * Returns true, and calls `rung` once when the doorbell is not 0 any more.
   * Returns false if the doorbell is not 0 now, and does not call `rung` then.
   */
  waitForDoorbell(rung: () => void): boolean {
    this.doorbell = this.exports.doorbell() >>> 2;
    const result = Atomics.waitAsync(this.kernelWords, this.doorbell, 0);
    if (result.async) void result.value.then(rung);
    return result.async;
  }

  /**
   * Blocks this thread until the doorbell is not 0, or for so many
   * milliseconds. Returns false in the second case.
   */
  blockForDoorbell(milliseconds: number): boolean {
    return Atomics.wait(this.kernelWords, this.exports.doorbell() >>> 2, 0, milliseconds) !== 'timed-out';
  }

  /**
   * Ends the wait of waitForDoorbell(), which would keep this module and the
   * kernel's memory.
   */
  wakeDoorbell(): void {
    if (this.doorbell !== undefined) Atomics.notify(this.kernelWords, this.doorbell);
  }

  /** The machine has ended: makes its workers leave wasm. */
  end(): void {
    this.exports.end();
  }

  timer(): void {
    this.exports.timer();
  }

  /** Checks whether the guest has stopped. Call it every `watchInterval`. */
  watch(): void {
    this.exports.watch();
  }

  workerReady(slot: number): void {
    this.exports.workerReady(slot);
  }

  workerGone(slot: number): void {
    this.exports.workerGone(slot);
  }

  input(bytes: Uint8Array): void {
    this.withBytes(bytes, (address, size) => this.exports.input(address, size));
  }

  /** The owner has taken so many bytes of the console's output. */
  outputTaken(bytes: number): void {
    this.exports.outputTaken(bytes);
  }

  /** Hands on all output that is left, at a machine's end. */
  flushOutput(): void {
    this.exports.flushOutput();
  }

  resize(columns: number, rows: number): void {
    this.exports.resize(columns, rows);
  }

  socket(request: SocketRequest): void {
    switch (request.type) {
      case 'connect':
        return this.exports.socketConnect(request.id, request.port);
      case 'listen':
        return this.exports.socketListen(request.port, request.on ? 1 : 0);
      case 'send':
        return this.withBytes(request.bytes, (address, size) => this.exports.socketSend(request.id, address, size));
      case 'taken':
        return this.exports.socketTaken(request.id, request.count);
      case 'finish':
        return this.exports.socketFinish(request.id);
      case 'abort':
        return this.exports.socketAbort(request.id);
    }
  }

  diagnose(): string {
    this.exports.diagnose();
    return this.text();
  }

  private addSource(bytes: Uint8Array): number {
    const source = this.nextSource++;
    this.sources.set(source, bytes);
    return source;
  }

  private withBytes(bytes: Uint8Array, use: (address: number, size: number) => void): void {
    const address = this.exports.allocate(Math.max(bytes.length, 1));
    if (address === 0) throw new Error('the host is out of memory');
    try {
      new Uint8Array(this.exports.memory.buffer, address >>> 0, bytes.length).set(bytes);
      use(address, bytes.length);
    } finally {
      this.exports.release(address);
    }
  }

  private check(status: number): void {
    if (status === 0) throw new Error(this.text());
  }

  private text(): string {
    const bytes = new Uint8Array(
      this.exports.memory.buffer,
      this.exports.textAddress() >>> 0,
      this.exports.textLength(),
    );
    return new TextDecoder().decode(bytes);
  }
}
