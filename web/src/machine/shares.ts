// SPDX-License-Identifier: MIT
// The host's way to the worker of shared folders.

import {
  MOST_ON_WAY,
  ShareRings,
  UNANSWERED,
  type HostToShares,
  type SharesOfHost,
} from '../storage/share-protocol.ts';

export class Shares {
  private readonly rings: ShareRings;
  private readonly port: MessagePort;
  /**
   * Requests for which the rings had no room, in order. They end with the
   * machine, and nothing is lost: virtio-fs writes through, so a program that
   * writes waits for the answer. Nobody waits for the end of a close, but all
   * that is open is closed with its share. What a disk is asked for, though, a
   * program wrote long before: see Disks.submitAll().
   */
  private readonly waiting: number[][] = [];
  private onWay = 0;

  /** As that of Disks. */
  constructor({ rings }: SharesOfHost, port: MessagePort) {
    this.rings = new ShareRings(rings);
    this.port = port;
  }

  /** As Disks.attach(). */
  attach(memory: WebAssembly.Memory, doorbell: number, bit: number): void {
    this.port.postMessage({ memory, doorbell, bit } satisfies HostToShares);
  }

  /** `words` are those of javascript.hpp. */
  submit(share: number, words: Uint32Array): void {
    const record = [share, ...words];
    if (this.waiting.length > 0 || !this.ask(record)) this.waiting.push(record);
  }

  /** Gives each new answer to `completed`. */
  drain(completed: (share: number, id: number, error: number, words: Int32Array) => void): void {
    for (let answer; (answer = this.rings.answers.shift()) !== undefined;) {
      --this.onWay;
      completed(answer[0]!, answer[1]!, answer[2]!, answer.subarray(3));
    }
    while (this.waiting.length > 0 && this.ask(this.waiting[0]!)) this.waiting.shift();
  }

  private ask(record: number[]): boolean {
    // Each answer must find room in its ring.
    const isAnswered = record[1]! >= UNANSWERED;
    if ((isAnswered && this.onWay >= MOST_ON_WAY) || !this.rings.requests.push(record)) return false;
    if (isAnswered) ++this.onWay;
    return true;
  }
}
