// SPDX-License-Identifier: MIT
// All messages between the three kinds of threads of a machine: its owner (a
// page or a command line program), its host worker, and its guest workers. Only
// types, and the few constants that both sides of a message need.

import type { LinkChange } from '../network/link.ts';
import type { NetworkState } from '../network/open-network.ts';
import type { NetworkOptions } from '../network/options.ts';
import type { DisksOfHost } from '../storage/protocol.ts';
import type { SharesOfHost } from '../storage/share-protocol.ts';
import type { NetworkStart } from './network.ts';
import type { NumberOptions } from './options.ts';

/**
 * The configuration that the C++ host reads (settings.ts). Each field has a
 * default there or in options.inc.
 */
export interface MachineConfiguration extends NumberOptions {
  /**
   * Words for the kernel's command line. They follow the host's own,
   * "console=hvc0 TERM=xterm-256color". A console= among them replaces the
   * host's words, and a TERM= replaces the host's TERM=.
   */
  kernelArguments?: string;
  /**
   * Whether there are streams between programs in the guest and the owner
   * (virtio-vsock); default true.
   */
  sockets?: boolean;
}

/**
 * A file to add to the initial root file system. Directories that are missing
 * are made, with mode 755.
 */
export interface InitialFile {
  /** The absolute path in the guest. */
  path: string;
  /** Permission bits; default 0o644. */
  mode?: number;
  /** The bytes of the file. A string is written as UTF-8. */
  content: Uint8Array | string;
}

/**
 * A directory to add, which may stay empty. A directory that the root image has
 * too keeps the image's mode.
 */
export interface InitialDirectory {
  path: string;
  directory: true;
  /** Permission bits; default 0o755. */
  mode?: number;
}

/** A symbolic link to add. Nothing needs to be at its target. */
export interface InitialLink {
  path: string;
  link: string;
}

export type InitialEntry = InitialFile | InitialDirectory | InitialLink;

/** What a host worker needs to start a machine. */
export interface StartOptions {
  configuration: MachineConfiguration;
  /**
   * vmlinux.wasm: its bytes, or the compiled module. May instead follow in a
   * 'supply' message.
   */
  kernel?: WebAssembly.Module | Uint8Array;
  /**
   * The initramfs: a cpio archive, plain or gzip. May instead follow in a
   * 'supply' message.
   */
  initramfs?: Uint8Array;
  files?: InitialEntry[];
  /** auklet-host.wasm: its bytes, or the compiled module. */
  host: WebAssembly.Module | Uint8Array;
  /**
   * Address of the guest workers' script. In a browser the default is what the
   * bundler has made of ../guest/guest-worker.ts.
   */
  guestWorkerUrl?: string;
  /**
   * Disks follow in a 'supply' message. The machine boots when they are there.
   */
  hasDisks?: boolean;
  /** Shares, as disks. */
  hasShares?: boolean;
  /** Without it, the machine has no network card. */
  network?: NetworkStart;
}

// ---- sockets ----------------------------------------------------------------

/**
 * Connections that the owner opens have numbers below this one, which the owner
 * chooses. Connections that programs open have numbers from here on.
 */
export const FIRST_ACCEPTED = 2 ** 31;

/**
 * Requests of the owner to the socket device. The device ignores requests for a
 * connection that has gone meanwhile.
 */
export type SocketRequest =
  /** The answer is 'opened' or 'closed'. */
  | { type: 'connect'; id: number; port: number }
  | { type: 'listen'; port: number; on: boolean }
  | { type: 'send'; id: number; bytes: Uint8Array }
  /**
   * The owner has taken so many bytes of 'data'. The program waits while too
   * many are not taken.
   */
  | { type: 'taken'; id: number; count: number }
  /** The program reads end-of-file after what was sent. */
  | { type: 'finish'; id: number }
  | { type: 'abort'; id: number };

/** What the socket device tells the owner. */
export type SocketEvent =
  | { type: 'opened'; id: number }
  | { type: 'accepted'; id: number; port: number }
  | { type: 'data'; id: number; bytes: Uint8Array }
  /** The guest has so many more bytes of 'send'. */
  | { type: 'sent'; id: number; count: number }
  /** The program sends nothing more. */
  | { type: 'ended'; id: number }
  /**
   * The connection is gone, and its number is free. `reset` means that it was
   * cut off, or never accepted.
   */
  | { type: 'closed'; id: number; reset: boolean };

