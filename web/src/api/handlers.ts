// SPDX-License-Identifier: MIT
// What a user's handlers may do: throw, or return a promise.

/** As of a listener's exception: it is shown, and nothing else is affected. */
export function reportException(error: unknown): void {
  const scope = globalThis as { reportError?: (error: unknown) => void };
  if (scope.reportError !== undefined) scope.reportError(error);
  else console.error(error);
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
}
