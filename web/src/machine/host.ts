// SPDX-License-Identifier: MIT
// The host of a machine. It makes K, runs the C++ host, starts the guest
// workers, and serves the doorbell.
//
// The host's owner is a page or a Node.js program. It has the host in a worker
// (host-worker.ts) or in its own thread, where a page could draw nothing
// meanwhile. The types of all messages are in protocol.ts.
//
//   Browser:  const worker = new Worker(
//               new URL('./machine/host-worker.ts', import.meta.url),
//               { type: 'module' });
//   Node.js:  bundle host-worker.ts and ../guest/guest-worker.ts to two ES
//             modules, make a `new Worker(url)` (node:worker_threads) of the
//             first, and give the URL of the second as options.guestWorkerUrl.
//             Or use runHere() of platform.ts.
//
//   1. Send 'start' at once, with options.host (auklet-host.wasm) and the
//      configuration. Kernel and initramfs may be part of it. Or they follow in
//      'supply' messages when they are loaded: guest workers start meanwhile.
//   2. 'stage' messages tell how far the machine is: starting, kernel, booting,
//      running. 'output' carries the console's bytes; its buffers are
//      transferred. Input may be sent at any time after 'start'; none is lost.
//   3. 'halted' or 'error' is the last stage. All guest workers end then.
//      'diagnose' still works.
//   4. Send 'dispose'. After 'disposed', terminate the worker. To restart, do
//      this and start a new one.
//
// Byte arrays that are sent here may be transferred. 'consumed' messages add up
// to the bytes of input that the guest has taken. A sender of much data keeps
// only a limited number of bytes on the way.

import { HALT_PANIC, HALT_POWER_OFF, HALT_RESTART } from '../generated/abi.ts';
import type { DiskRequest } from '../storage/protocol.ts';
import { Disks } from './disks.ts';
import { errorText, failureCode, HostFailure } from './failure.ts';
import { GuestWorkers, type GuestWorkersOwner } from './guest-workers.ts';
import { compile, HostModule, type HostPlatform } from './host-module.ts';
import type { HostNetwork } from './network.ts';
import { OutputCollector } from './output-collector.ts';
import { afterEvents, engineText, holdLifeLock, isNode, losesEnds, makeChannel, type ParentPort } from './platform.ts';
import type {
  FromHost,
  HaltReason,
  MachineStage,
  RemainingLocks,
  SocketEvent,
  StartOptions,
  ToHost,
} from './protocol.ts';
import { settingsText } from './settings.ts';
import { Shares } from './shares.ts';
import { createKernelMemory, UserMemories } from './user-memories.ts';

const KEPT_LOG_LINES = 200;

/** Milliseconds after a machine's end in which most owners dispose of it. */
const DISPOSAL_PATIENCE = 1000;

const HALT_REASONS = new Map<number, HaltReason>([
  [HALT_POWER_OFF, 'poweroff'],
  [HALT_RESTART, 'restart'],
  [HALT_PANIC, 'panic'],
]);

type Parts = Omit<Extract<ToHost, { type: 'supply' }>, 'type'>;

export class Host implements HostPlatform, GuestWorkersOwner {
  private readonly identity = `auklet-${crypto.randomUUID()}`;
  private readonly output = new OutputCollector((bytes) => this.owner.post({ type: 'output', bytes }, [bytes.buffer]));
  private readonly logLines: string[] = [];

  private module: HostModule | undefined;
  private workers: GuestWorkers | undefined;
  private memories: UserMemories | undefined;
  private kernelMemory: WebAssembly.Memory | undefined;
  private disks: Disks | undefined;
  private shares: Shares | undefined;
  network: HostNetwork | undefined;
  private options: StartOptions | undefined;
  private kernelSupplied = false;
  private initramfs: Uint8Array | undefined;
  private deviceTree: number | undefined;
  private cpu0: { machine: number; heapBase: number } | undefined;
  private stage: MachineStage | 'none' | 'halted' | 'error' = 'none';
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setInterval> | undefined;
  private workersLeft: Promise<void> | undefined;
  private roomMade: ((made: boolean) => void) | undefined;
  /**
   * Bytes of console output that did not come from the console device, and that
   * the owner has not taken.
   */
  private uncounted = 0;
  /**
   * Resolves when the messages so far are handled. They are handled one after
   * the other, although some handlers wait for compilations.
   */
  private handled: Promise<void> = Promise.resolve();

  private readonly owner: ParentPort<FromHost, ToHost>;

