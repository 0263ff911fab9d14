// SPDX-License-Identifier: MIT
// What owns a machine: it makes K, runs the C++ host, starts the guest workers, and serves the doorbell.
//
// For its owner (a page, or a Node.js program), which has it in a worker, host-worker.ts, or in its own thread, where no
// page could be drawn beside it. All messages are typed in protocol.ts.
//
//   Browser:  const worker = new Worker(new URL('./machine/host-worker.ts', import.meta.url), { type: 'module' });
//   Node.js:  bundle host-worker.ts and ../guest/guest-worker.ts to two ES modules, `new Worker(url)` (node:worker_threads)
//             on the first, and give the URL of the second as options.guestWorkerUrl. Or platform.ts's runHere.
//
//   1. Send 'start' at once, with options.host (auklet-host.wasm) and the configuration. Kernel and initramfs may be part
//      of it, or follow in 'supply' messages when they are loaded: guest workers start meanwhile.
//   2. 'stage' messages tell how far it is: starting, kernel, booting, running. 'output' carries the console's bytes;
//      buffers are transferred. Input may be sent at any time after 'start'; nothing is lost.
//   3. 'halted' or 'error' is the last stage: all guest workers are ended. 'diagnose' still works.
//   4. Send 'dispose'; after 'disposed' terminate the worker. To restart, do that and start a new one.
//
// Byte arrays that are sent here may be transferred. 'consumed' messages add up to the bytes of input that the guest has
// taken: a sender of much data keeps a limited amount on the way.

import { HALT_PANIC, HALT_POWER_OFF, HALT_RESTART } from '../generated/abi.ts';
import { bufferOf } from '../guest/user-access.ts';
import { HostModule, type HostPlatform } from './host-module.ts';
import {
  afterEvents,
  holdLifeLock,
  isNode,
  losesWakeUps,
  type ParentPort,
  processors,
  startWorker,
  within,
  type WorkerHandle,
} from './platform.ts';
import { OutputCollector } from './output-collector.ts';
import {
  type FailureCode,
  type FromGuest,
  type FromHost,
  type GuestStart,
  type HaltReason,
  type MachineStage,
  type SocketEvent,
  type StartOptions,
  type ToGuest,
  type ToHost,
} from './protocol.ts';
import { INITIAL_WORKERS, settingsText } from './settings.ts';

/** A browser that is out of workers (Firefox) neither starts one nor reports an error. */
const WORKER_START_TIMEOUT = 30_000;
/** Milliseconds; as Watchdog::interval of the C++ host. */
const WATCHDOG_INTERVAL = 1000;

/** Milliseconds in which workers come out of wasm at the machine's end; a program that makes no system calls does not. */
const LEAVE_PATIENCE = 100;
/** Milliseconds in which those that came out are gone. */
const GONE_PATIENCE = 50;

const KEPT_LOG_LINES = 200;

const HALT_REASONS = new Map<number, HaltReason>([
  [HALT_POWER_OFF, 'poweroff'],
  [HALT_RESTART, 'restart'],
  [HALT_PANIC, 'panic'],
]);

/**
 * Of so many user memories every worker is told at once: most machines have no more. For one of the others a worker asks
 * when its next task needs it. Each is work for a worker and its garbage collector, and V8 tells all workers that know a
 * memory when it grows.
 */
const COMMON_MEMORIES = 16;

interface Guest {
  handle: WorkerHandle<ToGuest, FromGuest>;
  role: 'cpu' | 'task';
  /** CPU number or worker slot. */
  number: number;
  lifeLock: string | undefined;
  ready: boolean;
  startTimer: ReturnType<typeof setTimeout> | undefined;
  /** At the machine's end: whether it is in its event loop for good, and who waits for that. */
  hasLeft: boolean;
  onLeft: () => void;
}

function createGuestWorker(): Worker {
  // Written out and without a name, because bundlers must recognise it.
  return new Worker(new URL('../guest/guest-worker.ts', import.meta.url), { type: 'module' });
}

/** What a part of an engine says that has no more memory, addresses or threads. */
const OUT_OF_MEMORY = /out of memory|could not allocate|Allocation failed/i;

class HostFailure extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

function failureCode(error: unknown, message: string): FailureCode {
  if (error instanceof HostFailure) return error.code;
  return OUT_OF_MEMORY.test(message) ? 'out-of-memory' : 'failed';
}

function errorText(error: unknown): { message: string; detail?: string } {
  if (!(error instanceof Error)) return { message: String(error) };
  return error.stack === undefined ? { message: error.message } : { message: error.message, detail: error.stack };
}

