// SPDX-License-Identifier: MIT
// boot() and the Machine it returns: the owner's side of a host worker, in a page and in Node.js.

import { isNode, lifeLockFree, runHere, startWorker, within, type WorkerHandle } from '../machine/platform.ts';
import { NUMBER_OPTION_NAMES } from '../machine/options.ts';
import type { FromHost, MachineConfiguration, MachineStage, RemainingLocks, ToHost } from '../machine/protocol.ts';
import { loadBytes, loadModule, totalSize } from './assets.ts';
import { ExecClient } from './exec.ts';
import { checkBootOptions, checkExec } from './check-options.ts';
import { isPromise, reportException } from './handlers.ts';
import { leave, oneGone } from './leaving.ts';
import { SocketClient } from './sockets.ts';
import { needsRelay, relayWorkers } from './worker-relay.ts';
import {
  MachineError,
  type BootOptions,
  type ExecOptions,
  type ExecResult,
  type MachineEnd,
  type MachineEvents,
  type MachineSocket,
  type PlatformOptions,
  type Progress,
  type Signal,
} from './types.ts';

function createHostWorker(): Worker {
  // Written out, because bundlers must recognise it.
  if (!needsRelay()) return new Worker(new URL('../machine/host-worker.ts', import.meta.url), { type: 'module' });
  const worker = new Worker(new URL('./relayed-host-worker.ts', import.meta.url), { type: 'module' });
  relayWorkers((message, transfer) => worker.postMessage(message, transfer));
  return worker;
}

/** Throws a MachineError if this engine or page cannot run a machine. */
export function checkPlatform(): void {
  const scope = globalThis as { crossOriginIsolated?: boolean; isSecureContext?: boolean };
  if (!isNode && scope.crossOriginIsolated === false) {
    throw new MachineError(
      'not-isolated',
      scope.isSecureContext === false
        ? 'This page needs HTTPS (or localhost): browsers share memory between workers only there.'
        : 'This page is not cross-origin isolated: its server must send the headers "Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp".',
    );
  }
  if (typeof SharedArrayBuffer === 'undefined' || typeof WebAssembly === 'undefined' || !('waitAsync' in Atomics)) {
    throw new MachineError(
      'no-shared-memory',
      'This browser has no shared WebAssembly memory (SharedArrayBuffer and Atomics.waitAsync): use a current Chromium, Firefox or Safari.',
    );
  }
}

/** What an entry of the package knows: where the parts and the workers' scripts are. */
let platform: PlatformOptions | undefined;

/** Sets what machines are made of where their options do not say. */
export function setPlatform(options: PlatformOptions): void {
  platform = options;
}

/** The options of `boot`; an entry of the package has defaults for those of the platform. */
export type MachineOptions = BootOptions & Partial<PlatformOptions>;

function withPlatform(options: MachineOptions): BootOptions & PlatformOptions {
  const assets = options.assets ?? platform?.assets;
  if (assets === undefined)
    throw new MachineError('invalid-option', 'a machine needs assets: kernel, initramfs and host');
  return { ...platform, ...options, assets };
}

/**
 * Boots a Linux machine. Resolves when its first program has been started.
 *
 * @throws MachineError when it cannot be loaded or started; nothing of it is left then.
 */
export async function boot(options: MachineOptions = {}): Promise<Machine> {
  const machine = new Machine(options);
  try {
    await machine.started;
  } catch (error) {
    await machine.dispose();
    throw error;
  }
  return machine;
}

/** The bytes of a message, which go with it. */
function sentBytes(message: ToHost): Uint8Array | undefined {
  if (message.type === 'input') return message.bytes;
  return message.type === 'socket' && message.request.type === 'send' ? message.request.bytes : undefined;
}

export class Machine {
  /** Resolves when the first program of the machine runs, rejects with a MachineError if that fails. */
  readonly started: Promise<void>;
  /** Resolves when the machine has ended in whatever way; it is never rejected. */
  readonly halted: Promise<MachineEnd>;
  /** The last console output, for diagnostics. */
  transcript = '';

