// SPDX-License-Identifier: MIT
// The user memories of a machine, and what the C++ host does with them: it
// makes them, copies, and asks for safepoints.

import { HostFailure } from './failure.ts';
import { bufferOf } from './platform.ts';

/**
 * Every worker is told of this many memories at once; most machines have no
 * more. A worker asks for another one when its next task needs it. Each memory
 * is work for a worker and for its garbage collector. When a memory grows, V8
 * tells all workers that know it.
 */
const COMMON_MEMORIES = 16;

export class UserMemories {
  private readonly memories: WebAssembly.Memory[] = [];
  private readonly kernelMemory: WebAssembly.Memory;

  constructor(kernelMemory: WebAssembly.Memory) {
    this.kernelMemory = kernelMemory;
  }

  /** Makes a user memory. Undefined if the engine has no more. */
  create(id: number, maximumPages: number): WebAssembly.Memory | undefined {
    try {
      return (this.memories[id] = new WebAssembly.Memory({ initial: 0, maximum: maximumPages, shared: true }));
    } catch {
      // Chromium throws a RangeError, Firefox the string "out of memory". The
      // C++ host's pool decides what this means.
      return undefined;
    }
  }

  get(id: number): WebAssembly.Memory | undefined {
    return this.memories[id];
  }

  /** The memories that every worker knows. The index is the id. */
  get common(): WebAssembly.Memory[] {
    return this.memories.slice(0, COMMON_MEMORIES);
  }

  isCommon(id: number): boolean {
    return id < COMMON_MEMORIES;
  }

  /**
   * Copies between user memory `id` and K; `write` means from K. Returns the
   * number of bytes copied. All `length` bytes are within K.
   */
  copy(id: number, address: number, guestAddress: number, length: number, write: boolean): number {
    const memory = this.memories[id];
    if (memory === undefined) return 0;
    const buffer = bufferOf(memory, address + length);
    const count = Math.max(0, Math.min(length, buffer.byteLength - address));
    if (count === 0) return 0;
    const user = new Uint8Array(buffer, address, count);
    const kernel = new Uint8Array(this.kernelMemory.buffer, guestAddress, count);
    if (write) user.set(kernel);
    else kernel.set(user);
    return count;
  }

  /** Sets the word that a program's safepoints look at. */
  setSafepoint(id: number, address: number): void {
    const memory = this.memories[id];
    if (memory === undefined) return;
    const buffer = bufferOf(memory, address + 4);
    if (address % 4 === 0 && address + 4 <= buffer.byteLength) Atomics.store(new Int32Array(buffer, address, 1), 0, 1);
  }

  clear(): void {
    this.memories.length = 0;
  }
}

/** K. @throws HostFailure */
export function createKernelMemory(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw new HostFailure(
      'out-of-memory',
      `there are no ${pages / 16} MiB of memory for the machine; give it less memory, or dispose of other machines`,
      { cause: error },
    );
  }
}
