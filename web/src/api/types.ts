// SPDX-License-Identifier: MIT
// The public types of a machine. A program that embeds Auklet sees these.

import type { NumberOptions } from '../machine/options.ts';
import type { ParentPort } from '../machine/platform.ts';
import type { NetworkOptions } from '../network/options.ts';
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

/** A part to load: its bytes, its compiled module, or where to fetch it. */
export type Asset<Loaded> = Loaded | string | URL | SizedUrl;

/** The address of a part, with the part's size. */
export interface SizedUrl {
  url: string | URL;
  /**
   * Bytes of the part, decompressed. Progress needs this number, because a
   * compressed answer of a server does not tell it.
   */
  size: number;
}

/** The three files that a machine is made of. */
export interface Assets {
  /** The kernel, vmlinux.wasm. */
  kernel: Asset<WebAssembly.Module | Uint8Array>;
  /** The root image: a cpio archive, plain or gzip. */
  initramfs: Asset<Uint8Array>;
  /** The C++ host, auklet-host.wasm. */
  host: Asset<WebAssembly.Module | Uint8Array>;
  /** auklet-tls.wasm, for `intercept` of the network `fetch` only. */
  tls?: Asset<WebAssembly.Module | Uint8Array>;
}

/** How far a machine is with loading and booting. */
export interface Progress {
  stage: 'loading' | MachineStage;
  /** Bytes loaded so far, of all assets together. */
  loaded: number;
  /** Bytes of all assets, or 0 if the size of one is not known. */
  total: number;
}

/**
 * The options of a machine. host/src/options.inc has the bounds and the
 * defaults of those that are numbers.
 */
export interface BootOptions extends NumberOptions {
  /**
   * Words to add to the kernel's command line, which has at most 2,047 bytes.
   */
  kernelArguments?: string;
  /**
   * IANA's name of the time zone, such as Europe/Berlin. All programs get it as
   * the variable TZ. Without it they have no TZ, which means UTC.
   */
  timeZone?: string;
  /** Files, directories and symbolic links to add to the root file system. */
  files?: readonly InitialEntry[];
  /**
   * Whether to start the agent that `Machine.exec` needs, and `Machine.fs`
   * outside of shared folders; default false. It needs `sockets`.
   */
  exec?: boolean;
  /**
   * Whether the console has a login; default true without `exec`, and false
   * with it.
   */
  login?: boolean;
  /**
   * Disks: the guest's /dev/vda, /dev/vdb, ... in this order, and by name in
   * /dev/disk/by-id/virtio-NAME.
   */
  disks?: readonly DiskOptions[];
  /**
   * The address of an image that `./auklet image` has made, or of its
   * root.json: the root file system, whose changes are on the disk `home`, or
   * in memory. In Node.js it may also be the path of a folder.
   */
  root?: string;
  /**
   * Node.js: a folder that keeps what was loaded of `root`. Pages: the browser
   * keeps up to 256 MiB of it for this site, if this is not false.
   */
  rootCache?: string | false;
  /** Folders of the owner's, mounted in the guest. */
  shares?: readonly ShareOptions[];
  /** What the guest's network card leads to. Without it, there is no card. */
  network?: NetworkOptions;
  /** Whether `Machine.connect` and `Machine.listen` work; default true. */
  sockets?: boolean;
  /** Called for each piece that was loaded, and for each stage. */
  onProgress?: (progress: Progress) => void;
  /**
   * Ends the machine when it is aborted, even while the machine is being
   * loaded.
   */
  signal?: AbortSignal;
}

/** One of `saved`, `file` and `memory` says where its bytes are. */
export interface DiskOptions {
  /** 1 to 20 letters, digits, - and _; no two disks have the same. */
  name: string;
  /**
   * Bytes, or text such as '4G' (powers of 1024); a multiple of 512. A smaller
   * file grows, one that does not exist is made, and a larger one is refused.
   * A disk in memory takes as much as was written to it.
   */
  size?: number | string;
  /**
   * Pages: the browser keeps the disk for this site, by its name, until the
   * visitor clears the site's data. It is made at its first use, of 4 GiB if no
   * size is given; a larger one stays as it is. One machine at a time has it.
   */
  saved?: boolean;
  /**
   * A saved disk that another tab has: 'fail' (the default; a MachineError
   * 'disk-in-use'), 'wait' until it is free, or 'copy' it into memory as it is
   * now; what is written to the copy ends with the machine.
   */
  whenInUse?: 'fail' | 'wait' | 'copy';
  /** Node.js: the path of a raw image. */
  file?: string;
  /**
   * A disk in memory, which ends with the machine: true, or its first bytes.
   */
  memory?: true | Uint8Array;
  readOnly?: boolean;
  /** What is written stays in memory, and ends with the machine. */
  overlay?: boolean;
  /**
   * A disk that is made now (also of a file that is empty or all zero) begins
   * with an empty file system, and must have 256 MiB at least ('ext4', the
   * default of saved disks), or is all zero ('raw'). Any other disk is left as
   * it is.
   */
  format?: 'ext4' | 'raw';
}

