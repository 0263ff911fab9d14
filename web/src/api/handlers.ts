// SPDX-License-Identifier: MIT
// Handlers of the user may throw, or return a promise. This file deals with
// both.

/**
 * Reports an exception as that of an event listener is reported. Nothing else
 * is affected.
 */
export function reportException(error: unknown): void {
  const scope = globalThis as { reportError?: (error: unknown) => void };
  if (scope.reportError !== undefined) scope.reportError(error);
  else console.error(error);
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
}
