// SPDX-License-Identifier: MIT
// boot() and the Machine that it returns: the owner's side of a host worker.

import { runHere, startWorker, within, type WorkerHandle } from '../machine/platform.ts';
import type { FromHost, MachineStage, RemainingLocks, ToHost } from '../machine/protocol.ts';
import { loadBytes, loadModule, totalSize } from './assets.ts';
import { ExecClient } from './exec-client.ts';
import { checkBootOptions, checkExec } from './check-options.ts';
import { configurationOf } from './configuration.ts';
import { MachineFiles } from './files.ts';
import { isPromise, reportException } from './handlers.ts';
import { leave, oneGone } from './leaving.ts';
import { locksFree, openGate } from './life-locks.ts';
import { checkPlatform, withPlatform, type MachineOptions } from './platform-options.ts';
import { filesForRoot, rootSource } from './root.ts';
import { MachineDisk } from './machine-disk.ts';
import { SocketClient } from './sockets.ts';
import { createHostWorker, needsMachine, sentBytes } from './host-messages.ts';
import { MachineNetwork } from './network.ts';
import { mountFiles, SharesClient } from './shares.ts';
import { StorageClient } from './storage.ts';
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

/**
 * Boots a Linux machine. Resolves when its first program has been started.
 * @throws MachineError if that fails. Nothing of the machine is left then.
 * @throws The reason of `options.signal` if it was aborted before the call.
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

export class Machine {
  /**
   * Resolves when the machine's first program runs. Rejects with a MachineError
   * if the machine fails, ends or is disposed of before.
   */
  readonly started: Promise<void>;
  /** Resolves when the machine has ended in any way. It never rejects. */
  readonly halted: Promise<MachineEnd>;
  /** Files of the guest, by their paths there. */
  readonly fs: MachineFiles;
  /** Connections of TCP by the guest's network card. */
  readonly network: MachineNetwork;
  /** The last 32,768 characters of console output, for diagnostics. */
  transcript = '';

  private readonly handlers = new Map<keyof MachineEvents, Set<(...values: never[]) => void>>();
  private readonly host: WorkerHandle<ToHost, FromHost>;
  private readonly commands: ExecClient | undefined;
  private readonly sockets = new SocketClient((request) => this.post({ type: 'socket', request }));
  private readonly storage: StorageClient | undefined;
  private readonly shares: SharesClient | undefined;
  private readonly consumers = new Set<() => void>();
  private readonly diagnosed: ((text: string) => void)[] = [];
  private readonly decoder = new TextDecoder();
  private readonly abort = new AbortController();
  private resolveStarted!: () => void;
  private rejectStarted!: (error: MachineError) => void;
  private resolveHalted!: (reason: MachineEnd) => void;
  /** Console output before the first handler. Undefined once it has come. */
  private kept: Uint8Array[] | undefined = [];
  private keptSize = 0;
  private disposal: Promise<void> | undefined;
  private resolveDisposed: ((remaining: RemainingLocks) => void) | undefined;
  private inputOnWay = 0;
  private hasEnded = false;
  /** Messages that wait until the host worker has a machine. Undefined then. */
  private beforeStart: ToHost[] | undefined = [];
  private progress: Progress;
  private readonly options: BootOptions & PlatformOptions;

  /**
   * Starts a machine, and does not wait for it: `started` tells when it runs.
   * boot() does both. A machine that fails must be disposed of, too.
   * @throws MachineError 'invalid-option', or as checkPlatform() does.
   * @throws The reason of `given.signal` if it was aborted before the call.
   */
  constructor(given: MachineOptions = {}) {
    checkBootOptions(given);
    const options = withPlatform(given);
    this.options = options;
    this.network = new MachineNetwork(options.network, (message) => this.post(message));
    this.progress = { stage: 'loading', loaded: 0, total: totalSize(options.assets) };
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    // Whoever does not wait for it learns of failures by the event 'error'.
    this.started.catch(() => {});
    this.halted = new Promise((resolve) => (this.resolveHalted = resolve));
    checkPlatform();
    const { timeZone } = options;
    options.signal?.throwIfAborted();
    options.signal?.addEventListener('abort', () => void this.dispose(), { once: true });
    const { disks = [], shares = [], root, rootCache } = options;
    const rootDisk = root === undefined ? undefined : rootSource(root, rootCache);
    if (shares.length > 0)
      this.shares = new SharesClient(shares, options.storageWorkerUrl, (error) => {
        if (this.disposal === undefined) this.fail(error);
      });
    if (options.exec) this.commands = new ExecClient(this.sockets, timeZone === undefined ? {} : { TZ: timeZone });
    this.fs = new MachineFiles(this.shares, shares, this.commands?.files);
    if (disks.length > 0 || rootDisk !== undefined)
      this.storage = new StorageClient(disks, rootDisk, options.storageWorkerUrl, {
        trouble: (message) => this.emit('log', 'error', message),
        waiting: (message) => this.emit('log', 'warning', message),
        failed: (error) => {
          // A machine that is being disposed of ends as always.
          if (this.disposal === undefined) this.fail(error);
        },
      });
    this.host =
      options.hostHere === undefined
        ? startWorker<ToHost, FromHost>('auklet-host', options.hostWorkerUrl, createHostWorker)
        : runHere<ToHost, FromHost>(options.hostHere);
    this.host.onMessage = (message) => this.handle(message);
    this.host.onError = (message, detail) =>
      this.fail(new MachineError('failed', `the host worker has failed: ${message}`, detail));
    this.load().catch((error: unknown) => {
      if (this.disposal !== undefined) return;
      this.fail(
        error instanceof MachineError ? error : new MachineError('failed', String(error), (error as Error)?.stack),
      );
    });
  }

  /** Calls the handler for each such event. Returns a function to end that. */
  on<Type extends keyof MachineEvents>(type: Type, handler: MachineEvents[Type]): () => void {
    const handlers = this.handlers.get(type) ?? new Set();
    this.handlers.set(type, handlers);
    handlers.add(handler);
    if (type === 'output' && this.kept !== undefined) queueMicrotask(() => this.deliverKept());
    return () => void handlers.delete(handler);
  }

  /** Sends input to the console, as a keyboard does; a string as UTF-8. */
  write(input: string | Uint8Array): void {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : new Uint8Array(input);
    this.inputOnWay += bytes.length;
    this.post({ type: 'input', bytes });
  }

  /**
   * Resolves when the guest's driver has taken all console input, or the
   * machine has ended.
   */
  async drained(): Promise<void> {
    while (this.inputOnWay > 0 && !this.hasEnded) await new Promise<void>((resolve) => this.consumers.add(resolve));
  }

  /** Sets the size of the console's screen, in characters. */
  resize(columns: number, rows: number): void {
    this.post({ type: 'resize', columns, rows });
  }

  /**
   * Runs a command. The machine must have been booted with `exec: true`. Other
   * commands may run at the same time.
   * @throws MachineError 'invalid-option' if the command or an option is wrong;
   *   'failed' if the machine was booted without `exec`, or if `stdin` cannot
   *   be read; the machine's error if the machine ends before the command does.
   */
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

  /**
   * Sends a signal to the process group of each command that exec() runs now.
   * Returns false if it runs none.
   * @throws MachineError 'invalid-option' if there is no such signal.
   */
  kill(signal: Signal = 'SIGTERM'): boolean {
    return this.commands?.kill(signal) ?? false;
  }

  /**
   * Connects to a program in the guest (address 3) that listens on a port of
   * AF_VSOCK. The connection waits until the guest's driver is there.
   * @throws MachineError 'refused' if no program listens there;
   *   'invalid-option' if the port is none; 'failed' if the machine was booted
   *   with `sockets: false`; the machine's error if the machine has ended.
   */
  connect(port: number): Promise<MachineSocket> {
    if (this.options.sockets === false)
      return Promise.reject(new MachineError('failed', 'the machine was booted with sockets: false'));
    return this.sockets.connect(port);
  }

  /**
   * Calls the handler for each connection that a program in the guest makes to
   * this port of the owner (address 2). Returns a function to end that.
   * @throws MachineError 'invalid-option' if the port is none or has a handler.
   */
  listen(port: number, handler: (socket: MachineSocket) => unknown): () => void {
    return this.sockets.listen(port, handler);
  }

  /**
   * What can be done with a disk besides its use by the guest.
   * @throws MachineError 'invalid-option' if the machine has no such disk.
   */
  disk(name: string): MachineDisk {
    const options = this.options.disks?.find((disk) => disk.name === name);
    if (options === undefined || this.storage === undefined)
      throw new MachineError('invalid-option', `the machine has no disk ${name}`);
    return new MachineDisk(name, this.storage, this.commands === undefined ? undefined : this.exec.bind(this));
  }

  /** A text for a bug report: engine, counters, log, end of the console. */
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
   * Ends the machine, and frees all that it had. Resolves when its workers are
   * gone, and after 0.2 s at the latest. An engine may need longer for the
   * worker of a program that makes no system calls (Chromium: 2 s).
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
    // The storage workers know K, too.
    const ended = Promise.all([hostEnded, this.storage?.close(hostEnded), this.shares?.close(hostEnded)]);
    leave(ended.then(() => disposed).then(({ others }) => locksFree(others)));
    // A busy computer or a slow disk may take longer. Only a machine that needs
    // the memory, or a disk in a file, waits for the rest.
    await within(DISPOSE_PATIENCE, ended);
  }

  private async endHost(disposed: Promise<RemainingLocks>): Promise<void> {
    // A host worker that was told nothing has started nothing. One that has not
    // reported a stage may never have been loaded, so the wait is short.
    if (this.beforeStart === undefined)
      await within(this.progress.stage === 'loading' ? LOAD_PATIENCE : HOST_PATIENCE, disposed);
    // The exit that terminate() causes is no failure.
    this.host.onError = () => {};
    await this.host.terminate();
    // A host worker that has not answered until now never will.
    this.resolveDisposed?.(NONE_REMAIN);
    const { left, gate } = await disposed;
    if (gate !== undefined) await openGate(gate);
    await locksFree(left);
  }

  private post(message: ToHost): void {
    if (this.beforeStart !== undefined && needsMachine(message)) {
      this.beforeStart.push(message);
      return;
    }
    const buffer = sentBytes(message)?.buffer;
    if (buffer instanceof ArrayBuffer) this.host.post(message, [buffer]);
    else this.host.post(message);
  }

  /** Calls all handlers of an event. Returns what they returned. */
  private emit<Type extends keyof MachineEvents>(type: Type, ...values: Parameters<MachineEvents[Type]>): unknown[] {
    const results: unknown[] = [];
    // This is a copy: a handler that another one adds is for later events.
    for (const handler of [...(this.handlers.get(type) ?? [])]) {
      try {
        results.push((handler as unknown as (...given: typeof values) => unknown)(...values));
      } catch (error) {
        reportException(error);
      }
    }
    return results;
  }

  /** Tells the host that bytes are taken, once the results are settled. */
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
    const { assets, files = [], shares = [], guestWorkerUrl, root } = this.options;
    const loaded = (bytes: number) => this.report({ loaded: this.progress.loaded + bytes });
    const { signal } = this.abort;
    this.report({});
    // All downloads start now. The host is small, so workers start before the
    // rest.
    const kernel = loadModule(assets.kernel, loaded, signal);
    const initramfs = loadBytes(assets.initramfs, loaded, signal);
    kernel.catch(() => {});
    initramfs.catch(() => {});
    const network = await this.network.start(assets, signal);
    const initial = [...mountFiles(shares), ...network.files, ...files];
    this.post({
      type: 'start',
      options: {
        configuration: configurationOf(this.options),
        host: await loadModule(assets.host, loaded, signal),
        files: root === undefined ? initial : filesForRoot(initial),
        ...network.options,
        ...(guestWorkerUrl === undefined ? {} : { guestWorkerUrl }),
        ...(this.storage === undefined ? {} : { hasDisks: true }),
        ...(this.shares === undefined ? {} : { hasShares: true }),
      },
    });
    const waiting = this.beforeStart ?? [];
    this.beforeStart = undefined;
    for (const message of waiting) this.post(message);
    const supply = async (part: 'kernel' | 'initramfs', value: Promise<WebAssembly.Module | Uint8Array>) =>
      this.post({ type: 'supply', [part]: await value });
    const supplyDisks = async () => {
      if (this.storage !== undefined) this.post({ type: 'supply', disks: await this.storage.opened });
    };
    const supplyShares = async () => {
      if (this.shares !== undefined) this.post({ type: 'supply', shares: await this.shares.opened });
    };
    await Promise.all([supply('kernel', kernel), supply('initramfs', initramfs), supplyDisks(), supplyShares()]);
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
      case 'network':
      case 'network-capture':
        this.network.handle(message);
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
      case 'channel':
        (message.worker === 'disks' ? this.storage : this.shares)?.connect(message.port);
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
      // It failed while it was being disposed of, so nothing more will come.
      this.resolveDisposed?.(NONE_REMAIN);
      return;
    }
    this.endWith(error);
    this.emit('error', error);
    this.resolveHalted('failed');
  }

  private endWith(error: MachineError): void {
    this.hasEnded = true;
    this.consoleConsumed(0);
    this.rejectStarted(error);
    this.commands?.ended(error);
    this.sockets.ended(error);
    this.network.ended(error);
  }
}

const NONE_REMAIN: RemainingLocks = { left: [], others: [] };

/** Milliseconds after which dispose() resolves at the latest. */
const DISPOSE_PATIENCE = 180;
/** Milliseconds for a host worker to end its workers, if it has not crashed. */
const HOST_PATIENCE = 10_000;
/** Milliseconds for a host worker that has not reported any stage. */
const LOAD_PATIENCE = 100;

/** Bytes of console output that are kept for the first handler. */
const KEPT_OUTPUT_SIZE = 256 * 1024;

/** Characters of console output that are kept for diagnostics. */
const TRANSCRIPT_SIZE = 32768;
