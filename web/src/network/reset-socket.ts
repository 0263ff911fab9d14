// SPDX-License-Identifier: MIT
// Resets connections of Node.js.

import type { Socket } from 'node:net';

/**
 * Resets a connection, also one that still connects or that has been ended.
 *
 * While the end of a direction is on its way, libuv refuses to reset (EINVAL),
 * and Node.js (26.10) then forgets the socket without closing it. Such a one is
 * closed: the system resets it if something comes or is unread.
 */
export function resetSocket(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (socket.connecting || isEnding) socket.destroy();
  else socket.resetAndDestroy();
}
