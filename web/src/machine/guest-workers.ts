// SPDX-License-Identifier: MIT
// The guest workers of a machine. Each CPU has one. The others are the pool,
// and run tasks. This file starts them, tells them of kernel, memories and
// programs, and ends them with the machine.

import { errorText } from './failure.ts';
import { afterEvents, isNode, losesEnds, startWorker, within, type WorkerHandle } from './platform.ts';
import type { FromGuest, Gate, GuestStart, RemainingLocks, ToGuest } from './protocol.ts';
import { INITIAL_WORKERS } from './settings.ts';
import type { UserMemories } from './user-memories.ts';

/**
 * Milliseconds for a worker to start. A browser that is out of workers
 * (Firefox) neither starts one nor reports an error.
 */
const WORKER_START_TIMEOUT = 30_000;

/**
 * Milliseconds for workers to leave wasm at the machine's end. A worker whose
 * program makes no system calls does not leave it.
 */
const LEAVE_PATIENCE = 100;
/** Milliseconds for workers that have left wasm to be gone. */
const GONE_PATIENCE = 50;
/**
 * Milliseconds in which a worker's thread ends, after the worker has lost its
 * Web Lock.
 */
const THREAD_PATIENCE = 1000;

interface Guest {
  handle: WorkerHandle<ToGuest, FromGuest>;
  role: 'cpu' | 'task';
  /** The number of the CPU, or of the worker's slot. */
  number: number;
  lifeLock: string | undefined;
  ready: boolean;
  startTimer: ReturnType<typeof setTimeout> | undefined;
  /** At the machine's end: whether the worker is in its event loop for good. */
  hasLeft: boolean;
  /** Called when `hasLeft` becomes true. */
  onLeft: () => void;
  /** Called when the worker blocks at the gate. */
  onHeld: () => void;
}

function createGuestWorker(): Worker {
  // This call is written out and has no name, because bundlers recognise only
  // this form.
  return new Worker(new URL('../guest/guest-worker.ts', import.meta.url), { type: 'module' });
}

/** The host, as its guest workers need it. */
export interface GuestWorkersOwner {
  /** Whether the machine has ended. Messages of workers are ignored then. */
  readonly ended: boolean;
  /** Hears of ports that the guest opens, if there is a card. */
  readonly network: { portChanged(port: number, isOpen: boolean): void } | undefined;
  /**
   * Gets the addresses of auklet_machine and __heap_base, if the kernel exports
   * them.
   */
  cpu0Ready(machine: number | undefined, heapBase: number | undefined): void;
  taskReady(slot: number): void;
  /** The slot is free again. */
  taskGone(slot: number): void;
  programCompiled(): void;
  earlyOutput(bytes: Uint8Array): void;
  /** `reason` is one of AUKLET_HALT_*. */
  kernelHalted(reason: number): void;
  log(level: 'warning', message: string): void;
  fail(error: unknown): void;
}

/** What all workers of a machine have in common. */
export interface GuestWorkersOptions {
  /**
   * The machine's name. The names of its workers and of their locks begin with
   * it.
   */
  identity: string;
  /**
   * Address of the workers' script. Undefined if the bundler has made it known.
   */
  url: string | undefined;
  /** K, the kernel's memory. */
  kernelMemory: WebAssembly.Memory;
  memories: UserMemories;
  /** The largest size of a user memory, in pages of 64 KiB. */
  memoryPages: number;
}

export class GuestWorkers {
  /** Workers started so far. */
  started = 0;

  private readonly cpus: Guest[] = [];
  private readonly tasks = new Map<number, Guest>();
  /** Workers that were told to leave and are not gone. */
  private readonly leaving = new Set<Guest>();
  /**
   * Where ends get lost (losesEnds): one promise for each worker that was
   * ended. It resolves when the worker's thread has ended too.
   */
  private readonly ending = new Set<Promise<void>>();
  private gate: Gate | undefined;
  private readonly modules = new Map<number, WebAssembly.Module>();
  private kernel: WebAssembly.Module | undefined;
  private deviceTree: number | undefined;
  private readonly owner: GuestWorkersOwner;
  private readonly options: GuestWorkersOptions;

  constructor(owner: GuestWorkersOwner, options: GuestWorkersOptions) {
    this.owner = owner;
    this.options = options;
  }

  get programs(): number {
    return this.modules.size;
  }

  // ---- start ----------------------------------------------------------------

  startCpu(cpu: number): void {
    this.cpus[cpu] = this.spawn('cpu', cpu);
  }

  startTask(slot: number): void {
    try {
      this.tasks.set(slot, this.spawn('task', slot));
    } catch (error) {
      this.owner.log('warning', `worker ${slot} could not be started: ${errorText(error).message}`);
      // This must not happen inside the call: the C++ host has not finished
      // starting the worker.
      afterEvents(() => this.owner.taskGone(slot));
    }
  }