async function compile(code: WebAssembly.Module | Uint8Array): Promise<WebAssembly.Module> {
  if (code instanceof WebAssembly.Module) return code;
  const bytes = code as Uint8Array<ArrayBuffer>;
  return losesWakeUps ? new WebAssembly.Module(bytes) : WebAssembly.compile(bytes);
}

export class Host implements HostPlatform {
  private readonly identity = `auklet-${crypto.randomUUID()}`;
  private readonly output = new OutputCollector((bytes) => this.owner.post({ type: 'output', bytes }, [bytes.buffer]));
  private readonly logLines: string[] = [];
  private readonly cpus: Guest[] = [];
  private readonly tasks = new Map<number, Guest>();
  private readonly memories: WebAssembly.Memory[] = [];
  private readonly modules = new Map<number, WebAssembly.Module>();

  private module: HostModule | undefined;
  private options: StartOptions | undefined;
  private kernel: WebAssembly.Module | undefined;
  private kernelMemory: WebAssembly.Memory | undefined;
  private deviceTree: number | undefined;
  private cpu0: { machine: number; heapBase: number } | undefined;
  private stage: MachineStage | 'none' | 'halted' | 'error' = 'none';
  private workersStarted = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setInterval> | undefined;
  private workersEnd: Promise<void> | undefined;
  private roomMade: ((made: boolean) => void) | undefined;
  /** The life locks of workers that were told to end. */
  private readonly remaining = new Set<string>();
  /** Bytes of console output that did not come from the device, and that the owner has not taken. */
  private uncounted = 0;
  /** Messages are handled one after the other, although some handlers wait for compilations. */
  private handled: Promise<void> = Promise.resolve();

  constructor(private readonly owner: ParentPort<FromHost, ToHost>) {
    this.owner.onMessage((message) => {
      // The end waits for nothing.
      if (message.type === 'dispose') void this.dispose();
      else if (message.type === 'room') this.roomMade?.(message.made);
      else this.handled = this.handled.then(() => this.handle(message)).catch((error: unknown) => this.fail(error));
    });
  }

  // ---- owner --------------------------------------------------------------------------------------------------

  private async handle(message: Exclude<ToHost, { type: 'dispose' | 'room' }>): Promise<void> {
    switch (message.type) {
      case 'start':
        return this.start(message.options);
      case 'supply':
        return this.supply(message.kernel, message.initramfs);
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
      case 'diagnose':
        this.owner.post({ type: 'diagnostics', text: this.diagnostics() });
        return;
    }
  }

  private outputTaken(bytes: number): void {
    // The C++ host has not handed these on, so it does not wait for them.
    const uncounted = Math.min(this.uncounted, bytes);
    this.uncounted -= uncounted;
    this.withModule((module) => module.outputTaken(bytes - uncounted));
  }

  private get ended(): boolean {
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
    const kernelMemory = await this.withRoom(() => this.createKernelMemory(module.kernelPages));
    if (this.ended) return;
    this.kernelMemory = kernelMemory;
    module.setKernelMemory(kernelMemory);
    // CPU 0 first: everything else waits for it.
    for (let cpu = 0; cpu < module.cpus; ++cpu) this.cpus[cpu] = this.spawn('cpu', cpu);
    await this.withRoom(() => {
      try {
        module.startPools();
      } catch (error) {
        throw new HostFailure('out-of-memory', errorText(error).message);
      }
    });
    return this.supply(options.kernel, options.initramfs);
  }

  /** `take` needs memory. Where there is none, it is called again when those who are leaving have given back theirs. */
  private async withRoom<T>(take: () => T | Promise<T>): Promise<T> {
    try {
      return await take();
    } catch (error) {
      if (this.ended || failureCode(error, errorText(error).message) !== 'out-of-memory') throw error;
      const answer = new Promise<boolean>((resolve) => (this.roomMade = resolve));
      this.owner.post({ type: 'no-room' });
      if (!(await answer)) throw error;
      return take();
    }
  }

