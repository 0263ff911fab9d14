// SPDX-License-Identifier: MIT
// The kernel's functions for user memory, bound to K and to one U. They are a
// wasm module if the engine has multi-memory, and else the same functions in
// JavaScript.

import { USER_ACCESS, USER_ACCESS_SHIM } from '../generated/user-access.ts';
import { bufferOf } from '../machine/platform.ts';

/** The order is that of struct user_access in asm/uaccess.h. */
export const USER_ACCESS_FUNCTIONS = [
  'copy_from',
  'copy_to',
  'clear',
  'string_copy',
  'string_length',
  'compare_exchange',
  'futex_op',
  'move',
  'pages',
  'grow',
] as const;

export type UserAccess = Record<(typeof USER_ACCESS_FUNCTIONS)[number], CallableFunction>;

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * user-access.wat in JavaScript. It checks every address and length in the same
 * way.
 */
function scriptFunctions(kernel: WebAssembly.Memory, user: WebAssembly.Memory): WebAssembly.ModuleImports {
  const kernelBytes = new Uint8Array(kernel.buffer);
  const kernelView = new DataView(kernel.buffer);
  // Another thread may have grown U, and a view would then be too short. So
  // each use compares the view with the memory.
  let userBytes: Uint8Array = new Uint8Array(user.buffer);
  const bytes = (end = 0): Uint8Array => {
    const buffer = bufferOf(user, end);
    if (buffer !== userBytes.buffer || buffer.byteLength !== userBytes.byteLength) userBytes = new Uint8Array(buffer);
    return userBytes;
  };
  const words = (): Int32Array => {
    const all = bytes();
    return new Int32Array(all.buffer, 0, all.byteLength >>> 2);
  };
  const inside = (address: number, length: number): boolean => address + length <= bytes(address + length).byteLength;

  /** How many of the `n` bytes from `address` on lie in U. */
  const reach = (address: number, n: number): number =>
    Math.min(n, Math.max(0, bytes(address + n).byteLength - address));

  const string = (from: number, n: number, visit: (index: number, byte: number) => void): number => {
    const all = bytes(from + 1);
    const limit = Math.min(n, Math.max(0, all.byteLength - from));
    for (let i = 0; i < limit; ++i) {
      const byte = all[from + i] as number;
      visit(i, byte);
      if (byte === 0) return i;
    }
    return limit < n ? -1 : n;
  };

  return {
    copy_from(to: number, from: number, n: number): number {
      [to, from, n] = [to >>> 0, from >>> 0, n >>> 0];
      const length = reach(from, n);
      kernelBytes.set(bytes().subarray(from, from + length), to);
      return n - length;
    },
    copy_to(to: number, from: number, n: number): number {
      [to, from, n] = [to >>> 0, from >>> 0, n >>> 0];
      const length = reach(to, n);
      if (length > 0) bytes().set(kernelBytes.subarray(from, from + length), to);
      return n - length;
    },
    clear(to: number, n: number): number {
      [to, n] = [to >>> 0, n >>> 0];
      const length = reach(to, n);
      if (length > 0) bytes().fill(0, to, to + length);
      return n - length;
    },
    string_copy(to: number, from: number, n: number): number {
      to >>>= 0;
      return string(from >>> 0, n >>> 0, (index, byte) => {
        kernelBytes[to + index] = byte;
      });
    },
    string_length(from: number, n: number): number {
      return string(from >>> 0, n >>> 0, () => {});
    },
    compare_exchange(address: number, expected: number, value: number, old: number): number {
      address >>>= 0;
      if (!inside(address, 4)) return 1;
      kernelView.setInt32(old >>> 0, Atomics.compareExchange(words(), address >>> 2, expected, value), true);
      return 0;
    },
    futex_op(op: number, argument: number, address: number, old: number): number {
      address >>>= 0;
      if (!inside(address, 4)) return 1;
      const index = address >>> 2;
      const word = words();
      const operations = [
        () => Atomics.exchange(word, index, argument),
        () => Atomics.add(word, index, argument),
        () => Atomics.or(word, index, argument),
        () => Atomics.and(word, index, ~argument),
        () => Atomics.xor(word, index, argument),
      ];
      kernelView.setInt32(old >>> 0, operations[op]?.() ?? 0, true);
      return 0;
    },
    move(to: number, from: number, n: number): number {
      [to, from, n] = [to >>> 0, from >>> 0, n >>> 0];
      if (!inside(to, n) || !inside(from, n)) return n;
      bytes().copyWithin(to, from, from + n);
      return 0;
    },
    pages: () => bytes().byteLength >>> 16,
    grow(pages: number): number {
      try {
        return user.grow(pages >>> 0);
      } catch {
        return -1;
      }
    },
  };
}

/** Makes the functions for each U. */
export class UserAccessMaker {
  private readonly module: WebAssembly.Module;
  private readonly inWasm: boolean;
  private readonly kernel: WebAssembly.Memory;

  /**
   * `script` is for tests: it takes the JavaScript functions even if the engine
   * has multi-memory.
   */
  constructor(kernel: WebAssembly.Memory, script = false) {
    const code = decode(USER_ACCESS);
    this.kernel = kernel;
    this.inWasm = !script && WebAssembly.validate(code);
    this.module = new WebAssembly.Module(this.inWasm ? code : decode(USER_ACCESS_SHIM));
  }

  make(user: WebAssembly.Memory): UserAccess {
    const imports: WebAssembly.Imports = this.inWasm
      ? { kernel: { memory: this.kernel }, user: { memory: user } }
      : { js: scriptFunctions(this.kernel, user) };
    return new WebAssembly.Instance(this.module, imports).exports as UserAccess;
  }
}