  private readonly handlers = new Map<keyof MachineEvents, Set<(...values: never[]) => void>>();
  private readonly host: WorkerHandle<ToHost, FromHost>;
  private readonly commands: ExecClient | undefined;
  private readonly sockets = new SocketClient((request) => this.post({ type: 'socket', request }));
  private readonly consumers = new Set<() => void>();
  private readonly diagnosed: ((text: string) => void)[] = [];
  private readonly decoder = new TextDecoder();
  private readonly abort = new AbortController();
  private resolveStarted!: () => void;
  private rejectStarted!: (error: MachineError) => void;
  private resolveHalted!: (reason: MachineEnd) => void;
  /** Console output that no handler has got, until there is one. */
  private kept: Uint8Array[] | undefined = [];
  private keptSize = 0;
  private disposal: Promise<void> | undefined;
  private resolveDisposed: ((remaining: RemainingLocks) => void) | undefined;
  private inputOnWay = 0;
  /** Input that waits for the host worker to have a machine; undefined when it has. */
  private beforeStart: ToHost[] | undefined = [];
  private progress: Progress;
  private readonly options: BootOptions & PlatformOptions;
  /** For the kernel's command line. */
  private readonly timeZone: string | undefined;

  /**
   * Starts at once; `started` tells when it runs. `boot` is the shorter way. One that fails has to be disposed of, too.
   *
   * @throws MachineError 'invalid-option', 'not-isolated' or 'no-shared-memory'.
   */
  constructor(given: MachineOptions = {}) {
    checkBootOptions(given);
    const options = withPlatform(given);
    this.options = options;
    this.progress = { stage: 'loading', loaded: 0, total: totalSize(options.assets) };
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    // Whoever does not wait for it hears of failures by the event.
    this.started.catch(() => {});
    this.halted = new Promise((resolve) => (this.resolveHalted = resolve));
    checkPlatform();
    const { timeZone } = options;
    if (timeZone !== undefined) this.timeZone = `TZ=${timeZone}`;
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', () => void this.dispose(), { once: true });
    this.host =
      options.hostHere === undefined
        ? startWorker<ToHost, FromHost>('auklet-host', options.hostWorkerUrl, createHostWorker)
        : runHere<ToHost, FromHost>(options.hostHere);
    this.host.onMessage = (message) => this.handle(message);
    this.host.onError = (message, detail) =>
      this.fail(new MachineError('failed', `the host worker has failed: ${message}`, detail));
    if (options.exec) this.commands = new ExecClient(this.sockets, timeZone === undefined ? {} : { TZ: timeZone });
    this.load().catch((error: unknown) => {
      if (this.disposal !== undefined) return;
      this.fail(
        error instanceof MachineError ? error : new MachineError('failed', String(error), (error as Error)?.stack),
      );
    });
  }

  /** Calls the handler for each event of the type; returns a function that ends that. */
  on<Type extends keyof MachineEvents>(type: Type, handler: MachineEvents[Type]): () => void {
    const handlers = this.handlers.get(type) ?? new Set();
    this.handlers.set(type, handlers);
    handlers.add(handler);
    if (type === 'output' && this.kept !== undefined) queueMicrotask(() => this.deliverKept());
    return () => void handlers.delete(handler);
  }

  /** Console input, as from a keyboard. */
  write(input: string | Uint8Array): void {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input.slice();
    this.inputOnWay += bytes.length;
    this.post({ type: 'input', bytes });
  }

  /** Resolves when the guest's driver has taken all console input. */
  async drained(): Promise<void> {
    while (this.inputOnWay > 0 && this.disposal === undefined)
      await new Promise<void>((resolve) => this.consumers.add(resolve));
  }

  resize(columns: number, rows: number): void {
    this.post({ type: 'resize', columns, rows });
  }

  /** Runs a command; the machine must have been booted with `exec`. Others may run at the same time. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    if (this.commands === undefined)
      return Promise.reject(new MachineError('failed', 'boot the machine with exec: true to run commands'));
    try {
      checkExec(command, options ?? {});
    } catch (error) {
      return Promise.reject(error);
    }
    return this.commands.run(command, options);
  }

  /** Sends a signal to the process group of each command that `exec` runs now; false if it runs none. */
  kill(signal: Signal = 'SIGTERM'): boolean {
    return this.commands?.kill(signal) ?? false;
  }

  /**
   * Connects to a program that listens on a port of AF_VSOCK (address 3, that of the guest). A connection that is asked
   * for before the guest's driver is there waits for it.
   *
   * @throws MachineError 'refused' if no program listens there.
   */
  connect(port: number): Promise<MachineSocket> {
    if (this.options.sockets === false)
      return Promise.reject(new MachineError('failed', 'the machine was booted with sockets: false'));
    return this.sockets.connect(port);
  }

  /**
   * Calls the handler for each connection that a program in the guest makes to a port of address 2, the owner's. Returns a
   * function that ends that.
   */
  listen(port: number, handler: (socket: MachineSocket) => unknown): () => void {
    return this.sockets.listen(port, handler);
  }

