// SPDX-License-Identifier: MIT
// Every message between the three kinds of execution contexts of a machine: its owner (a page or a command line
// program), its host worker, and its guest workers. No code, only types.

import type { NumberOptions } from './options.ts';

/** What the C++ host reads (settings.ts). Every field has a default there or in options.inc. */
export interface MachineConfiguration extends NumberOptions {
  /** Kernel arguments, added after the host's own ("console=hvc0 TERM=xterm-256color"). */
  kernelArguments?: string;
  /** Streams between programs in the guest and the owner (virtio-vsock); default true. */
  sockets?: boolean;
}

/** A file to add to the initial root file system. Missing directories are made (mode 755). */
export interface InitialFile {
  /** Absolute path in the guest. */
  path: string;
  /** Permission bits; default 0o644. */
  mode?: number;
  /** Text is written as UTF-8. */
  content: Uint8Array | string;
}

/** A directory to add, which may stay empty. One that the root image has too keeps the image's mode. */
export interface InitialDirectory {
  path: string;
  directory: true;
  /** Permission bits; default 0o755. */
  mode?: number;
}

/** A symbolic link to add; nothing needs to be at its target. */
export interface InitialLink {
  path: string;
  link: string;
}

export type InitialEntry = InitialFile | InitialDirectory | InitialLink;

export interface StartOptions {
  configuration: MachineConfiguration;
  /** vmlinux.wasm: bytes, or already compiled. May instead follow in a 'supply' message. */
  kernel?: WebAssembly.Module | Uint8Array;
  /** The initramfs (gzip or plain cpio). May instead follow in a 'supply' message. */
  initramfs?: Uint8Array;
  files?: InitialEntry[];
  /** auklet-host.wasm: bytes, or already compiled. */
  host: WebAssembly.Module | Uint8Array;
  /** Script of the guest workers. Default in a browser: what the bundler made of ../guest/guest-worker.ts. */
  guestWorkerUrl?: string;
}

// ---- sockets ---------------------------------------------------------------------------------------------------

/** Connections that the owner opens have numbers of its own below this one; those of programs have them from here on. */
export const FIRST_ACCEPTED = 2 ** 31;

/** What the owner asks of the socket device. A connection that has gone meanwhile is ignored. */
export type SocketRequest =
  /** Answered with 'opened' or 'closed'. */
  | { type: 'connect'; id: number; port: number }
  | { type: 'listen'; port: number; on: boolean }
  | { type: 'send'; id: number; bytes: Uint8Array }
  /** So many bytes of 'data' are done with. The program waits while too many are not. */
  | { type: 'taken'; id: number; count: number }
  /** The program reads end-of-file after what was sent. */
  | { type: 'finish'; id: number }
  | { type: 'abort'; id: number };

export type SocketEvent =
  | { type: 'opened'; id: number }
  | { type: 'accepted'; id: number; port: number }
  | { type: 'data'; id: number; bytes: Uint8Array }
  /** So many bytes of 'send' are with the guest. */
  | { type: 'sent'; id: number; count: number }
  /** The program sends nothing more. */
  | { type: 'ended'; id: number }
  /** The connection is gone, and its number is free. `reset`: it was cut off, or never accepted. */
  | { type: 'closed'; id: number; reset: boolean };

// ---- owner to host worker -------------------------------------------------------------------------------------

export type ToHost =
  | { type: 'start'; options: StartOptions }
  /** Parts that were still being loaded when 'start' was sent: workers start meanwhile. */
  | { type: 'supply'; kernel?: WebAssembly.Module | Uint8Array; initramfs?: Uint8Array }
  /** For the console. */
  | { type: 'input'; bytes: Uint8Array }
  /** So many bytes of 'output' are done with. The guest waits while too many are not. */
  | { type: 'taken'; bytes: number }
  | { type: 'resize'; columns: number; rows: number }
  | { type: 'socket'; request: SocketRequest }
  /** The answer to 'no-room'. `made`: something may have come back since. */
  | { type: 'room'; made: boolean }
  /** Answered with 'diagnostics'. */
  | { type: 'diagnose' }
  /**
   * End every worker; answered with 'disposed', soon even where a program spins, after which the owner may terminate the
   * host worker.
   */
  | { type: 'dispose' };

// ---- host worker to owner -------------------------------------------------------------------------------------

/**
 * starting: workers are being started. kernel: vmlinux is compiled, memory laid out. booting: CPU 0 runs.
 * running: the first user program (init) was started.
 */
