// SPDX-License-Identifier: MIT
// The host's way to the storage worker.

import {
  DiskRings,
  type DiskRequest,
  type DisksOfHost,
  type HostToStorage,
  type StorageToHost,
} from '../storage/protocol.ts';
import { listen, mayBlock, within } from './platform.ts';

/** Milliseconds at a machine's end. A medium that hangs must not keep it. */
const SETTLE_PATIENCE = 30_000;

/**
 * Milliseconds in which a disk answers whose bytes the computer has in memory,
 * and in which the guest's next request usually comes.
 */
const NEXT_RING = 0.2;
/** Milliseconds after which events get their turn while disks are busy. */
const LONGEST_TURN = 4;

export class Disks {
  private readonly rings: DiskRings;
  private readonly port: MessagePort;
  /** Requests for which the ring had no room, in order. */
  private readonly waiting: DiskRequest[] = [];
  /** Each waits for an answer to 'settle'. */
  private readonly settled: ((failure: string | undefined) => void)[] = [];
  private unanswered = 0;
  /** Whether the last drain() has found an answer. */
  private answered = false;

  /**
   * `port`: to the storage worker, from makeChannel(). `grown`: a disk has so
   * many bytes now.
   */
  constructor({ rings }: DisksOfHost, port: MessagePort, grown: (disk: number, size: number) => void) {
    this.rings = new DiskRings(rings);
    this.port = port;
    listen(port, (message: StorageToHost) => {
      if (message.type === 'settled') this.settled.shift()?.(message.failure);
      else {
        grown(message.disk, message.size);
        this.post({ type: 'grown', disk: message.disk, size: message.size });
      }
    });
  }

  /**
   * `doorbell`: the address of the machine's doorbell in K; `bit`: what to ring
   * there after an answer.
   */
  attach(memory: WebAssembly.Memory, doorbell: number, bit: number): void {
    this.post({ type: 'kernel', memory, doorbell, bit });
  }

  submit(request: DiskRequest): void {
    ++this.unanswered;
    if (this.waiting.length > 0 || !this.rings.ask(request)) this.waiting.push(request);
  }

  /** Gives each new answer to `completed`. */
  drain(completed: (disk: number, id: number, succeeded: boolean) => void): void {
    this.answered = false;
    for (let answer; (answer = this.rings.answers.shift()) !== undefined;) {
      --this.unanswered;
      this.answered = true;
      completed(answer[0]!, answer[1]!, answer[2] === 1);
    }
    while (this.waiting.length > 0 && this.rings.ask(this.waiting[0]!)) this.waiting.shift();
  }

  /**
   * Blocks this thread for a moment if an answer is to come, or has come, so
   * that the guest's next request may be near. `block` waits for the doorbell,
   * for so many milliseconds, and returns whether it has rung; so does this.
   * `turn`: when events last had their turn (performance.now()).
   *
   * A thread that blocks wakes in half the time of a promise, and a program
   * that reads from a disk waits for two wake-ups of this one
   * (docs/decisions/0088-the-speed-of-disks.md).
   */
  expects(turn: number, block: (milliseconds: number) => boolean): boolean {
    if (!mayBlock || (this.unanswered === 0 && !this.answered)) return false;
    return performance.now() - turn < LONGEST_TURN && block(NEXT_RING);
  }

  /**
   * Resolves when all that was submitted is on the media, or cannot be: with
   * what is not, for users.
   */
  async settle(): Promise<string | undefined> {
    let failure: string | undefined = `the disks have not written all within ${SETTLE_PATIENCE / 1000} s`;
    const settled = this.flushAll().then((result) => (failure = result));
    await within(SETTLE_PATIENCE, settled);
    return failure;
  }

  /**
   * Resolves when the ring has all that was submitted, which the storage worker
   * does also when the host has ended.
   */
  async submitAll(): Promise<void> {
    // The storage worker makes room without our help.
    while (this.waiting.length > 0) await this.flush(false);
  }

  /** A line for diagnostics. */
  describe(): string {
    const state = `${this.unanswered} requests without an answer, ${this.waiting.length} not in the ring yet`;
    return `disks: ${state}; ${this.rings.describe()}\n`;
  }

  private async flushAll(): Promise<string | undefined> {
    await this.submitAll();
    return this.flush(true);
  }

  private async flush(last: boolean): Promise<string | undefined> {
    const failure = await new Promise<string | undefined>((resolve) => {
      this.settled.push(resolve);
      this.post({ type: 'settle', last });
    });
    this.drain(() => {});
    return failure;
  }

  private post(message: HostToStorage): void {
    this.port.postMessage(message);
  }
}
