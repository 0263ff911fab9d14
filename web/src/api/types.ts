// SPDX-License-Identifier: MIT
// The public types of a machine: what a program that embeds Auklet sees.

import type { NumberOptions } from '../machine/options.ts';
import type { ParentPort } from '../machine/platform.ts';
import type {
  FromHost,
  HaltReason,
  InitialDirectory,
  InitialEntry,
  InitialFile,
  InitialLink,
  MachineStage,
  ToHost,
} from '../machine/protocol.ts';

export type { HaltReason, InitialDirectory, InitialEntry, InitialFile, InitialLink, MachineStage };

/** A part to load: bytes, a compiled module, or where to fetch it. */
export type Asset<Loaded> = Loaded | string | URL | SizedUrl;

export interface SizedUrl {
  url: string | URL;
  /** Bytes after decompression, for progress: a compressed answer does not tell. */
  size: number;
}

/** The three files that a machine is made of. */
export interface Assets {
  /** vmlinux.wasm */
  kernel: Asset<WebAssembly.Module | Uint8Array>;
  /** The root image: cpio, plain or gzip. */
  initramfs: Asset<Uint8Array>;
  /** auklet-host.wasm */
  host: Asset<WebAssembly.Module | Uint8Array>;
}

export interface Progress {
  stage: 'loading' | MachineStage;
  /** Bytes of all assets so far. */
  loaded: number;
  /** Bytes of all assets, 0 if not known. */
  total: number;
}

/** Numbers have their bounds and defaults in host/src/options.inc. */
export interface BootOptions extends NumberOptions {
  /** Added to the kernel's command line, which has 2047 bytes at most. */
  kernelArguments?: string;
  /** IANA's name of the time zone, such as Europe/Berlin: TZ for all programs. Default none, which is UTC. */
  timeZone?: string;
  /** Files, directories and symbolic links to add to the root file system. */
  files?: readonly InitialEntry[];
  /** Start the agent that `Machine.exec` needs, instead of a login on the console. */
  exec?: boolean;
  /** Whether `Machine.connect` and `Machine.listen` work; default true. */
  sockets?: boolean;
  onProgress?: (progress: Progress) => void;
  /** Aborting it ends the machine, also while it is still being loaded. */
  signal?: AbortSignal;
}

/** What the platform adds to BootOptions: a page has defaults for all, Node.js passes them. */
export interface PlatformOptions {
  assets: Assets;
  /** Script of the host worker; in a page made by a bundler it is known. */
  hostWorkerUrl?: string;
  /**
   * Runs the host in the caller's thread instead of a worker; Node.js then takes 9 MiB less. It serves the guest's devices
   * only while that thread does nothing else.
   */
  hostHere?: (owner: ParentPort<FromHost, ToHost>) => void;
  guestWorkerUrl?: string;
}

export interface ExecOptions {
  /**
   * Bytes for standard input; default none, which is /dev/null. A stream is read as fast as the guest takes it.
   */
  stdin?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Added to PATH, HOME, USER, SHELL, LANG, TERM, and TZ if the machine has a time zone. */
  environment?: Record<string, string>;
  /** Default /root. */
  directory?: string;
  /**
   * Called for each piece of output. Without it the output is collected for the result. As a handler of the machine's
   * 'output' it may return a promise, and the program waits in write() while too much is not taken.
   */
  onStdout?: (bytes: Uint8Array) => void | PromiseLike<unknown>;
  onStderr?: (bytes: Uint8Array) => void | PromiseLike<unknown>;
}

export interface ExecResult {
  /** The exit status, or 128 + signal. */
  status: number;
  /** Empty if onStdout was given. */
  stdout: Uint8Array;
  /** Empty if onStderr was given. */
  stderr: Uint8Array;
}

/** A signal of the guest, by name or by Linux's number (1 to 64). */
export type Signal =
  'SIGHUP' | 'SIGINT' | 'SIGQUIT' | 'SIGKILL' | 'SIGUSR1' | 'SIGUSR2' | 'SIGTERM' | 'SIGCONT' | 'SIGSTOP' | number;

/** How a machine can end: by itself, because it cannot go on (the 'error' event says why), or by dispose(). */
export type MachineEnd = HaltReason | 'failed' | 'disposed';

/**
 * A handler that throws, or whose promise is rejected, stops neither the other handlers nor the machine: the error is reported
 * as that of an event listener is (reportError), or printed where there is no such thing.
 */
export interface MachineEvents {
  stage: (stage: MachineStage) => void;
  /**
   * Console output, including early kernel messages. A handler that needs time for it returns a promise: while more than
   * 128 KiB are not taken (their promises are pending), programs that write to the console wait, as with a slow line. The
   * kernel's own messages do not.
   *
   * What comes before there is a handler is kept for the first one, the last 256 KiB of it. Nothing waits then, nor when
   * all handlers are gone; what they would have got is lost, but for the end of `Machine.transcript`.
   */
  output: (bytes: Uint8Array) => void | PromiseLike<unknown>;
  log: (level: 'information' | 'warning' | 'error', message: string) => void;
  /** The machine has ended by itself. */
  halted: (reason: HaltReason) => void;
  /** The machine cannot go on. */
  error: (error: MachineError) => void;
}

/** A connection between a program in the guest and the machine's owner. */
export interface MachineSocket {
  /** The port that was connected to. */
  readonly port: number;
  /** What the program sends, to its end. A program waits in write() while 256 KiB are not read. Cancelling resets. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What the program reads. Closing it is the program's end-of-file; aborting it resets the connection. */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when both directions have ended, or the connection was cut off; it is never rejected. */
  readonly closed: Promise<void>;
  /** Cuts both directions off: the program reads end-of-file, and its writes fail with EPIPE. */
  reset(): void;
}

export type MachineErrorCode =
  /** The page is not cross-origin isolated: the server must send COOP and COEP headers. */
  | 'not-isolated'
  /** The browser has no shared memory, or no WebAssembly threads. */
  | 'no-shared-memory'
  | 'download'
  | 'out-of-memory'
  /** An option or argument that does not exist, or whose value cannot be. Nothing was started. */
  | 'invalid-option'
  /** dispose() was called, or the signal given to boot was aborted. */
  | 'disposed'
  /** No program in the guest listens on the port, or one of them has cut the connection off. */
  | 'refused'
  /** The machine ended before what was asked for was done. */
  | 'halted'
  | 'failed';

export class MachineError extends Error {
  readonly code: MachineErrorCode;
  /** For diagnostics: a stack trace, an HTTP status. */
  readonly detail: string | undefined;

  constructor(code: MachineErrorCode, message: string, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
    this.name = 'MachineError';
  }
}