  /** Text for a bug report: engine, counters, log, and the last lines of the console. */
  async diagnostics(): Promise<string> {
    const host =
      this.disposal === undefined
        ? await Promise.race([
            new Promise<string>((resolve) => {
              this.diagnosed.push(resolve);
              this.post({ type: 'diagnose' });
            }),
            // A host worker that has crashed does not answer.
            new Promise<string>((resolve) => setTimeout(() => resolve('the host worker does not answer\n'), 2000)),
          ])
        : 'the machine is disposed\n';
    return `${host}console:\n${this.transcript}`;
  }

  /**
   * Ends the machine and frees everything it had. Resolves when its workers are gone, within 0.2 s also where a program
   * makes no system calls: the engine ends that one's worker in its own time (2 s in Chromium).
   */
  dispose(): Promise<void> {
    this.disposal ??= this.end();
    return this.disposal;
  }

  private async end(): Promise<void> {
    this.abort.abort();
    this.endWith(new MachineError('disposed', 'the machine was disposed'));
    this.resolveHalted('disposed');
    const disposed = new Promise<RemainingLocks>((resolve) => (this.resolveDisposed = resolve));
    this.post({ type: 'dispose' });
    const hostEnded = this.endHost(disposed);
    leave(hostEnded.then(() => disposed).then(({ others }) => locksFree(others)));
    // However busy the computer is: what is left then goes on without anybody who waits, but for a machine that needs it.
    await within(DISPOSE_PATIENCE, hostEnded);
  }

  private async endHost(disposed: Promise<RemainingLocks>): Promise<void> {
    // A host worker that was told nothing has started nothing. One that has not said anything may never be loaded.
    if (this.beforeStart === undefined)
      await within(this.progress.stage === 'loading' ? LOAD_PATIENCE : HOST_PATIENCE, disposed);
    // An exit that was asked for is no failure.
    this.host.onError = () => {};
    await this.host.terminate();
    // One that did not answer will not.
    this.resolveDisposed?.(NONE_REMAIN);
    await locksFree((await disposed).left);
  }

  private post(message: ToHost): void {
    if (
      this.beforeStart !== undefined &&
      (message.type === 'input' || message.type === 'resize' || message.type === 'socket')
    ) {
      this.beforeStart.push(message);
      return;
    }
    const buffer = sentBytes(message)?.buffer;
    if (buffer instanceof ArrayBuffer) this.host.post(message, [buffer]);
    else this.host.post(message);
  }

  /** Returns what the handlers returned. */
  private emit<Type extends keyof MachineEvents>(type: Type, ...values: Parameters<MachineEvents[Type]>): unknown[] {
    const results: unknown[] = [];
    // A copy: a handler that is added by another one is for later events.
    for (const handler of [...(this.handlers.get(type) ?? [])]) {
      try {
        results.push((handler as unknown as (...given: typeof values) => unknown)(...values));
      } catch (error) {
        reportException(error);
      }
    }
    return results;
  }

  /** Tells the host when all that take these bytes have done so. */
  private takenWhen(bytes: number, results: unknown[]): void {
    const taken = () => this.post({ type: 'taken', bytes });
    const pending = results.filter(isPromise);
    if (pending.length === 0) taken();
    else void Promise.all(pending.map((each) => Promise.resolve(each).catch(reportException))).then(taken);
  }

  private consoleOutput(bytes: Uint8Array): void {
    const size = bytes.length;
    this.remember(bytes);
    if (this.kept !== undefined && (this.handlers.get('output')?.size ?? 0) === 0) {
      this.keep(bytes);
      this.takenWhen(size, []);
      return;
    }
    this.deliverKept();
    this.takenWhen(size, this.emit('output', bytes));
  }

  private keep(bytes: Uint8Array): void {
    const kept = (this.kept ??= []);
    kept.push(bytes);
    this.keptSize += bytes.length;
    while (this.keptSize > KEPT_OUTPUT_SIZE) {
      const [first] = kept as [Uint8Array];
      const excess = this.keptSize - KEPT_OUTPUT_SIZE;
      if (first.length <= excess) kept.shift();
      else kept[0] = first.subarray(excess);
      this.keptSize -= Math.min(first.length, excess);
    }
  }

  private deliverKept(): void {
    const kept = this.kept;
    this.kept = undefined;
    for (const bytes of kept ?? []) this.takenWhen(0, this.emit('output', bytes));
  }

  private report(change: Partial<Progress>): void {
    this.progress = { ...this.progress, ...change };
    this.options.onProgress?.(this.progress);
  }