  endTask(slot: number): void {
    const guest = this.tasks.get(slot);
    if (guest !== undefined) this.end(guest);
  }

  /**
   * Workers that exist already begin with the kernel now. Later ones begin at
   * once.
   */
  supplyKernel(kernel: WebAssembly.Module): void {
    this.kernel = kernel;
    for (const guest of [...this.cpus, ...this.tasks.values()]) this.sendStart(guest);
  }

  /** CPU 0 is ready and boots. The other CPUs boot when they are ready. */
  bootCpus(deviceTree: number): void {
    this.deviceTree = deviceTree;
    for (const guest of this.cpus) this.boot(guest);
  }

  /**
   * Tells the workers of a memory that was made after most of them were
   * started.
   */
  tellMemory(id: number, memory: WebAssembly.Memory): void {
    if (this.options.memories.isCommon(id)) this.broadcast({ type: 'memory', id, memory });
  }

  private spawn(role: 'cpu' | 'task', number: number): Guest {
    const name = `${this.options.identity}-${role}-${number}-${++this.started}`;
    const lifeLock = isNode ? undefined : name;
    const handle = startWorker<ToGuest, FromGuest>(
      name,
      this.options.url,
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
      onHeld: () => {},
    };
    handle.onMessage = (message) => this.handle(guest, message);
    handle.onError = (message, detail) => this.failed(guest, message, detail);
    this.sendStart(guest);
    return guest;
  }

  /**
   * The limit of a worker's JavaScript heap, in MiB.
   *
   * When a worker gets a memory, V8 adds the memory's size to the worker's heap
   * for a moment. If that is more than half of the heap's limit, V8 collects
   * all garbage at once. It then lowers the limit, so it soon does so again.
   * While V8 sweeps, the worker's event loop posts itself the same task until
   * V8's own threads have done their part. Hundreds of such workers leave no
   * time to those threads or to the machine.
   *
   * So only the workers of CPUs and the first INITIAL_WORKERS of the pool have
   * the small limit. There, collecting frees 0.7 MiB for each worker. The limit
   * of the others has room for K and for a process of 64 MiB.
   */
  private workerHeap(): number {
    return 2 * (this.options.kernelMemory.buffer.byteLength / 1048576 + 64);
  }

  private sendStart(guest: Guest): void {
    if (this.kernel === undefined) return;
    const start: GuestStart = {
      type: 'start',
      role: guest.role,
      [guest.role === 'cpu' ? 'cpu' : 'slot']: guest.number,
      kernel: this.kernel,
      memory: this.options.kernelMemory,
      memories: this.options.memories.common,
      modules: [...this.modules],
      memoryPages: this.options.memoryPages,
    };
    if (guest.lifeLock !== undefined) start.lifeLock = guest.lifeLock;
    guest.handle.post(start);
    guest.startTimer = setTimeout(() => this.failed(guest, 'it did not start'), WORKER_START_TIMEOUT);
  }

  private boot(guest: Guest): void {
    if (guest.ready && this.deviceTree !== undefined) guest.handle.post({ type: 'boot', dtb: this.deviceTree });
  }

  // ---- messages -------------------------------------------------------------

  private handle(guest: Guest, message: FromGuest): void {
    if (message.type === 'left') {
      guest.hasLeft = true;
      guest.onLeft();
      return;
    }
    if (message.type === 'held') {
      guest.onHeld();
      return;
    }
    if (this.owner.ended) return;
    switch (message.type) {
      case 'ready':
        clearTimeout(guest.startTimer);
        guest.ready = true;
        if (guest.role === 'task') this.owner.taskReady(guest.number);
        else if (guest.number === 0) this.owner.cpu0Ready(message.machine, message.heapBase);
        else this.boot(guest);
        return;
      case 'module':
        this.modules.set(message.id, message.module);
        this.broadcast({ type: 'module', id: message.id, module: message.module }, guest);
        this.owner.programCompiled();
        return;
      case 'wake':
        // Slot -1 is the host. Its event loop has taken its turn with this
        // message.
        this.tasks.get(message.slot)?.handle.post({ type: 'wake' });
        return;
      case 'clock':
        guest.handle.post({ type: 'clock', now: performance.now(), timeOrigin: performance.timeOrigin });
        return;
      case 'memory': {
        const memory = this.options.memories.get(message.id);
        if (memory === undefined)
          this.owner.fail(new Error(`the kernel names memory ${message.id}, which does not exist`));
        else guest.handle.post({ type: 'memory', id: message.id, memory });
        return;
      }
      case 'port':
        this.owner.network?.portChanged(message.port, message.isOpen);
        return;
      case 'console':
        this.owner.earlyOutput(message.bytes);
        return;
      case 'halt':
        this.owner.kernelHalted(message.reason);
        return;
      case 'error':
        this.failed(guest, message.message, message.stack);
        return;
    }
  }

