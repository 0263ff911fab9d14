// SPDX-License-Identifier: MIT
// Why a request to a server in the guest has no response.

export type GuestHttpFailure =
  /** Nobody listens on the port, or the network is not there. */
  | 'unreachable'
  /** The server has ended the connection too early. */
  | 'ended'
  /** What the server sends is not HTTP/1.1. */
  | 'malformed'
  /** The body of the request has failed, which is the cause. */
  | 'body'
  /** The server stays with HTTP where another protocol was asked for. */
  | 'not-upgraded'
  /** Too many requests wait. */
  | 'busy'
  /** The machine has ended. */
  | 'closed';

export class GuestHttpError extends Error {
  readonly code: GuestHttpFailure;
  /** What the server has answered, where that is the reason. */
  readonly status: number | undefined;

  constructor(code: GuestHttpFailure, message: string, others: { cause?: unknown; status?: number } = {}) {
    super(message, 'cause' in others ? { cause: others.cause } : {});
    this.name = 'GuestHttpError';
    this.code = code;
    this.status = others.status;
  }
}
