// SPDX-License-Identifier: MIT
// Finds out which wasm trap an exception is. The specification gives traps no
// messages, so this file knows those of the three engines.

import {
  TRAP_CALL,
  TRAP_DIVISION,
  TRAP_EXCEPTION,
  TRAP_MEMORY,
  TRAP_OVERFLOW,
  TRAP_STACK,
  TRAP_UNREACHABLE,
} from '../generated/abi.ts';

// Messages of V8, SpiderMonkey and JavaScriptCore. The first pattern that
// matches decides.
const MESSAGES: readonly [RegExp, number][] = [
  [/call stack|too much recursion|stack overflow/i, TRAP_STACK],
  [/by zero/i, TRAP_DIVISION],
  [/unrepresentable|integer overflow/i, TRAP_OVERFLOW],
  [/\btable\b|indirect call|call_indirect|signature mismatch|null function|function signature/i, TRAP_CALL],
  [/unreachable/i, TRAP_UNREACHABLE],
  [/out of bounds|unaligned|memory access/i, TRAP_MEMORY],
];

/** Returns one of AUKLET_TRAP_* of the kernel's uapi/asm/host.h. */
export function classifyTrap(error: unknown): number {
  const constructor = (WebAssembly as { Exception?: new (...parameters: never[]) => object }).Exception;
  if (constructor !== undefined && error instanceof constructor) return TRAP_EXCEPTION;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError) return /memory|bounds/i.test(message) ? TRAP_MEMORY : TRAP_STACK;
  for (const [pattern, trap] of MESSAGES) if (pattern.test(message)) return trap;
  return TRAP_EXCEPTION;
}
