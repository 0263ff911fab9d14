// SPDX-License-Identifier: MIT
// The script of a host worker: a worker that has the host of one machine.

import { Host } from './host.ts';
import { parentPort } from './platform.ts';

new Host(parentPort());
