// SPDX-License-Identifier: MIT
// What a worker of the owner's does with K: it reads and writes the places that
// a request names, and rings the machine's doorbell after an answer.

export class KernelAccess {
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly doorbell: number;
  private readonly bit: number;

  /** `doorbell` is the address of a word in K, and `bit` what is set there. */
  constructor(memory: WebAssembly.Memory, doorbell: number, bit: number) {
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.doorbell = doorbell >>> 2;
    this.bit = bit;
  }

  /** `places`: pairs of an address in K and a length. */
  viewsOf(places: Uint32Array): Uint8Array[] {
    const views: Uint8Array[] = [];
    for (let index = 0; index < places.length; index += 2)
      views.push(this.bytes.subarray(places[index], places[index]! + places[index + 1]!));
    return views;
  }

  ringDoorbell(): void {
    Atomics.or(this.words, this.doorbell, this.bit);
    Atomics.notify(this.words, this.doorbell);
  }
}