  constructor(owner: ParentPort<FromHost, ToHost>) {
    this.owner = owner;
    this.owner.onMessage((message) => {
      // The end waits for no other message.
      if (message.type === 'dispose') void this.dispose();
      else if (message.type === 'room') this.roomMade?.(message.made);
      else this.handled = this.handled.then(() => this.handle(message)).catch((error: unknown) => this.fail(error));
    });
  }

  // ---- owner ----------------------------------------------------------------

  private async handle(message: Exclude<ToHost, { type: 'dispose' | 'room' }>): Promise<void> {
    switch (message.type) {
      case 'start':
        return this.start(message.options);
      case 'supply':
        return this.supply(message);
      case 'input':
        if (!this.ended) this.module?.input(message.bytes);
        return;
      case 'taken':
        this.outputTaken(message.bytes);
        return;
      case 'resize':
        if (!this.ended) this.module?.resize(message.columns, message.rows);
        return;
      case 'socket':
        if (!this.ended) this.module?.socket(message.request);
        return;
      case 'network':
      case 'network-capture':
        if (!this.ended) this.network?.request(message);
        return;
      case 'diagnose':
        this.owner.post({ type: 'diagnostics', text: this.diagnostics() });
        return;
    }
  }

  private outputTaken(bytes: number): void {
    // The C++ host has not handed these bytes on, so it does not wait for them.
    const uncounted = Math.min(this.uncounted, bytes);
    this.uncounted -= uncounted;
    this.withModule((module) => module.outputTaken(bytes - uncounted));
  }

  get ended(): boolean {
    return this.stage === 'halted' || this.stage === 'error';
  }

  private setStage(stage: MachineStage): void {
    this.stage = stage;
    this.owner.post({ type: 'stage', stage });
  }

  private async start(options: StartOptions): Promise<void> {
    if (this.ended) return;
    if (this.stage !== 'none') throw new Error('this worker has had a machine already');
    this.options = options;
    this.setStage('starting');
    const code = await compile(options.host);
    const module = await this.withRoom(() => HostModule.load(code, this));
    if (this.ended) return;
    this.module = module;
    try {
      module.configure(settingsText(options.configuration));
    } catch (error) {
      throw new HostFailure('invalid-option', errorText(error).message);
    }
    const kernelMemory = await this.withRoom(() => createKernelMemory(module.kernelPages));
    if (this.ended) return;
    module.setKernelMemory(kernelMemory);
    this.kernelMemory = kernelMemory;
    const memories = new UserMemories(kernelMemory);
    const workers = new GuestWorkers(this, {
      identity: this.identity,
      url: options.guestWorkerUrl,
      kernelMemory,
      memories,
      memoryPages: module.processPages,
    });
    this.memories = memories;
    this.workers = workers;
    // CPU 0 comes first, because all else waits for it.
    for (let cpu = 0; cpu < module.cpus; ++cpu) workers.startCpu(cpu);
    await this.withRoom(() => {
      try {
        module.startPools();
      } catch (error) {
        throw new HostFailure('out-of-memory', errorText(error).message);
      }
    });
    if (options.network !== undefined) {
      // Loaded when it is asked for: most machines have no network. It comes
      // before the disks and shares, which supply() adds.
      const { openHostNetwork } = await import('./network.ts');
      this.network = await openHostNetwork(options.network, module, (use) => this.withModule(use), this.postEvent);
      if (this.ended) this.network.close();
    }
    return this.supply(options);
  }

  /**
   * Calls `take`, which needs memory. If there is none, it is called again
   * whenever another machine has given memory back.
   */
  private async withRoom<T>(take: () => T | Promise<T>): Promise<T> {
    for (let mayCome = true; ;) {
      try {
        return await take();
      } catch (error) {
        if (!mayCome || this.ended || failureCode(error, errorText(error).message) !== 'out-of-memory') throw error;
        const answer = new Promise<boolean>((resolve) => (this.roomMade = resolve));
        this.owner.post({ type: 'no-room' });
        // The last such machine may have gone between the try and the question.
        // So after the answer "none", there is one more try.
        mayCome = await answer;
      }
    }
  }

