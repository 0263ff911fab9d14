// SPDX-License-Identifier: MIT
// The worker that does the disks' requests, so that a slow medium stops nobody
// but who waits for it; or those of shared folders, in a worker of its own.

import { parentPort } from '../machine/platform.ts';
import type { FromStorage, ToStorage } from './protocol.ts';
import { ShareServer, type FromShares, type ToShares } from './share-server.ts';
import { StorageServer } from './storage-server.ts';

const port = parentPort<FromStorage | FromShares, ToStorage | ToShares>();
const disks = new StorageServer((message) => port.post(message));
const shares = new ShareServer((message) => port.post(message));
port.onMessage((message) => {
  if (
    message.type === 'open-shares' ||
    message.type === 'shares-host' ||
    message.type === 'close-shares' ||
    message.type === 'file'
  )
    shares.handle(message);
  else disks.handle(message);
});
