// SPDX-License-Identifier: MIT
// Differences between browsers and Node.js: workers, how to learn that one is
// gone, and the limits of the engine.

/** What goes with a message, and is gone here. */
export type Transfer = ArrayBuffer | MessagePort;

/** A worker, as the thread that started it sees it. */
export interface WorkerHandle<Outgoing, Incoming> {
  post(message: Outgoing, transfer?: Transfer[]): void;
  onMessage: (message: Incoming) => void;
  /**
   * Called when the script has failed to load, when it has thrown outside of
   * its message handler, or, in Node.js, when the worker has exited.
   */
  onError: (message: string, detail?: string) => void;
  /**
   * Ends the worker. Resolves when it can no longer touch any memory. In a
   * browser only a life lock tells that: without one it resolves at once.
   */
  terminate(): Promise<void>;
}

/** The thread that started a worker, as the worker sees it. */
export interface ParentPort<Outgoing, Incoming> {
  post(message: Outgoing, transfer?: Transfer[]): void;
  onMessage(handler: (message: Incoming) => void): void;
}

interface NodeWorker {
  postMessage(message: unknown, transfer?: readonly Transfer[]): void;
  on(event: 'message', handler: (message: unknown) => void): void;
  on(event: 'error', handler: (error: Error) => void): void;
  on(event: 'exit', handler: () => void): void;
  terminate(): Promise<number>;
}

interface NodeWorkerThreads {
  Worker: new (
    url: URL,
    options: {
      name: string;
      stdout?: boolean;
      stderr?: boolean;
      resourceLimits?: { maxOldGenerationSizeMb: number; stackSizeMb: number };
    },
  ) => NodeWorker;
  parentPort: {
    postMessage(message: unknown, transfer?: readonly Transfer[]): void;
    on(event: 'message', handler: (message: unknown) => void): void;
  } | null;
}

interface NodeProcess {
  versions?: { node?: string };
  getBuiltinModule?(name: string): unknown;
  env?: Record<string, string | undefined>;
  /** Bytes. 0, or more than all memory, means that there is no limit. */
  constrainedMemory?(): number;
}

const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/**
 * False in a page of a bundler or of Electron, where `process` may exist but
 * workers are the browser's.
 */
export const isNode =
  nodeProcess?.versions?.node !== undefined && !('WorkerGlobalScope' in globalThis) && !('document' in globalThis);

/** A page's own thread may not block. */
export const mayBlock = !('document' in globalThis);

// A bundler may import this module where there is no navigator.
const agent = isNode ? '' : (globalThis.navigator?.userAgent ?? '');

/**
 * In a worker of WebKit, a promise of Atomics.waitAsync or WebAssembly.compile
 * may stay pending although its time has come. It then settles after the next
 * event of the worker's event loop
 * (docs/decisions/0055-event-loops-that-sleep-on.md).
 */
export const losesWakeUps = agent.includes('AppleWebKit/') && !agent.includes('Chrome/');

/**
 * Chromium loses the news that a worker's thread has ended, if the worker's
 * parent is ending at that moment. The parent then waits for this news for
 * ever, and keeps all memories that it knows. The news is not lost if the end
 * of the parent ends the worker, and the worker's thread outlives that moment
 * (docs/decisions/0010-how-a-machine-ends.md).
 */
export const losesEnds = agent.includes('Chrome/');

// This is getBuiltinModule and not an import, because bundlers for browsers do
// not see it and it needs no await.
function nodeWorkerThreads(): NodeWorkerThreads {
  const module = nodeProcess?.getBuiltinModule?.('node:worker_threads');
  if (module === undefined) throw new Error('this Node.js is too old: 20.16 or 22.3 is needed');
  return module as NodeWorkerThreads;
}

/** A module of Node.js; undefined in a browser. */
export function nodeModule(name: string): unknown {
  return isNode ? nodeProcess?.getBuiltinModule?.(name) : undefined;
}

/**
 * The limit of a worker's JavaScript heap, in MiB. Our workers keep little, and
 * V8 reserves memory by this limit. So each worker is 1.5 MB smaller than
 * without it.
 */
const WORKER_HEAP = 64;

/**
 * The stack of a worker, in MiB of address space. What is not used of it takes
 * no memory. The 4 MiB that Node.js gives were full when a program had filled
 * 1 MiB of its own stack. The stack of a browser cannot be set
 * (docs/known-limits.md).
 */
const WORKER_STACK = 32;

/** KiB of a worker's stack that Node.js keeps from V8, for its own code. */
const NODE_STACK_RESERVE = 192;

/**
 * The stack of a worker, in MiB. Tests set it by AUKLET_WORKER_STACK, the KiB
 * that V8 gets. A worker of Chromium has 500.
 */
function workerStack(): number {
  const text = nodeProcess?.env?.AUKLET_WORKER_STACK;
  if (text === undefined) return WORKER_STACK;
  if (!/^\d{3,6}$/.test(text))
    throw new Error(`AUKLET_WORKER_STACK must be a number of KiB, 100 to 999999, not ${text}`);
  return (Number(text) + NODE_STACK_RESERVE) / 1024;
}