  private async supply({ kernel, initramfs, disks, shares }: Parts): Promise<void> {
    if (this.ended || this.module === undefined || this.options === undefined) return;
    if (kernel !== undefined && !this.kernelSupplied) {
      this.setStage('kernel');
      const compiled = await compile(kernel);
      if (this.ended) return;
      this.kernelSupplied = true;
      this.workers?.supplyKernel(compiled);
    }
    if (disks !== undefined && this.disks === undefined) {
      const grown = (disk: number, size: number) => this.withModule((module) => module.diskGrown(disk, size));
      this.disks = new Disks(disks, this.channelTo('disks'), grown);
      for (const disk of disks.disks) this.module.addDisk(disk);
    }
    if (shares !== undefined && this.shares === undefined) {
      this.shares = new Shares(shares, this.channelTo('shares'));
      for (const share of shares.shares) this.module.addShare(share);
    }
    this.initramfs ??= initramfs;
    const { hasDisks, hasShares } = this.options;
    const complete = this.initramfs && (this.disks || !hasDisks) && (this.shares || !hasShares);
    if (complete && this.deviceTree === undefined) {
      this.module.setInitramfs(this.initramfs!);
      for (const entry of this.options.files ?? []) this.module.addEntry(entry);
      // The C++ host knows them now, and drops them when it has copied them
      // into K.
      this.initramfs = undefined;
      this.options = { ...this.options, files: [] };
      this.deviceTree = this.module.prepare();
    }
    this.bootWhenReady();
  }

  /** See makeChannel(). */
  private channelTo(worker: 'disks' | 'shares'): MessagePort {
    const { own, other } = makeChannel();
    this.owner.post({ type: 'channel', worker, port: other }, [other]);
    return own;
  }

  private bootWhenReady(): void {
    if (this.ended || this.module === undefined || this.cpu0 === undefined || this.deviceTree === undefined) return;
    if (this.stage === 'booting' || this.stage === 'running') return;
    this.module.attach(this.cpu0.machine, this.cpu0.heapBase);
    if (this.kernelMemory !== undefined) {
      const { address, bit } = this.module.storageDoorbell;
      this.disks?.attach(this.kernelMemory, address, bit);
      this.shares?.attach(this.kernelMemory, address, bit);
    }
    this.setStage('booting');
    this.watchdog = setInterval(() => this.withModule((module) => module.watch()), this.module.watchInterval);
    this.workers?.bootCpus(this.deviceTree);
    this.serve();
  }

  // ---- doorbell -------------------------------------------------------------

  private readonly serve = (): void => {
    if (this.ended || this.module === undefined) return;
    try {
      const { module } = this;
      const turn = performance.now();
      let again: boolean;
      do {
        again = module.service();
        // Afterwards: service() takes the doorbell's bits, and an answer is in
        // the ring before its bit is set. The other way round, one could be
        // missed.
        this.disks?.drain((disk, id, succeeded) => module.diskCompleted(disk, id, succeeded));
        this.shares?.drain((...answer) => module.shareCompleted(...answer));
        this.output.flushSoon();
      } while (!again && !this.ended && this.disks?.expects(turn, (time) => module.blockForDoorbell(time)) === true);
      if (again || !module.waitForDoorbell(this.serve)) afterEvents(this.serve);
    } catch (error) {
      this.fail(error);
    }
  };

