// SPDX-License-Identifier: MIT
// The option --pcap: the frames of the machine's network card in a file.

import { ftruncateSync, openSync } from 'node:fs';
import type { Machine } from '../api/machine.ts';
import type { NetworkCapture } from '../api/types.ts';
import { within } from '../machine/platform.ts';
import { UsageError, type CommandLine } from './options.ts';
import { Output } from './output.ts';

export const PCAP_VALUES = ['pcap'] as const;

/** Bytes of the header of a file of libpcap. */
const HEADER_SIZE = 24;

/**
 * Milliseconds for the end of a capture. A host that still starts does not
 * answer.
 */
const PATIENCE = 1000;

/** What the system says of the codes that users see most. */
const REASONS: Record<string, string> = {
  EACCES: 'you may not write there',
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  EPIPE: 'nobody reads it any more',
};

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}

/**
 * Creates the file. Undefined if none is wanted. `complain` tells the user what
 * goes wrong later.
 */
export function pcapOf(
  line: CommandLine,
  hasNetwork: boolean,
  complain: (message: string) => void,
): PcapFile | undefined {
  const path = line.values.get('pcap');
  if (path === undefined) return undefined;
  if (!hasNetwork) throw new UsageError('--pcap needs a network card: add --network nat, for example');
  try {
    return new PcapFile(path, openSync(path, 'w'), complain);
  } catch (error) {
    throw new UsageError(`--pcap ${path}: ${reasonOf(error)}`);
  }
}

/**
 * The file. The program waits while it writes, and so does the machine, whose
 * host is in this thread. So frames are missing only if very many pass in one
 * turn of the event loop.
 */
export class PcapFile {
  private readonly path: string;
  private readonly descriptor: number;
  private readonly output: Output;
  private readonly complain: (message: string) => void;
  /** Bytes of the file, which are whole records. */
  private size = 0;
  private lost = 0;
  private failed = false;
  private capture: NetworkCapture | undefined;
  private written: Promise<void> = Promise.resolve();

  constructor(path: string, descriptor: number, complain: (message: string) => void) {
    this.path = path;
    this.descriptor = descriptor;
    this.output = new Output(descriptor);
    this.complain = complain;
  }

  /** Writes what passes the card of a machine that was just made. */
  readonly record = (machine: Machine): void => {
    if (this.failed) return;
    this.capture = machine.network.capture();
    this.written = this.write(this.capture);
  };

  /** Ends the capture of the machine, and returns when it is in the file. */
  async finish(): Promise<void> {
    this.capture?.stop();
    await within(PATIENCE, this.written);
  }

  /** Ends the file, and tells of frames that are not in it. */
  async close(): Promise<void> {
    await this.finish();
    if (this.lost > 0) this.complain(`frames that are missing in ${this.path}: ${this.lost}`);
  }

  private async write(capture: NetworkCapture): Promise<void> {
    // The file has one header, also if it has several machines.
    let skipped = this.size === 0 ? 0 : HEADER_SIZE;
    try {
      // Leaving the loop ends the capture.
      for await (const bytes of capture.readable) {
        this.append(bytes.subarray(skipped));
        skipped = 0;
      }
    } catch (error) {
      this.failed = true;
      this.complain(`the capture in ${this.path} has ended: ${reasonOf(error)}`);
    }
    this.lost += capture.lost;
  }

  private append(bytes: Uint8Array): void {
    try {
      if (!this.output.writeAll(bytes)) throw Object.assign(new Error('EPIPE'), { code: 'EPIPE' });
    } catch (error) {
      this.cut();
      throw error;
    }
    this.size += bytes.length;
  }

  /** Takes the part of a record away. */
  private cut(): void {
    try {
      ftruncateSync(this.descriptor, this.size);
    } catch {
      // It is no file, but a pipe.
    }
  }
}