/**
 * One of `folder`, `directory`, `saved` and `memory` says where its files are.
 */
export interface ShareOptions {
  /** 1 to 35 letters, digits, - and _; no two shares have the same. */
  name: string;
  /** The absolute path in the guest; default /mnt/NAME. It is made. */
  path?: string;
  /** Node.js: the path of a folder. */
  folder?: string;
  /**
   * Pages: a directory of OPFS, or one that the visitor has picked
   * (`showDirectoryPicker()`) and permitted. docs/devices.md says what such
   * files cannot keep.
   */
  directory?: FileSystemDirectoryHandle;
  /**
   * Pages: the browser keeps the files for this site, in the directory
   * `auklet-shares/NAME` of OPFS.
   */
  saved?: boolean;
  /**
   * Files in memory, which end with the machine: true, or how many bytes they
   * may take, also as text such as '4G'; default 1 GiB.
   */
  memory?: true | number | string;
  /** Whether the guest cannot change it. */
  readOnly?: boolean;
}

/**
 * Options of the platform. A page has defaults for all of them. In Node.js the
 * package's entry sets the defaults.
 */
export interface PlatformOptions {
  /** The three parts of the machine. */
  assets: Assets;
  /**
   * Address of the host worker's script. A page that was made by a bundler does
   * not need it.
   */
  hostWorkerUrl?: string;
  /**
   * Runs the host in the caller's thread, and not in a worker; in Node.js this
   * saves 7 MiB. The host serves the guest's devices only while that thread
   * does nothing else.
   */
  hostHere?: (owner: ParentPort<FromHost, ToHost>) => void;
  /** Address of the guest workers' script, as `hostWorkerUrl`. */
  guestWorkerUrl?: string;
  /** Address of the storage worker's script, as `hostWorkerUrl`. */
  storageWorkerUrl?: string;
}

/** The options of `Machine.exec`. */
export interface ExecOptions {
  /**
   * The bytes of standard input; default none, which is /dev/null. A string is
   * sent as UTF-8. A stream is read as fast as the guest takes it.
   */
  stdin?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /**
   * Variables to add to the environment. It has PATH, HOME, USER, SHELL, LANG
   * and TERM, and TZ if the machine has a time zone; a variable here replaces
   * them.
   */
  environment?: Record<string, string>;
  /** The working directory; default /root. */
  directory?: string;
  /**
   * Called for each piece of standard output. Without it, the result has all of
   * the output. It may return a promise, as a handler of the event 'output'
   * may: the program waits in write() while too many bytes are not taken.
   */
  onStdout?: (bytes: Uint8Array) => void | PromiseLike<unknown>;
  /** As `onStdout`, for standard error. */
  onStderr?: (bytes: Uint8Array) => void | PromiseLike<unknown>;
  /**
   * Kills the command, and all programs of its process group. exec() rejects
   * with the signal's reason then.
   */
  signal?: AbortSignal;
}

/** The result of a command. */
export interface ExecResult {
  /**
   * The exit status, or 128 + the number of the signal that ended the command.
   */
  status: number;
  /** Standard output. Empty if `onStdout` was given. */
  stdout: Uint8Array;
  /** Standard error. Empty if `onStderr` was given. */
  stderr: Uint8Array;
}

/** A signal of the guest, by its name or by Linux's number (1 to 64). */
export type Signal =
  'SIGHUP' | 'SIGINT' | 'SIGQUIT' | 'SIGKILL' | 'SIGUSR1' | 'SIGUSR2' | 'SIGTERM' | 'SIGCONT' | 'SIGSTOP' | number;

/**
 * How a machine has ended: by itself, because it could not go on ('failed'; the
 * event 'error' says why), or by dispose().
 */
export type MachineEnd = HaltReason | 'failed' | 'disposed';