  private createKernelMemory(pages: number): WebAssembly.Memory {
    try {
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (error) {
      throw new HostFailure(
        'out-of-memory',
        `there are no ${pages / 16} MiB of memory for the machine; give it less memory, or dispose of other machines`,
        { cause: error },
      );
    }
  }

  private async supply(kernel?: WebAssembly.Module | Uint8Array, initramfs?: Uint8Array): Promise<void> {
    if (this.ended || this.module === undefined || this.options === undefined) return;
    if (kernel !== undefined && this.kernel === undefined) {
      this.setStage('kernel');
      const compiled = await compile(kernel);
      if (this.ended) return;
      this.kernel = compiled;
      for (const guest of [...this.cpus, ...this.tasks.values()]) this.sendStart(guest);
    }
    if (initramfs !== undefined && this.deviceTree === undefined) {
      this.module.setInitramfs(initramfs);
      for (const entry of this.options.files ?? []) {
        if ('link' in entry) this.module.addLink(entry.path, entry.link);
        else if ('directory' in entry) this.module.addDirectory(entry.path, entry.mode ?? 0o755);
        else {
          const { content } = entry;
          const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
          this.module.addFile(entry.path, entry.mode ?? 0o644, bytes);
        }
      }
      // The machine has its copies.
      this.options = { ...this.options, files: [] };
      this.deviceTree = this.module.prepare();
    }
    this.bootWhenReady();
  }

  private bootWhenReady(): void {
    if (this.ended || this.module === undefined || this.cpu0 === undefined || this.deviceTree === undefined) return;
    if (this.stage === 'booting' || this.stage === 'running') return;
    this.module.attach(this.cpu0.machine, this.cpu0.heapBase);
    this.setStage('booting');
    this.watchdog = setInterval(() => this.withModule((module) => module.watch()), WATCHDOG_INTERVAL);
    for (const guest of this.cpus) this.boot(guest);
    this.serve();
  }

  /** CPU 0 is ready by then, the others may follow. */
  private boot(guest: Guest): void {
    if (guest.ready && this.stage !== 'kernel') guest.handle.post({ type: 'boot', dtb: this.deviceTree as number });
  }

  // ---- doorbell -------------------------------------------------------------------------------------------------

  private readonly serve = (): void => {
    if (this.ended || this.module === undefined) return;
    try {
      const again = this.module.service();
      this.output.flushSoon();
      if (again || !this.module.waitForDoorbell(this.serve)) afterEvents(this.serve);
    } catch (error) {
      this.fail(error);
    }
  };

  /** Runs the C++ host for an event that is not a message of the owner. */
  private withModule(use: (module: HostModule) => void): void {
    if (this.ended || this.module === undefined) return;
    try {
      use(this.module);
      this.output.flushSoon();
    } catch (error) {
      this.fail(error);
    }
  }

  // ---- guest workers ----------------------------------------------------------------------------------------------

  private spawn(role: 'cpu' | 'task', number: number): Guest {
    const name = `${this.identity}-${role}-${number}-${++this.workersStarted}`;
    const lifeLock = isNode ? undefined : name;
    const handle = startWorker<ToGuest, FromGuest>(
      name,
      this.options?.guestWorkerUrl,
      createGuestWorker,
      lifeLock,
      role === 'cpu' || number < INITIAL_WORKERS ? undefined : this.workerHeap(),
    );
    const guest: Guest = {
      handle,
      role,
      number,
      lifeLock,
      ready: false,
      startTimer: undefined,
      hasLeft: false,
      onLeft: () => {},
    };
    handle.onMessage = (message) => this.handleGuest(guest, message);
    handle.onError = (message, detail) => this.guestFailed(guest, message, detail);
    this.sendStart(guest);
    return guest;
  }

  /**
   * MiB. V8 takes the size of a memory that a worker gets for its own for a moment, and if that is more than half of
   * the limit of the heap, it collects all garbage at once, and again soon because its limit is smaller then. While it
   * sweeps, the worker's event loop posts itself the same task until V8's own threads have done their part: hundreds of
   * such workers leave neither those threads nor the machine any time. So only those do it that each machine has: there
   * it frees 0.7 MiB each. The others get room for K, and for a process of 64 MiB.
   */
  private workerHeap(): number {
    return 2 * ((this.kernelMemory?.buffer.byteLength ?? 0) / 1048576 + 64);
  }

  private sendStart(guest: Guest): void {
    if (this.kernel === undefined || this.kernelMemory === undefined || this.module === undefined) return;
    const start: GuestStart = {
      type: 'start',
      role: guest.role,
      [guest.role === 'cpu' ? 'cpu' : 'slot']: guest.number,
      kernel: this.kernel,
      memory: this.kernelMemory,
      memories: this.memories.slice(0, COMMON_MEMORIES),
      modules: [...this.modules],
      memoryPages: this.module.processPages,
    };
    if (guest.lifeLock !== undefined) start.lifeLock = guest.lifeLock;
    guest.handle.post(start);
    guest.startTimer = setTimeout(() => this.guestFailed(guest, 'it did not start'), WORKER_START_TIMEOUT);
  }

  private handleGuest(guest: Guest, message: FromGuest): void {
    if (message.type === 'left') {
      guest.hasLeft = true;
      guest.onLeft();
    }
    if (this.ended) return;
    switch (message.type) {
      case 'ready':
        clearTimeout(guest.startTimer);
        guest.ready = true;
        if (guest.role === 'task') this.withModule((module) => module.workerReady(guest.number));
        else if (guest.number === 0) this.cpu0Ready(message.machine, message.heapBase);
        else this.boot(guest);
        return;
      case 'module':
        this.modules.set(message.id, message.module);
        this.broadcast({ type: 'module', id: message.id, module: message.module }, guest);
        // The first program that the kernel starts is init.
        if (this.stage === 'booting') this.setStage('running');
        return;
      case 'wake':
        // The host's own has taken its turn with this message.
        this.tasks.get(message.slot)?.handle.post({ type: 'wake' });
        return;
      case 'clock':
        guest.handle.post({ type: 'clock', now: performance.now(), timeOrigin: performance.timeOrigin });
        return;
      case 'memory': {
        const memory = this.memories[message.id];
        if (memory === undefined) this.fail(new Error(`the kernel names memory ${message.id}, which does not exist`));
        else guest.handle.post({ type: 'memory', id: message.id, memory });
        return;
      }
      case 'console':
        this.uncounted += message.bytes.length;
        this.output.add(message.bytes);
        this.output.flushSoon();
        return;
      case 'halt':
        this.halt(HALT_REASONS.get(message.reason) ?? 'panic');
        return;
      case 'error':
        this.guestFailed(guest, message.message, message.stack);
        return;
    }
  }

  private cpu0Ready(machine: number | undefined, heapBase: number | undefined): void {
    if (machine === undefined || heapBase === undefined) {
      this.fail(new Error('the kernel does not export auklet_machine and __heap_base'));
      return;
    }
    this.cpu0 = { machine: machine >>> 0, heapBase: heapBase >>> 0 };
    this.withModule(() => this.bootWhenReady());
  }

  private guestFailed(guest: Guest, message: string, detail?: string): void {
    if (this.ended) return;
    clearTimeout(guest.startTimer);
    if (guest.role === 'task' && !guest.ready) {
      // The engine has no more of them; the pool goes on with what there is.
      if (this.tasks.get(guest.number) !== guest) return;
      this.log('warning', `worker ${guest.number} could not be started: ${message}`);
      this.endTask(guest);
      return;
    }
    const error = new Error(`the worker of ${guest.role} ${guest.number} has failed: ${message}`);
    if (detail !== undefined) error.stack = detail;
    this.fail(error);
  }

  private endTask(guest: Guest): void {
    clearTimeout(guest.startTimer);
    this.tasks.delete(guest.number);
    void guest.handle.terminate().then(() => this.withModule((module) => module.workerGone(guest.number)));
  }

  /** To all that run programs. */
  private broadcast(message: ToGuest, except?: Guest): void {
    // A worker without the start message gets everything with it.
    if (this.kernel === undefined) return;
    for (const guest of this.tasks.values()) if (guest !== except) guest.handle.post(message);
  }

  private endWorkers(): Promise<void> {
    return (this.workersEnd ??= this.letWorkersLeave());
  }

  /**
   * Engines end a worker late or never while it sleeps or spins in wasm (2 s in Chromium; in WebKit one that sleeps is never
   * ended). So all are told to come out first; who sleeps is woken. Only one that spins in a program is left then: the
   * engine ends that in its own time, and nobody waits for it.
   */
  private async letWorkersLeave(): Promise<void> {
    clearTimeout(this.timer);
    clearInterval(this.watchdog);
    const guests = [...this.cpus, ...this.tasks.values()];
    this.cpus.length = 0;
    this.tasks.clear();
    try {
      this.module?.end();
    } catch {
      // A C++ host that has failed wakes nobody.
    }
    const left = guests.map((guest) => {
      clearTimeout(guest.startTimer);
      guest.handle.post({ type: 'end' });
      return new Promise<void>((resolve) => (guest.onLeft = resolve));
    });
    await within(LEAVE_PATIENCE, Promise.all(left));
    const gone: Promise<void>[] = [];
    for (const guest of guests) {
      const { lifeLock } = guest;
      if (lifeLock !== undefined) this.remaining.add(lifeLock);
      const end = guest.handle.terminate().then(() => {
        if (lifeLock !== undefined) this.remaining.delete(lifeLock);
      });
      if (guest.hasLeft) gone.push(end);
    }
    await within(GONE_PATIENCE, Promise.all(gone));
    this.module?.wakeDoorbell();
    this.memories.length = 0;
    this.modules.clear();
  }

  private async dispose(): Promise<void> {
    if (!this.ended) this.stage = 'halted';
    await this.endWorkers();
    // Where the host is in its owner's thread, the owner may keep this object.
    this.module = undefined;
    this.kernel = undefined;
    this.kernelMemory = undefined;
    this.options = undefined;
    if (!isNode) {
      await holdLifeLock(this.identity);
      this.remaining.add(this.identity);
    }
    this.owner.post({ type: 'disposed', remaining: [...this.remaining] });
  }

  // ---- HostPlatform: calls from the C++ host ------------------------------------------------------------------

  createMemory(id: number, maximumPages: number): boolean {
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory({ initial: 0, maximum: maximumPages, shared: true });
    } catch {
      // Chromium throws a RangeError, Firefox the string "out of memory". The pool says what it means.
      return false;
    }
    this.memories[id] = memory;
    if (id < COMMON_MEMORIES) this.broadcast({ type: 'memory', id, memory });
    return true;
  }