  /** Runs the C++ host for an event that is not a message of the owner. */
  private withModule<T>(use: (module: HostModule) => T): T | undefined {
    if (this.ended || this.module === undefined) return undefined;
    try {
      const result = use(this.module);
      this.output.flushSoon();
      return result;
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  // ---- GuestWorkersOwner: what guest workers say ----------------------------

  cpu0Ready(machine: number | undefined, heapBase: number | undefined): void {
    if (machine === undefined || heapBase === undefined) {
      this.fail(new Error('the kernel does not export auklet_machine and __heap_base'));
      return;
    }
    this.cpu0 = { machine: machine >>> 0, heapBase: heapBase >>> 0 };
    this.withModule(() => this.bootWhenReady());
  }

  taskReady(slot: number): void {
    this.withModule((module) => module.workerReady(slot));
  }

  taskGone(slot: number): void {
    this.withModule((module) => module.workerGone(slot));
  }

  programCompiled(): void {
    // The first program that the kernel starts is init.
    if (this.stage === 'booting') this.setStage('running');
  }

  earlyOutput(bytes: Uint8Array): void {
    this.uncounted += bytes.length;
    this.output.add(bytes);
    this.output.flushSoon();
  }

  kernelHalted(reason: number): void {
    this.halt(HALT_REASONS.get(reason) ?? 'panic');
  }

  // ---- HostPlatform: calls from the C++ host --------------------------------

  createMemory(id: number, maximumPages: number): boolean {
    const memory = this.memories?.create(id, maximumPages);
    if (memory === undefined) return false;
    this.workers?.tellMemory(id, memory);
    return true;
  }

  copyMemory(id: number, address: number, guestAddress: number, length: number, write: boolean): number {
    return this.memories?.copy(id, address, guestAddress, length, write) ?? 0;
  }

  setSafepoint(id: number, address: number): void {
    this.memories?.setSafepoint(id, address);
  }

  startWorker(slot: number): void {
    this.workers?.startTask(slot);
  }

  terminateWorker(slot: number): void {
    this.workers?.endTask(slot);
  }

  setTimer(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.withModule((module) => module.timer()), Math.ceil(milliseconds));
  }

  consoleOutput(bytes: Uint8Array): void {
    this.output.add(bytes);
  }

  consoleConsumed(bytes: number): void {
    this.owner.post({ type: 'consumed', bytes });
  }

  socketEvent(event: SocketEvent): void {
    this.postEvent({ type: 'socket', event });
  }

  private readonly postEvent = (message: Extract<FromHost, { event: unknown }>): void => {
    const { event } = message;
    this.owner.post(message, event.type === 'data' ? [event.bytes.buffer as ArrayBuffer] : []);
  };

  readonly diskSubmit = (request: DiskRequest): void => this.disks?.submit(request);
  readonly shareSubmit = (share: number, words: Uint32Array): void => this.shares?.submit(share, words);

  log(level: 'information' | 'warning' | 'error', message: string): void {
    this.logLines.push(`${level}: ${message}`);
    if (this.logLines.length > KEPT_LOG_LINES) this.logLines.shift();
    this.owner.post({ type: 'log', level, message });
  }

  // ---- the end --------------------------------------------------------------

  private halt(reason: HaltReason): void {
    // Hands on the console output that the kernel has left in its rings.
    this.withModule((module) => {
      module.flushOutput();
      module.service();
    });
    this.output.flush();
    if (this.ended) return;
    this.stage = 'halted';
    void this.settleDisks().then(() => {
      this.owner.post({ type: 'halted', reason });
      return this.endAlone();
    });
  }

  fail(error: unknown): void {
    if (this.ended) return;
    this.output.flush();
    this.network?.flush();
    this.stage = 'error';
    const { message, detail } = errorText(error);
    this.logLines.push(`error: ${message}`);
    const report = { type: 'error', code: failureCode(error, message), message } as const;
    this.owner.post(detail === undefined ? report : { ...report, detail });
    void this.endAlone();
  }

  /** Who hears that the machine has halted may use its disks' files. */
  private async settleDisks(): Promise<void> {
    const failure = await this.disks?.settle();
    if (failure !== undefined) this.log('error', failure);
  }

  private leave(): Promise<void> {
    return (this.workersLeft ??= this.letWorkersLeave());
  }

  /**
   * The machine has ended by itself. It is not disposed of yet, because the
   * owner may want its diagnostics. Its workers are not needed any more.
   */
  private async endAlone(): Promise<void> {
    await this.leave();
    // Most owners dispose of the machine soon, for a restart for example. Then
    // the end of this worker ends the others, and none of their ends gets lost.
    if (losesEnds) this.timer = setTimeout(() => void this.workers?.endAll(), DISPOSAL_PATIENCE);
    else await this.workers?.endAll();
  }

  private async letWorkersLeave(): Promise<void> {
    clearTimeout(this.timer);
    clearInterval(this.watchdog);
    this.network?.close();
    await this.workers?.leave(() => this.module?.end());
    this.module?.wakeDoorbell();
    this.memories?.clear();
  }

  private async dispose(): Promise<void> {
    if (!this.ended) this.stage = 'halted';
    await this.leave();
    clearTimeout(this.timer);
    await this.workers?.settle(this.identity);
    await this.disks?.submitAll();
    const remaining: RemainingLocks = this.workers?.remaining ?? { left: [], others: [] };
    // Where the host runs in its owner's thread, the owner may keep this
    // object.
    this.module = undefined;
    this.workers = undefined;
    this.memories = undefined;
    this.options = undefined;
    this.kernelMemory = undefined;
    this.disks = undefined;
    this.network = undefined;
    if (!isNode) {
      await holdLifeLock(this.identity);
      remaining.others.push(this.identity);
    }
    this.owner.post({ type: 'disposed', remaining });
  }

  private diagnostics(): string {
    let text = `stage: ${this.stage}\n${engineText()}`;
    text += `\nclock: ${Math.round((performance.timeOrigin + performance.now()) * 1e6)} ns`;
    text += `\nworkers started: ${this.workers?.started ?? 0}, programs compiled: ${this.workers?.programs ?? 0}\n`;
    try {
      text += this.module?.diagnose() ?? 'the C++ host is not loaded\n';
    } catch (error) {
      text += `the C++ host has failed: ${errorText(error).message}\n`;
    }
    return text + (this.disks?.describe() ?? '') + this.logLines.map((line) => `log: ${line}\n`).join('');
  }
}