/**
 * The events of a machine, and what their handlers get.
 *
 * A handler may throw, or return a promise that rejects. Neither stops the
 * other handlers or the machine. The error is reported as that of an event
 * listener is (reportError), or printed where there is no such function.
 */
export interface MachineEvents {
  /** The machine has reached this stage. */
  stage: (stage: MachineStage) => void;
  /**
   * Console output, early kernel messages included.
   *
   * A handler that needs time returns a promise. While more than 128 KiB are
   * not taken (their promises are pending), programs that write to the console
   * wait, as with a slow line. The kernel's own messages do not wait.
   *
   * The first handler also gets the output that came before it, but only the
   * last 256 KiB. Nothing waits while there is no handler. When all handlers
   * are gone again, the output is lost, except what `Machine.transcript` holds.
   */
  output: (bytes: Uint8Array) => void | PromiseLike<unknown>;
  /**
   * A message of the host. Its first line is for users, the rest for
   * diagnostics.
   */
  log: (level: 'information' | 'warning' | 'error', message: string) => void;
  /** The machine has ended by itself. */
  halted: (reason: HaltReason) => void;
  /** The machine cannot go on. */
  error: (error: MachineError) => void;
}

/** A connection between a program in the guest and the machine's owner. */
export interface MachineSocket {
  /** The port that the connection was made to. */
  readonly port: number;
  /**
   * What the program sends. It ends when the program sends nothing more. The
   * program waits in write() while 256 KiB are not read. Cancelling it resets
   * the connection.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * What the program reads. Closing it is an end-of-file for the program.
   * Aborting it resets the connection. A write waits while 256 KiB are on the
   * way.
   */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Resolves when both directions have ended, or when the connection was cut
   * off. It never rejects.
   */
  readonly closed: Promise<void>;
  /**
   * Cuts both directions off. The program then reads end-of-file, and its
   * writes fail with EPIPE.
   */
  reset(): void;
}

/**
 * A capture of the frames of a machine's network card, as they pass there, in
 * both directions.
 */
export interface NetworkCapture {
  /**
   * A file of libpcap, which tcpdump and Wireshark read: its header, and a
   * record for each frame. It ends after stop(), and when the machine ends.
   * Cancelling it stops the capture.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Frames that are missing in what has come so far, because more than 32 MiB
   * were not read. It is final when `readable` has ended.
   */
  readonly lost: number;
  /** Records no more. What was recorded can still be read. */
  stop(): void;
}

/** The kinds of a MachineError. */
export type MachineErrorCode =
  /**
   * The page is not cross-origin isolated: its server must send the headers
   * COOP and COEP (docs/hosting.md).
   */
  | 'not-isolated'
  /** The engine has no shared memory or no WebAssembly threads. */
  | 'no-shared-memory'
  /** A part of the machine could not be downloaded or read. */
  | 'download'
  /** A disk cannot be opened, or what was wanted of it has failed. */
  | 'disk'
  /**
   * A disk that the browser keeps is in use by another tab. `detail` is
   * 'answers', or 'silent' if that tab does not answer: it gives no copy then.
   * Or a file of Node.js is in use by another program or machine that writes to
   * it (Linux only).
   */
  | 'disk-in-use'
  /**
   * The browser keeps no disks here. `detail` is 'refused' in a private window,
   * or 'unsupported'.
   */
  | 'no-storage'
  /** A shared folder cannot be opened. */
  | 'share'
  /** The network cannot be opened: a port is in use, for example. */
  | 'network'
  /** The engine has not enough memory, addresses or threads for the machine. */
  | 'out-of-memory'
  /**
   * An option or argument does not exist, or its value is not allowed. Nothing
   * was started.
   */
  | 'invalid-option'
  /** dispose() was called, or the signal that boot() got was aborted later. */
  | 'disposed'
  /**
   * No program in the guest listens on the port, or one side has cut the
   * connection off.
   */
  | 'refused'
  /** The machine ended by itself before it had done what was asked. */
  | 'halted'
  /** All else: `message` and `detail` say what has failed. */
  | 'failed';

/** The error of a machine. Its message is for users. */
export class MachineError extends Error {
  readonly code: MachineErrorCode;
  /** For diagnostics, such as a stack trace or an HTTP status. */
  readonly detail: string | undefined;

  constructor(code: MachineErrorCode, message: string, detail?: string) {
    super(message);
    this.code = code;
    this.detail = detail;
    this.name = 'MachineError';
  }
}
