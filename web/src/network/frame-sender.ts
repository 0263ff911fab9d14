// SPDX-License-Identifier: MIT
// How a machine sends frames to one other that may be slow, or may have
// stopped: it waits, but not for ever.

/**
 * Milliseconds. A machine that has not made room for so long loses frames until
 * it does, because the sender's frames for all others wait meanwhile. A host
 * that is busy, with a compilation for example, takes less.
 */
const PATIENCE = 250;

/** The way to the other machine. */
export interface Outlet {
  /** False: there is no room now. */
  push(offload: Uint8Array, frame: Uint8Array): boolean;
  /** FrameSender.look() is to be called when there is enough room. */
  want(): void;
  /** Whether there is enough to begin again. */
  readonly hasRoom: boolean;
}

export class FrameSender {
  /** Frames that the other machine has not got. */
  lost = 0;
  private readonly outlet: Outlet;
  private readonly writable: () => void;
  private state: 'open' | 'waiting' | 'stopped' = 'open';
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `writable` is called when a frame may be sent that was not taken. */
  constructor(outlet: Outlet, writable: () => void) {
    this.outlet = outlet;
    this.writable = writable;
  }

  /** For one machine. False: not now, writable() follows. */
  send(offload: Uint8Array, frame: Uint8Array): boolean {
    if (this.push(offload, frame)) return true;
    if (this.state === 'stopped') {
      ++this.lost;
      return true;
    }
    if (this.state === 'open') {
      this.state = 'waiting';
      this.timer = setTimeout(() => this.stop(), PATIENCE);
    }
    return false;
  }

  /** For all machines: nobody waits for one of them. */
  offer(offload: Uint8Array, frame: Uint8Array): void {
    if (!this.push(offload, frame)) ++this.lost;
  }

  /** There may be room. */
  look(): void {
    if (this.state !== 'open' && this.outlet.hasRoom) this.open();
  }

  /** The other machine is gone. */
  close(): void {
    this.open();
  }

  private push(offload: Uint8Array, frame: Uint8Array): boolean {
    if (this.outlet.push(offload, frame)) return true;
    this.outlet.want();
    // It may have made room before it saw that this is wanted.
    return this.outlet.push(offload, frame);
  }

  private open(): void {
    clearTimeout(this.timer);
    const waits = this.state === 'waiting';
    this.state = 'open';
    if (waits) this.writable();
  }

  private stop(): void {
    this.state = 'stopped';
    this.writable();
  }
}
