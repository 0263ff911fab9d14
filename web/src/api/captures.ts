// SPDX-License-Identifier: MIT
// Captures of the frames of a machine's network card.

import type { CaptureEvent, CaptureRequest } from '../machine/protocol.ts';
import { ReceivedBytes } from './received-bytes.ts';
import { MachineError, type NetworkCapture } from './types.ts';

class Capture implements NetworkCapture {
  readonly readable: ReadableStream<Uint8Array>;
  lost = 0;
  readonly id: number;
  /** Frames are still recorded. */
  runs = true;
  private readonly received: ReceivedBytes;
  private readonly request: (request: CaptureRequest) => void;

  constructor(id: number, request: (request: CaptureRequest) => void) {
    this.id = id;
    this.request = request;
    this.received = new ReceivedBytes(
      (count) => request({ type: 'taken', id, count }),
      () => this.stop(),
    );
    this.readable = this.received.readable;
    request({ type: 'start', id });
  }

  stop(): void {
    if (!this.runs) return;
    this.runs = false;
    this.request({ type: 'stop', id: this.id });
  }

  handle(event: CaptureEvent): void {
    this.lost = event.lost;
    if (event.type === 'data') this.received.add(event.bytes);
    else this.end();
  }

  /** Nothing more comes. */
  end(): void {
    this.runs = false;
    this.received.end();
  }
}

/** The captures of one machine. */
export class CaptureClient {
  private readonly request: (request: CaptureRequest) => void;
  /** Those that have not ended, of which the last one may run. */
  private captures: Capture[] = [];
  private nextId = 1;
  private over: MachineError | undefined;

  constructor(request: (request: CaptureRequest) => void) {
    this.request = (message) => {
      if (this.over === undefined) request(message);
    };
  }

  start(): NetworkCapture {
    if (this.over !== undefined) throw this.over;
    if (this.captures.at(-1)?.runs === true)
      throw new MachineError('failed', 'the machine has a capture already; stop it first');
    const capture = new Capture(this.nextId++, this.request);
    this.captures.push(capture);
    return capture;
  }

  handle(event: CaptureEvent): void {
    this.captures.find(({ id }) => id === event.id)?.handle(event);
    if (event.type === 'ended') this.captures = this.captures.filter(({ id }) => id !== event.id);
  }

  /** The machine has ended. Its captures can still be read. */
  ended(error: MachineError): void {
    this.over ??= error;
    for (const capture of this.captures) capture.end();
    this.captures = [];
  }
}
