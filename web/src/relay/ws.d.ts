// SPDX-License-Identifier: MIT
// What the relay uses of the package ws, which comes without types.

declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage } from 'node:http';
  import type { Duplex } from 'node:stream';

  export class WebSocket extends EventEmitter {
    readonly bufferedAmount: number;
    send(bytes: Uint8Array, options: { binary: boolean }, done: (error?: Error) => void): void;
    ping(): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    on(event: 'message', handler: (data: Buffer, isBinary: boolean) => void): this;
    on(event: 'close' | 'pong', handler: () => void): this;
    on(event: 'error', handler: (error: Error) => void): this;
  }

  export class WebSocketServer extends EventEmitter {
    constructor(options: {
      noServer: true;
      clientTracking: false;
      maxPayload: number;
      perMessageDeflate: false;
      handleProtocols(protocols: Set<string>): string | false;
    });
    handleUpgrade(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      done: (socket: WebSocket, request: IncomingMessage) => void,
    ): void;
  }
}
