// SPDX-License-Identifier: MIT
// Failures of a host, as its owner is told of them: a code for programs, and a
// message for users.

import type { FailureCode } from './protocol.ts';

/** How an engine words that it has no more memory, addresses or threads. */
const OUT_OF_MEMORY = /out of memory|could not allocate|Allocation failed/i;

export class HostFailure extends Error {
  override readonly name = 'HostFailure';
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function failureCode(error: unknown, message: string): FailureCode {
  // By its name, because WebKit may have this class twice (host-worker.ts).
  if (error instanceof Error && error.name === 'HostFailure') return (error as HostFailure).code;
  return OUT_OF_MEMORY.test(message) ? 'out-of-memory' : 'failed';
}

export function errorText(error: unknown): { message: string; detail?: string } {
  if (!(error instanceof Error)) return { message: String(error) };
  return error.stack === undefined ? { message: error.message } : { message: error.message, detail: error.stack };
}