/** The same for connections of TCP, and what else there is of the network. */
export type NetworkRequest =
  | SocketRequest
  /** The card leads there from now on. */
  | { type: 'exchange'; options: NetworkOptions }
  /** Another machine has come to the link, or has left it. */
  | { type: 'link'; change: LinkChange };

export type NetworkEvent =
  | SocketEvent
  | { type: 'state'; state: NetworkState; text: string }
  /** Programs in the guest listen at these ports of TCP now. */
  | { type: 'ports'; ports: number[] };

// ---- captures ---------------------------------------------------------------

/**
 * Requests about a capture of the network card's frames. There is one at a
 * time; requests for others are ignored.
 */
export type CaptureRequest =
  | { type: 'start'; id: number }
  /**
   * The owner has taken so many bytes of 'data'. While too many are not taken,
   * frames are left out.
   */
  | { type: 'taken'; id: number; count: number }
  /** The answer is 'ended'. */
  | { type: 'stop'; id: number };

/** `lost` counts the frames that were left out until now. */
export type CaptureEvent =
  /** The next bytes of the file. The buffer is transferred. */
  { type: 'data'; id: number; bytes: Uint8Array; lost: number } | { type: 'ended'; id: number; lost: number };

// ---- owner to host worker ---------------------------------------------------

/** For the network. It ignores them in a machine that has none. */
/** Requests of the machine's network, and of a capture. */
export type NetworkRequests =
  { type: 'network'; request: NetworkRequest } | { type: 'network-capture'; request: CaptureRequest };

export type ToHost =
  | { type: 'start'; options: StartOptions }
  /**
   * Parts that were still being loaded when 'start' was sent, and disks and
   * shares that were still being opened. Workers start meanwhile.
   */
  | {
      type: 'supply';
      kernel?: WebAssembly.Module | Uint8Array;
      initramfs?: Uint8Array;
      disks?: DisksOfHost;
      shares?: SharesOfHost;
    }
  /** Input for the console. */
  | { type: 'input'; bytes: Uint8Array }
  /**
   * The owner has taken so many bytes of 'output'. The guest waits while too
   * many are not taken.
   */
  | { type: 'taken'; bytes: number }
  | { type: 'resize'; columns: number; rows: number }
  | { type: 'socket'; request: SocketRequest }
  | NetworkRequests
  /**
   * The answer to 'no-room'. `made` means that memory may have come back since.
   */
  | { type: 'room'; made: boolean }
  /** The answer is 'diagnostics'. */
  | { type: 'diagnose' }
  /**
   * Ends every worker. The answer is 'disposed', and comes soon even if a
   * program spins. The owner may terminate the host worker after it.
   */
  | { type: 'dispose' };

// ---- host worker to owner ---------------------------------------------------

export type NetworkEvents = { type: 'network'; event: NetworkEvent } | { type: 'network-capture'; event: CaptureEvent };

/**
 * How far a machine is.
 *
 * starting: workers are being started. kernel: vmlinux is compiled, and the
 * memory is laid out. booting: CPU 0 runs. running: the first program (init)
 * was started.
 */
export type MachineStage = 'starting' | 'kernel' | 'booting' | 'running';
/** The codes of a MachineError that a host can give. */
export type FailureCode = 'out-of-memory' | 'invalid-option' | 'network' | 'failed';
export type HaltReason = 'poweroff' | 'restart' | 'panic';

/**
 * The watchdog's messages begin with these words (Machine::watch of the C++
 * host). STOPPED: a CPU makes no progress. RESUMED: all CPUs do again.
 */
export const STOPPED = 'the guest has stopped';
export const RESUMED = 'the guest goes on';

export type FromHost =
  | { type: 'stage'; stage: MachineStage }
  /**
   * Bytes of the console, early kernel messages included. The buffer is
   * transferred. The owner answers with 'taken' when it is ready for more.
   */
  | { type: 'output'; bytes: Uint8Array }
  /**
   * The guest has taken so many bytes of 'input'. A sender of much data can so
   * limit what is queued.
   */
  | { type: 'consumed'; bytes: number }
  | { type: 'socket'; event: SocketEvent }
  | NetworkEvents
  | { type: 'log'; level: 'information' | 'warning' | 'error'; message: string }
  /** The machine has ended by itself. To restart it, boot a new one. */
  | { type: 'halted'; reason: HaltReason }
  /**
   * The machine cannot start, or cannot go on. `message` is for users, `detail`
   * for diagnostics.
   */
  | { type: 'error'; code: FailureCode; message: string; detail?: string }
  /** There is no memory to start the machine with. The answer is 'room'. */
  | { type: 'no-room' }
  | { type: 'diagnostics'; text: string }
  /** The host's way to the worker of disks or of shares. */
  | { type: 'channel'; worker: 'disks' | 'shares'; port: MessagePort }
  | { type: 'disposed'; remaining: RemainingLocks };

