// SPDX-License-Identifier: MIT
// The host's side of a capture: collects what the C++ host writes, and gives it
// to the owner, who has to take it. A frame for which there is no room is left
// out: a capture does not slow the network down.

import type { CaptureEvent, CaptureRequest } from './protocol.ts';

/**
 * Bytes on the way to the owner. A card sends up to 512 frames of 64 KiB in one
 * turn of the event loop.
 */
export const CAPTURE_ROOM = 32 * 1024 * 1024;

/** Bytes of one message. A frame has fewer. */
const PIECE = 256 * 1024;

/** The C++ host's. Once started, it calls captured(). */
export interface Recorder {
  start(): void;
  stop(): void;
}

export class HostCapture {
  private readonly recorder: Recorder;
  private readonly post: (event: CaptureEvent) => void;
  /** The number of the capture that runs. */
  private id: number | undefined;
  /** Bytes that the owner has not taken, collected ones included. */
  private untaken = 0;
  /** Frames that are left out. */
  private lost = 0;
  /** Collects a message, from the first capture on. */
  private piece: Uint8Array | undefined;
  private collected = 0;

  constructor(recorder: Recorder, post: (event: CaptureEvent) => void) {
    this.recorder = recorder;
    this.post = post;
  }

  request(request: CaptureRequest): void {
    const { type, id } = request;
    if (type === 'start') {
      if (this.id !== undefined) this.stop(this.id);
      this.id = id;
      this.untaken = 0;
      this.lost = 0;
      this.recorder.start();
    } else if (id !== this.id) {
      // It has ended meanwhile.
    } else if (type === 'taken') {
      this.untaken -= request.count;
    } else {
      this.stop(id);
    }
  }

  /** The header of the file, or the record of a frame. */
  captured(bytes: Uint8Array): boolean {
    if (this.untaken + bytes.length > CAPTURE_ROOM) {
      ++this.lost;
      return false;
    }
    if (this.collected + bytes.length > PIECE) this.flush();
    // The frames of a turn go together.
    if (this.collected === 0) queueMicrotask(() => this.flush());
    this.piece ??= new Uint8Array(PIECE);
    this.piece.set(bytes, this.collected);
    this.collected += bytes.length;
    this.untaken += bytes.length;
    return true;
  }

  /** Tells the owner of what was collected. */
  flush(): void {
    if (this.collected === 0 || this.id === undefined) return;
    const bytes = this.piece!.slice(0, this.collected);
    this.collected = 0;
    this.post({ type: 'data', id: this.id, bytes, lost: this.lost });
  }

  private stop(id: number): void {
    this.recorder.stop();
    this.flush();
    this.id = undefined;
    this.post({ type: 'ended', id, lost: this.lost });
  }
}
