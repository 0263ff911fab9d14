// SPDX-License-Identifier: MIT
// Which wasm trap an exception is. The specification names no messages, so this knows those of the three engines.

/** enum wasm_trap in asm/host_calls.h */
export const enum Trap {
  Memory,
  Unreachable,
  Division,
  Overflow,
  Call,
  Stack,
  Exception,
  Start,
}

// V8, SpiderMonkey, JavaScriptCore; the first that matches decides.
const MESSAGES: readonly [RegExp, Trap][] = [
  [/call stack|too much recursion|stack overflow/i, Trap.Stack],
  [/by zero/i, Trap.Division],
  [/unrepresentable|integer overflow/i, Trap.Overflow],
  [/\btable\b|indirect call|call_indirect|signature mismatch|null function|function signature/i, Trap.Call],
  [/unreachable/i, Trap.Unreachable],
  [/out of bounds|unaligned|memory access/i, Trap.Memory],
];

export function classifyTrap(error: unknown): Trap {
  const constructor = (WebAssembly as { Exception?: new (...parameters: never[]) => object }).Exception;
  if (constructor !== undefined && error instanceof constructor) return Trap.Exception;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError) return /memory|bounds/i.test(message) ? Trap.Memory : Trap.Stack;
  for (const [pattern, trap] of MESSAGES) if (pattern.test(message)) return trap;
  return Trap.Exception;
}