/** The Web Locks of workers that have not ended yet. */
export interface RemainingLocks {
  /** Locks of guest workers that end as soon as the engine lets them. */
  left: string[];
  /**
   * Locks of guest workers that the engine has to stop, and the host worker's.
   */
  others: string[];
  /** Where ends get lost: what holds the guest workers back. */
  gate?: Gate;
}

/**
 * Holds the guest workers of a machine back until their host worker is gone
 * (losesEnds in platform.ts).
 */
export interface Gate {
  /** One word: 0 while the gate is shut. */
  word: SharedArrayBuffer;
  /** The host worker's Web Lock. When it is free, the owner opens the gate. */
  lifeLock: string;
}

// ---- host worker to guest worker --------------------------------------------

export interface GuestStart {
  type: 'start';
  role: 'cpu' | 'task';
  /** The number of the CPU, if the role is 'cpu'. */
  cpu?: number;
  /** The number of the worker's slot, if the role is 'task'. */
  slot?: number;
  kernel: WebAssembly.Module;
  /** K, the kernel's memory. */
  memory: WebAssembly.Memory;
  /** The first user memories. The index is the id. */
  memories: WebAssembly.Memory[];
  /** The program modules that were compiled so far, with their ids. */
  modules: [number, WebAssembly.Module][];
  /** The largest size of a user memory, in pages of 64 KiB. */
  memoryPages: number;
  /**
   * Only in a browser: the worker takes this Web Lock before it reports
   * 'ready', and never releases it. So the host learns when the worker is
   * really gone. In Node.js the exit event tells that.
   */
  lifeLock?: string;
}

export type ToGuest =
  | GuestStart
  /**
   * For a CPU's own worker, after its 'ready', when the limits are set: the
   * worker calls boot_cpu(dtb) or secondary_cpu(cpu).
   */
  | { type: 'boot'; dtb: number }
  /**
   * The machine has ended. Workers in wasm learn it there. Each worker that
   * leaves answers 'left'.
   */
  | { type: 'end' }
  /**
   * The host ends now. The worker answers 'held', and blocks until the gate
   * opens.
   */
  | { type: 'hold'; gate: Gate }
  /**
   * One of the first memories, which was made since the start; or the answer to
   * the worker's 'memory'.
   */
  | { type: 'memory'; id: number; memory: WebAssembly.Memory }
  | { type: 'module'; id: number; module: WebAssembly.Module }
  /**
   * Without content: it makes the event loop take a turn (losesWakeUps in
   * platform.ts).
   */
  | { type: 'wake' }
  /**
   * The answer to 'clock', which comes at once: the host's performance.now()
   * and timeOrigin.
   */
  | { type: 'clock'; now: number; timeOrigin: number };

// ---- guest worker to host worker --------------------------------------------

export type FromGuest =
  /**
   * The worker has its instance of the kernel. A CPU's own worker adds the
   * values of vmlinux's exported globals auklet_machine and __heap_base, and
   * waits for 'boot'; the host needs those of CPU 0. A worker of the pool has
   * stored IDLE before.
   */
  | { type: 'ready'; machine?: number; heapBase?: number }
  /**
   * module_compile has made a module. All other workers of the pool get it, and
   * so do those that are started later.
   */
  | { type: 'module'; id: number; module: WebAssembly.Module }
  /**
   * Where wake-ups get lost: one was sent to the event loop of this slot's
   * worker. -1 means the host's event loop.
   */
  | { type: 'wake'; slot: number }
  /** A port of TCP is open now, or no longer (engine_port()). */
  | { type: 'port'; port: number; isOpen: boolean }
  /** Asks for the host's clock. The answer is 'clock'. */
  | { type: 'clock' }
  /**
   * The worker needs this user memory for its next task. The answer is
   * 'memory'.
   */
  | { type: 'memory'; id: number }
  /** Early console output, and the text of a panic. */
  | { type: 'console'; bytes: Uint8Array }
  /** The machine has ended, and this worker is in its event loop for good. */
  | { type: 'left' }
  /** The answer to 'hold': this worker blocks now. */
  | { type: 'held' }
  /**
   * The machine has ended. The reasons are those of docs/abi-engine.md: 0 power
   * off, 1 restart, 2 panic.
   */
  | { type: 'halt'; reason: number }
  | { type: 'error'; message: string; stack?: string };
