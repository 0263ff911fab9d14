// SPDX-License-Identifier: MIT
// The worker that owns a machine.

import { Host } from './host.ts';
import { parentPort } from './platform.ts';

new Host(parentPort());