function startNodeWorker<Outgoing, Incoming>(url: URL, name: string, heap: number): WorkerHandle<Outgoing, Incoming> {
  const worker = new (nodeWorkerThreads().Worker)(url, {
    name,
    resourceLimits: { maxOldGenerationSizeMb: heap, stackSizeMb: workerStack() },
  });
  let exited = false;
  const gone = new Promise<void>((resolve) =>
    worker.on('exit', () => {
      exited = true;
      resolve();
    }),
  );
  const handle: WorkerHandle<Outgoing, Incoming> = {
    post: (message, transfer) => {
      if (!exited) worker.postMessage(message, transfer);
    },
    onMessage: () => {},
    onError: () => {},
    terminate: () => {
      handle.onMessage = () => {};
      handle.onError = () => {};
      void worker.terminate();
      return gone;
    },
  };
  worker.on('message', (message) => handle.onMessage(message as Incoming));
  worker.on('error', (error) => handle.onError(error.message ?? String(error), error.stack));
  worker.on('exit', () => handle.onError('the worker has exited'));
  return handle;
}

function wrapBrowserWorker<Outgoing, Incoming>(worker: Worker, lifeLock?: string): WorkerHandle<Outgoing, Incoming> {
  const handle: WorkerHandle<Outgoing, Incoming> = {
    post: (message, transfer) => worker.postMessage(message, transfer ?? []),
    onMessage: () => {},
    onError: () => {},
    terminate: async () => {
      worker.onmessage = null;
      worker.onerror = null;
      worker.terminate();
      // Chromium lets a worker that is in wasm run for 2 s more. We get its
      // lock when it is really gone.
      if (lifeLock !== undefined) await lifeLockFree(lifeLock);
    },
  };
  worker.onmessage = (event: MessageEvent) => handle.onMessage(event.data as Incoming);
  worker.onmessageerror = () => handle.onError('a message could not be read');
  worker.onerror = (event: ErrorEvent) => {
    event.preventDefault();
    handle.onError(event.message || 'the script could not be loaded', `${event.filename}:${event.lineno}`);
  };
  return handle;
}

/**
 * Starts a worker whose script is at `url`. Without a URL, a browser gets its
 * worker from `create`, because bundlers recognise only the literal
 * `new Worker(new URL(...))`. `lifeLock` is the Web Lock that the worker will
 * hold. `heap` is the limit of its JavaScript heap in Node.js, in MiB.
 */
export function startWorker<Outgoing, Incoming>(
  name: string,
  url: string | undefined,
  create: (name: string) => Worker,
  lifeLock?: string,
  heap = WORKER_HEAP,
): WorkerHandle<Outgoing, Incoming> {
  if (isNode) {
    if (url === undefined) throw new Error('in Node.js, the URL of the worker script must be given');
    return startNodeWorker(new URL(url), name, heap);
  }
  return wrapBrowserWorker(url === undefined ? create(name) : new Worker(url, { type: 'module', name }), lifeLock);
}

/**
 * Runs a worker's code in the caller's thread. `run` gets the worker's side of
 * the handle. Messages are delivered after the code that sends them.
 */
export function runHere<Outgoing, Incoming>(
  run: (port: ParentPort<Incoming, Outgoing>) => void,
): WorkerHandle<Outgoing, Incoming> {
  let ended = false;
  let receive: ((message: Outgoing) => void) | undefined;
  const handle: WorkerHandle<Outgoing, Incoming> = {
    post: (message) => queueMicrotask(() => ended || receive?.(message)),
    onMessage: () => {},
    onError: () => {},
    terminate: () => {
      ended = true;
      return Promise.resolve();
    },
  };
  run({
    post: (message) => queueMicrotask(() => ended || handle.onMessage(message)),
    onMessage: (handler) => (receive = handler),
  });
  return handle;
}

/** The port to the thread that started this worker. */
export function parentPort<Outgoing, Incoming>(): ParentPort<Outgoing, Incoming> {
  if (isNode) {
    const port = nodeWorkerThreads().parentPort;
    if (port === null) throw new Error('this script only runs as a worker');
    return {
      post: (message, transfer) => port.postMessage(message, transfer),
      onMessage: (handler) => port.on('message', (message) => handler(message as Incoming)),
    };
  }
  const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
  return {
    post: (message, transfer) => scope.postMessage(message, transfer ?? []),
    onMessage: (handler) => {
      scope.onmessage = (event: MessageEvent) => handler(event.data as Incoming);
      scope.onmessageerror = endUnread;
    },
  };
}

/**
 * Hears all messages of a port. A message that cannot be read ends this worker
 * with an error, because whoever waits for what it says would wait for ever.
 */
export function listen(port: MessagePort, handler: (message: never) => void): void {
  port.onmessageerror = endUnread;
  port.onmessage = ({ data }: MessageEvent) => handler(data as never);
}