export type MachineStage = 'starting' | 'kernel' | 'booting' | 'running';
/** Those of a MachineError that a host can know. */
export type FailureCode = 'out-of-memory' | 'invalid-option' | 'failed';
export type HaltReason = 'poweroff' | 'restart' | 'panic';

/** How the watchdog's messages begin (Machine::watch of the C++ host): no CPU makes progress, and: they do again. */
export const STOPPED = 'the guest has stopped';
export const RESUMED = 'the guest goes on';

export type FromHost =
  | { type: 'stage'; stage: MachineStage }
  /**
   * Bytes of the console, including early kernel messages. The buffer is transferred. The owner answers with 'taken' when
   * it is ready for more.
   */
  | { type: 'output'; bytes: Uint8Array }
  /** So many bytes of 'input' went to the guest; lets a sender of much data bound what is queued. */
  | { type: 'consumed'; bytes: number }
  | { type: 'socket'; event: SocketEvent }
  | { type: 'log'; level: 'information' | 'warning' | 'error'; message: string }
  /** The machine has ended by itself. Boot a new one to restart. */
  | { type: 'halted'; reason: HaltReason }
  /** The machine cannot start or go on. `message` is for users, `detail` for diagnostics. */
  | { type: 'error'; code: FailureCode; message: string; detail?: string }
  /** There is no memory to start the machine with: answered with 'room'. */
  | { type: 'no-room' }
  | { type: 'diagnostics'; text: string }
  | { type: 'disposed'; remaining: RemainingLocks };

/** Web Locks of workers that have not ended yet. */
export interface RemainingLocks {
  /** Of guest workers that end as soon as the engine lets them. */
  left: string[];
  /** Of those that the engine has to stop, and the host worker's. */
  others: string[];
}

// ---- host worker to guest worker --------------------------------------------------------------------------------

export interface GuestStart {
  type: 'start';
  role: 'cpu' | 'task';
  /** role 'cpu' */
  cpu?: number;
  /** role 'task' */
  slot?: number;
  kernel: WebAssembly.Module;
  /** K */
  memory: WebAssembly.Memory;
  /** The first user memories; the index is the id. */
  memories: WebAssembly.Memory[];
  /** Program modules compiled so far. */
  modules: [number, WebAssembly.Module][];
  /** Maximum size of a user memory in 64 KiB pages. */
  memoryPages: number;
  /**
   * In a browser: the worker requests this Web Lock before it reports 'ready' and never lets go, so that the host
   * learns when it is really gone. Absent in Node (exit event).
   */
  lifeLock?: string;
}

export type ToGuest =
  | GuestStart
  /** To a CPU's own worker, after its 'ready', when limits are set: call boot_cpu(dtb) or secondary_cpu(cpu). */
  | { type: 'boot'; dtb: number }
  /** The machine has ended; who is in wasm learns it there, and all answer 'left'. */
  | { type: 'end' }
  /** One of the first that was made since, or the answer to the worker's 'memory'. */
  | { type: 'memory'; id: number; memory: WebAssembly.Memory }
  | { type: 'module'; id: number; module: WebAssembly.Module }
  /** Says nothing: the event loop takes a turn (losesWakeUps in platform.ts). */
  | { type: 'wake' }
  /** Answer to 'clock', at once: performance.now() and timeOrigin of the host. */
  | { type: 'clock'; now: number; timeOrigin: number };

// ---- guest worker to host worker --------------------------------------------------------------------------------

export type FromGuest =
  /**
   * The kernel is instantiated. CPU 0 adds the values of vmlinux's exported globals auklet_machine and __heap_base
   * and waits for 'boot'. A pooled worker sends it after it stored IDLE.
   */
  | { type: 'ready'; machine?: number; heapBase?: number }
  /** module_compile made a module: for all other workers, and for those started later. */
  | { type: 'module'; id: number; module: WebAssembly.Module }
  /** Where wake-ups get lost: one was sent to the event loop of a slot's worker, or to the host's (-1). */
  | { type: 'wake'; slot: number }
  /** What the host's clock says; answered with 'clock'. */
  | { type: 'clock' }
  /** The worker needs this user memory for its next task; answered with 'memory'. */
  | { type: 'memory'; id: number }
  /** Early console and panic text. */
  | { type: 'console'; bytes: Uint8Array }
  /** The machine has ended, and this worker is in its event loop for good. */
  | { type: 'left' }
  /** As in docs/abi-engine.md: 0 power off, 1 restart, 2 panic. */
  | { type: 'halt'; reason: number }
  | { type: 'error'; message: string; stack?: string };
