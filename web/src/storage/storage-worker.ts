// SPDX-License-Identifier: MIT
// The worker that does the disks' requests, so that a slow medium stops nobody
// but who waits for it.

import { parentPort } from '../machine/platform.ts';
import type { FromStorage, ToStorage } from './protocol.ts';
import { StorageServer } from './storage-server.ts';

const port = parentPort<FromStorage, ToStorage>();
const server = new StorageServer((message) => port.post(message));
port.onMessage((message) => server.handle(message));