/**
 * A port of this thread's, and one to give to another thread. All that shares
 * memory is sent by the thread that makes the channel: Firefox loses a shared
 * memory, or a module, that was sent by a port which was itself sent before, if
 * the object that the port was before is collected meanwhile.
 */
export function makeChannel(): { own: MessagePort; other: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  return { own: port1, other: port2 };
}

/** The starter of a worker gets this error. */
function endUnread(): never {
  throw new Error('a message could not be read');
}

/**
 * For a worker: takes the lock that tells its starter when it is really gone.
 * Resolves when the worker holds the lock, and never releases it. Does nothing
 * if no lock was asked for.
 */
export function holdLifeLock(name: string | undefined): Promise<void> {
  if (name === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, () => {
        resolve();
        return new Promise<never>(() => {});
      })
      .catch(reject);
  });
}

/**
 * Resolves when the worker that holds this lock is really gone, or at once if
 * there is none.
 */
export function lifeLockFree(name: string): Promise<void> {
  return navigator.locks.request(name, () => {});
}

interface Immediate {
  setImmediate?: (callback: () => void) => void;
}

/**
 * Calls `callback` after the events that are waiting now. Browsers delay a
 * timeout of 0 by up to 4 ms, so this is a message.
 */
export const afterEvents: (callback: () => void) => void = (() => {
  const immediate = (globalThis as Immediate).setImmediate;
  if (immediate !== undefined) return immediate;
  const channel = new MessageChannel();
  const callbacks: (() => void)[] = [];
  channel.port1.onmessage = () => callbacks.shift()?.();
  return (callback) => {
    callbacks.push(callback);
    channel.port2.postMessage(null);
  };
})();

/**
 * Resolves when `event` does, or after `patience` milliseconds. Rejects if
 * `event` does so before.
 */
export function within(patience: number, event: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, patience);
    event.finally(() => clearTimeout(timer)).then(() => resolve(), reject);
  });
}

/**
 * How many threads this computer executes at the same time. Undefined if the
 * engine does not tell.
 */
export function processors(): number | undefined {
  const os = nodeProcess?.getBuiltinModule?.('node:os') as { availableParallelism(): number } | undefined;
  return os?.availableParallelism() ?? (globalThis as { navigator?: Navigator }).navigator?.hardwareConcurrency;
}

/** The engine and the computer, for diagnostics. */
export function engineText(): string {
  const { navigator, crossOriginIsolated } = globalThis as {
    navigator?: { userAgent: string };
    crossOriginIsolated?: boolean;
  };
  const text = `engine: ${navigator?.userAgent ?? 'Node.js'}, ${processors() ?? '?'} processors`;
  return isNode ? text : `${text}, isolated: ${crossOriginIsolated}`;
}

/**
 * Whether a worker can have several wasm stacks, by JavaScript Promise
 * Integration (guest/coroutines.ts).
 */
export const hasCoroutines =
  typeof WebAssembly !== 'undefined' && 'promising' in WebAssembly && 'Suspending' in WebAssembly;

/**
 * The buffer of a memory that another worker may have grown to `end` bytes. V8
 * tells other workers of that by an interrupt, which may not have come yet. To
 * grow the memory by nothing brings its length up to date.
 */
export function bufferOf(memory: WebAssembly.Memory, end: number): ArrayBufferLike {
  if (memory.buffer.byteLength < end) memory.grow(0);
  return memory.buffer;
}

export interface EngineLimits {
  workers: number;
  memories: number;
  /** The largest memory of one process, in MiB. */
  processMemory: number;
}

/**
 * Bytes that a small process takes in Node.js, with its worker and its memory.
 * Measured with a thousand processes: 12.7 MB each.
 */
const NODE_TASK_SIZE = 13e6;

/**
 * Bytes of memory of this computer, or of the control group of this process.
 */
function totalMemory(): number {
  const os = nodeProcess?.getBuiltinModule?.('node:os') as { totalmem(): number } | undefined;
  const constrained = nodeProcess?.constrainedMemory?.() ?? 0;
  const total = os?.totalmem() ?? Infinity;
  return constrained > 0 ? Math.min(constrained, total) : total;
}

/** The limits of this engine, a little below the numbers at which it fails. */
export function engineLimits(): EngineLimits {
  if (isNode) {
    // Half of the computer's memory. So a fork bomb in the guest is an error
    // there, and not the end of this process.
    const tasks = Math.floor(totalMemory() / 2 / NODE_TASK_SIZE);
    const workers = Math.min(1024, Math.max(128, tasks));
    return { workers, memories: Math.min(1000, workers), processMemory: 1024 };
  }
  // Firefox hangs at its 513th worker, and has about 1,000 memories.
  if (agent.includes('Firefox/')) return { workers: 480, memories: 900, processMemory: 1024 };
  // Chromium has 124 memories in a page, whatever their sizes. The kernel's and
  // the host's count too.
  if (agent.includes('Chrome/')) return { workers: 512, memories: 112, processMemory: 1024 };
  // WebKit pays for the maximum that a memory declares.
  return { workers: 128, memories: 96, processMemory: 256 };
}