  private async load(): Promise<void> {
    const { assets, exec, kernelArguments, files, guestWorkerUrl } = this.options;
    const loaded = (bytes: number) => this.report({ loaded: this.progress.loaded + bytes });
    const { signal } = this.abort;
    this.report({});
    // All downloads start now; the workers start as soon as the small host is there.
    const kernel = loadModule(assets.kernel, loaded, signal);
    const initramfs = loadBytes(assets.initramfs, loaded, signal);
    kernel.catch(() => {});
    initramfs.catch(() => {});
    const configuration: MachineConfiguration = {};
    for (const name of NUMBER_OPTION_NAMES) {
      const value = this.options[name];
      if (value !== undefined) configuration[name] = value;
    }
    // The kernel hands words that it does not know to the first program, as its environment.
    const words = [this.timeZone, kernelArguments, exec ? 'auklet.exec' : undefined].filter(
      (text) => text !== undefined,
    );
    if (words.length > 0) configuration.kernelArguments = words.join(' ');
    if (this.options.sockets === false) configuration.sockets = false;
    this.post({
      type: 'start',
      options: {
        configuration,
        host: await loadModule(assets.host, loaded, signal),
        ...(files === undefined ? {} : { files: [...files] }),
        ...(guestWorkerUrl === undefined ? {} : { guestWorkerUrl }),
      },
    });
    const waiting = this.beforeStart ?? [];
    this.beforeStart = undefined;
    for (const message of waiting) this.post(message);
    const supply = async (part: 'kernel' | 'initramfs', value: Promise<WebAssembly.Module | Uint8Array>) =>
      this.post({ type: 'supply', [part]: await value });
    await Promise.all([supply('kernel', kernel), supply('initramfs', initramfs)]);
  }

  private handle(message: FromHost): void {
    switch (message.type) {
      case 'stage':
        this.stageReached(message.stage);
        return;
      case 'output':
        this.consoleOutput(message.bytes);
        return;
      case 'consumed':
        this.consoleConsumed(message.bytes);
        return;
      case 'socket':
        this.sockets.handle(message.event);
        return;
      case 'log':
        this.emit('log', message.level, message.message);
        return;
      case 'halted':
        this.endWith(new MachineError('halted', `the machine has ended (${message.reason})`));
        this.resolveHalted(message.reason);
        this.emit('halted', message.reason);
        return;
      case 'error':
        this.fail(new MachineError(message.code, message.message, message.detail));
        return;
      case 'diagnostics':
        this.diagnosed.shift()?.(message.text);
        return;
      case 'no-room':
        void oneGone().then((made) => this.post({ type: 'room', made }));
        return;
      case 'disposed':
        this.resolveDisposed?.(message.remaining);
        return;
    }
  }

  private stageReached(stage: MachineStage): void {
    this.report({ stage });
    this.emit('stage', stage);
    if (stage === 'running') this.resolveStarted();
  }

  private consoleConsumed(bytes: number): void {
    this.inputOnWay = Math.max(0, this.inputOnWay - bytes);
    for (const resolve of this.consumers) resolve();
    this.consumers.clear();
  }

  private remember(bytes: Uint8Array): void {
    this.transcript = (this.transcript + this.decoder.decode(bytes, { stream: true })).slice(-TRANSCRIPT_SIZE);
  }

  private fail(error: MachineError): void {
    if (this.disposal !== undefined) {
      // The host worker died while it was being disposed of: it is as gone as it can be.
      this.resolveDisposed?.(NONE_REMAIN);
      return;
    }
    this.endWith(error);
    this.emit('error', error);
    this.resolveHalted('failed');
  }

  private endWith(error: MachineError): void {
    this.rejectStarted(error);
    this.commands?.ended(error);
    this.sockets.ended(error);
  }
}

function locksFree(names: string[]): Promise<unknown> {
  return Promise.all(names.map(lifeLockFree));
}

const NONE_REMAIN: RemainingLocks = { left: [], others: [] };

/** Milliseconds that dispose() takes at most. */
const DISPOSE_PATIENCE = 180;
/** Milliseconds for a host worker to end its workers, if it was ever heard of. One that has crashed does not answer. */
const HOST_PATIENCE = 10_000;
const LOAD_PATIENCE = 100;

/** Bytes of console output that are kept for the first handler. */
const KEPT_OUTPUT_SIZE = 256 * 1024;

/** Characters of console output that are kept for diagnostics. */
const TRANSCRIPT_SIZE = 32768;