  copyMemory(id: number, address: number, guestAddress: number, length: number, write: boolean): number {
    const memory = this.memories[id];
    if (memory === undefined || this.kernelMemory === undefined) return 0;
    const buffer = bufferOf(memory, address + length);
    const count = Math.max(0, Math.min(length, buffer.byteLength - address));
    if (count === 0) return 0;
    const user = new Uint8Array(buffer, address, count);
    const kernel = new Uint8Array(this.kernelMemory.buffer, guestAddress, count);
    if (write) user.set(kernel);
    else kernel.set(user);
    return count;
  }

  setSafepoint(id: number, address: number): void {
    const memory = this.memories[id];
    if (memory === undefined) return;
    const buffer = bufferOf(memory, address + 4);
    if (address % 4 === 0 && address + 4 <= buffer.byteLength) Atomics.store(new Int32Array(buffer, address, 1), 0, 1);
  }

  startWorker(slot: number): void {
    try {
      this.tasks.set(slot, this.spawn('task', slot));
    } catch (error) {
      this.log('warning', `worker ${slot} could not be started: ${errorText(error).message}`);
      // Not from inside the call: the C++ host is not finished with starting it.
      afterEvents(() => this.withModule((module) => module.workerGone(slot)));
    }
  }

  terminateWorker(slot: number): void {
    const guest = this.tasks.get(slot);
    if (guest !== undefined) this.endTask(guest);
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
    if (event.type === 'data') this.owner.post({ type: 'socket', event }, [event.bytes.buffer as ArrayBuffer]);
    else this.owner.post({ type: 'socket', event });
  }

