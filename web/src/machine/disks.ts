// SPDX-License-Identifier: MIT
// The host's way to the storage worker.

import {
  DiskRings,
  type DiskRequest,
  type DisksOfHost,
  type HostToStorage,
  type StorageToHost,
} from '../storage/protocol.ts';
import { within } from './platform.ts';

/** Milliseconds at a machine's end. A medium that hangs must not keep it. */
const SETTLE_PATIENCE = 30_000;

export class Disks {
  private readonly rings: DiskRings;
  private readonly port: MessagePort;
  /** Requests for which the ring had no room, in order. */
  private readonly waiting: DiskRequest[] = [];
  private settled: ((failure: string | undefined) => void) | undefined;

  constructor({ rings, port }: DisksOfHost) {
    this.rings = new DiskRings(rings);
    this.port = port;
    port.onmessage = (event: MessageEvent<StorageToHost>) => {
      this.settled?.(event.data.failure);
    };
  }

  /**
   * `doorbell`: the address of the machine's doorbell in K; `bit`: what to ring
   * there after an answer.
   */
  attach(memory: WebAssembly.Memory, doorbell: number, bit: number): void {
    this.post({ type: 'kernel', memory, doorbell, bit });
  }

  submit(request: DiskRequest): void {
    if (this.waiting.length > 0 || !this.rings.ask(request)) this.waiting.push(request);
  }

  /** Gives each new answer to `completed`. */
  drain(completed: (disk: number, id: number, succeeded: boolean) => void): void {
    for (let answer; (answer = this.rings.answers.shift()) !== undefined;)
      completed(answer[0]!, answer[1]!, answer[2] === 1);
    while (this.waiting.length > 0 && this.rings.ask(this.waiting[0]!)) this.waiting.shift();
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

  private async flushAll(): Promise<string | undefined> {
    // The storage worker makes room without our help.
    while (this.waiting.length > 0) await this.flush();
    return this.flush();
  }

  private async flush(): Promise<string | undefined> {
    const failure = await new Promise<string | undefined>((resolve) => {
      this.settled = resolve;
      this.post({ type: 'settle' });
    });
    this.drain(() => {});
    return failure;
  }

  private post(message: HostToStorage): void {
    this.port.postMessage(message);
  }
}