  private failed(guest: Guest, message: string, detail?: string): void {
    if (this.owner.ended) return;
    clearTimeout(guest.startTimer);
    if (guest.role === 'task' && !guest.ready) {
      // The engine has no more workers. The pool goes on with those that exist.
      if (this.tasks.get(guest.number) !== guest) return;
      this.owner.log('warning', `worker ${guest.number} could not be started: ${message}`);
      this.end(guest);
      return;
    }
    const error = new Error(`the worker of ${guest.role} ${guest.number} has failed: ${message}`);
    if (detail !== undefined) error.stack = detail;
    this.owner.fail(error);
  }

  /** Posts a message to all workers that run programs. */
  private broadcast(message: ToGuest, except?: Guest): void {
    // Without a kernel no worker has its start message, which carries all of
    // this.
    if (this.kernel === undefined) return;
    for (const guest of this.tasks.values()) if (guest !== except) guest.handle.post(message);
  }

  // ---- the end --------------------------------------------------------------

  /** Ends a worker of the pool. */
  private end(guest: Guest): void {
    clearTimeout(guest.startTimer);
    this.tasks.delete(guest.number);
    void this.terminate(guest).then(() => this.owner.taskGone(guest.number));
  }

  /**
   * Ends a worker. Resolves when it is gone, as far as the engine reports that.
   */
  private terminate(guest: Guest): Promise<void> {
    const gone = guest.handle.terminate();
    if (losesEnds) {
      const ended = gone.then(() => new Promise<void>((resolve) => setTimeout(resolve, THREAD_PATIENCE)));
      this.ending.add(ended);
      void ended.then(() => this.ending.delete(ended));
    }
    return gone;
  }

  /**
   * Tells all workers to leave wasm, and waits for them for LEAVE_PATIENCE.
   * `wake` wakes those that sleep.
   *
   * Engines end a worker late or never while it sleeps or spins in wasm.
   * Chromium takes 2 s. WebKit never ends a worker that sleeps. After this
   * call, only a worker that spins in a program is still in wasm. The engine
   * ends it in its own time, and nobody waits for it.
   */
  async leave(wake: () => void): Promise<void> {
    for (const guest of [...this.cpus, ...this.tasks.values()]) this.leaving.add(guest);
    this.cpus.length = 0;
    this.tasks.clear();
    this.modules.clear();
    try {
      wake();
    } catch {
      // A C++ host that has failed wakes nobody.
    }
    const left = [...this.leaving].map((guest) => {
      clearTimeout(guest.startTimer);
      guest.handle.post({ type: 'end' });
      return new Promise<void>((resolve) => (guest.onLeft = resolve));
    });
    await within(LEAVE_PATIENCE, Promise.all(left));
  }

  /**
   * Ends the workers that were told to leave. Resolves when those that have
   * left are gone, and after GONE_PATIENCE at the latest.
   */
  async endAll(): Promise<void> {
    const gone: Promise<void>[] = [];
    for (const guest of this.leaving) {
      const end = this.terminate(guest);
      void end.then(() => this.leaving.delete(guest));
      if (guest.hasLeft) gone.push(end);
    }
    await within(GONE_PATIENCE, Promise.all(gone));
  }

  /**
   * Prepares for the end of this worker, whose Web Lock is `lifeLock`. Where
   * ends get lost (losesEnds), it waits for the workers that were ended before;
   * the end of this worker ends the others, which wait for it at a gate.
   * Elsewhere it ends all workers.
   */
  async settle(lifeLock: string): Promise<void> {
    if (!losesEnds) {
      await this.endAll();
      return;
    }
    await Promise.all(this.ending);
    if (this.leaving.size > 0) await this.hold({ word: new SharedArrayBuffer(4), lifeLock });
  }

  /**
   * Resolves when all workers that have left wasm wait at the gate: one that
   * does not may end too early. One that is still in wasm ends later.
   */
  private async hold(gate: Gate): Promise<void> {
    this.gate = gate;
    const held: Promise<void>[] = [];
    for (const guest of this.leaving) {
      const isHeld = new Promise<void>((resolve) => (guest.onHeld = resolve));
      if (guest.hasLeft) held.push(isHeld);
      guest.handle.post({ type: 'hold', gate });
    }
    await Promise.all(held);
  }

  /** The workers that are not gone. */
  get remaining(): RemainingLocks {
    const locks = (hasLeft: boolean) =>
      [...this.leaving].filter((guest) => guest.hasLeft === hasLeft).flatMap(({ lifeLock }) => lifeLock ?? []);
    return { left: locks(true), others: locks(false), ...(this.gate === undefined ? {} : { gate: this.gate }) };
  }
}