  log(level: 'information' | 'warning' | 'error', message: string): void {
    this.logLines.push(`${level}: ${message}`);
    if (this.logLines.length > KEPT_LOG_LINES) this.logLines.shift();
    this.owner.post({ type: 'log', level, message });
  }

  // ---- the end --------------------------------------------------------------------------------------------------

  private halt(reason: HaltReason): void {
    // Console output that the kernel left in the rings just before.
    this.withModule((module) => {
      module.flushOutput();
      module.service();
    });
    this.output.flush();
    if (this.ended) return;
    this.stage = 'halted';
    this.owner.post({ type: 'halted', reason });
    void this.endWorkers();
  }

  private fail(error: unknown): void {
    if (this.ended) return;
    this.output.flush();
    this.stage = 'error';
    const { message, detail } = errorText(error);
    this.logLines.push(`error: ${message}`);
    const report = { type: 'error', code: failureCode(error, message), message } as const;
    this.owner.post(detail === undefined ? report : { ...report, detail });
    void this.endWorkers();
  }

  private diagnostics(): string {
    const scope = globalThis as {
      navigator?: { userAgent: string };
      crossOriginIsolated?: boolean;
    };
    let text = `stage: ${this.stage}\nengine: ${scope.navigator?.userAgent ?? 'Node.js'}, ${processors() ?? '?'} processors`;
    if (!isNode) text += `, isolated: ${scope.crossOriginIsolated}`;
    text += `\nclock: ${Math.round((performance.timeOrigin + performance.now()) * 1e6)} ns`;
    text += `\nworkers started: ${this.workersStarted}, programs compiled: ${this.modules.size}\n`;
    try {
      text += this.module?.diagnose() ?? 'the C++ host is not loaded\n';
    } catch (error) {
      text += `the C++ host has failed: ${errorText(error).message}\n`;
    }
    return text + this.logLines.map((line) => `log: ${line}\n`).join('');
  }
}
