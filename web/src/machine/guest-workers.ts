// SPDX-License-Identifier: MIT
// The guest workers of a machine: one for each CPU, and those of the pool, which run tasks. They are started here, told
// of kernel, memories and programs, and let go at the machine's end.

import { errorText } from './failure.ts';
import { afterEvents, isNode, losesEnds, startWorker, within, type WorkerHandle } from './platform.ts';
import type { FromGuest, GuestStart, RemainingLocks, ToGuest } from './protocol.ts';
import { INITIAL_WORKERS } from './settings.ts';
import type { UserMemories } from './user-memories.ts';

/** A browser that is out of workers (Firefox) neither starts one nor reports an error. */
const WORKER_START_TIMEOUT = 30_000;

/** Milliseconds in which workers come out of wasm at the machine's end; a program that makes no system calls does not. */
const LEAVE_PATIENCE = 100;
/** Milliseconds in which those that came out are gone. */
const GONE_PATIENCE = 50;
/** Milliseconds after a worker has lost its Web Lock in which its thread ends. */
const THREAD_PATIENCE = 1000;

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

/** The host, which hears what its workers say. */
export interface GuestWorkersOwner {
  /** The machine has ended: no worker is heard any more. */
  readonly ended: boolean;
  /** The addresses of auklet_machine and __heap_base, if the kernel exports them. */
  cpu0Ready(machine: number | undefined, heapBase: number | undefined): void;
  taskReady(slot: number): void;
  /** The slot is free again. */
  taskGone(slot: number): void;
  programCompiled(): void;
  earlyOutput(bytes: Uint8Array): void;
  /** AUKLET_HALT_* */
  kernelHalted(reason: number): void;
  log(level: 'warning', message: string): void;
  fail(error: unknown): void;
}

/** What all workers of a machine have in common. */
export interface GuestWorkersOptions {
  /** Of the machine; names of workers and their locks begin with it. */
  identity: string;
  /** Script of the workers, where the bundler has not made it known. */
  url: string | undefined;
  /** K */
  kernelMemory: WebAssembly.Memory;
  memories: UserMemories;
  /** Maximum size of a user memory in 64 KiB pages. */
  memoryPages: number;
}

export class GuestWorkers {
  /** How many there have been. */
  started = 0;

  private readonly cpus: Guest[] = [];
  private readonly tasks = new Map<number, Guest>();
  /** Those that were told to leave. */
  private readonly leaving = new Set<Guest>();
  /** For each that was ended: until its thread has ended as well. */
  private readonly ending = new Set<Promise<void>>();
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

  // ---- start ------------------------------------------------------------------------------------------------------

  startCpu(cpu: number): void {
    this.cpus[cpu] = this.spawn('cpu', cpu);
  }

  startTask(slot: number): void {
    try {
      this.tasks.set(slot, this.spawn('task', slot));
    } catch (error) {
      this.owner.log('warning', `worker ${slot} could not be started: ${errorText(error).message}`);
      // Not from inside the call: the C++ host is not finished with starting it.
      afterEvents(() => this.owner.taskGone(slot));
    }
  }

  endTask(slot: number): void {
    const guest = this.tasks.get(slot);
    if (guest !== undefined) this.end(guest);
  }

  /** Workers that are there already begin with it now, later ones at once. */
  supplyKernel(kernel: WebAssembly.Module): void {
    this.kernel = kernel;
    for (const guest of [...this.cpus, ...this.tasks.values()]) this.sendStart(guest);
  }

  /** CPU 0 is ready; the others boot when they are. */
  bootCpus(deviceTree: number): void {
    this.deviceTree = deviceTree;
    for (const guest of this.cpus) this.boot(guest);
  }

  /** A memory that has been made since most workers were started. */
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
    };
    handle.onMessage = (message) => this.handle(guest, message);
    handle.onError = (message, detail) => this.failed(guest, message, detail);
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

  // ---- messages ---------------------------------------------------------------------------------------------------

  private handle(guest: Guest, message: FromGuest): void {
    if (message.type === 'left') {
      guest.hasLeft = true;
      guest.onLeft();
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
        // The host's own has taken its turn with this message.
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
      // The engine has no more of them; the pool goes on with what there is.
      if (this.tasks.get(guest.number) !== guest) return;
      this.owner.log('warning', `worker ${guest.number} could not be started: ${message}`);
      this.end(guest);
      return;
    }
    const error = new Error(`the worker of ${guest.role} ${guest.number} has failed: ${message}`);
    if (detail !== undefined) error.stack = detail;
    this.owner.fail(error);
  }

  /** To all that run programs. */
  private broadcast(message: ToGuest, except?: Guest): void {
    // A worker without the start message gets everything with it.
    if (this.kernel === undefined) return;
    for (const guest of this.tasks.values()) if (guest !== except) guest.handle.post(message);
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  /** Of one in the pool. */
  private end(guest: Guest): void {
    clearTimeout(guest.startTimer);
    this.tasks.delete(guest.number);
    void this.terminate(guest).then(() => this.owner.taskGone(guest.number));
  }

  /** Resolves when it is gone, as far as the engine says. */
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
   * Engines end a worker late or never while it sleeps or spins in wasm (2 s in Chromium; in WebKit one that sleeps is never
   * ended). So all are told to come out first; who sleeps is woken by `wake`. Only one that spins in a program is left
   * then: the engine ends that in its own time, and nobody waits for it.
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

  /** Ends those that were told to leave; resolves when those that did are gone. */
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
   * Before this worker ends. Where the end of a worker must not meet its parent's, those that were ended are waited for, and
   * the others end with their parent.
   */
  async settle(): Promise<void> {
    if (losesEnds) await Promise.all(this.ending);
    else await this.endAll();
  }

  /** The Web Locks of those that are not gone. */
  get remaining(): RemainingLocks {
    const locks = (hasLeft: boolean) =>
      [...this.leaving].filter((guest) => guest.hasLeft === hasLeft).flatMap(({ lifeLock }) => lifeLock ?? []);
    return { left: locks(true), others: locks(false) };
  }
}
