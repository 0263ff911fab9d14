// SPDX-License-Identifier: MIT
// The script of a host worker: a worker that has the host of one machine.

import { Host } from './host.ts';
import { parentPort } from './platform.ts';

/**
 * The module that is loaded for a network imports from the bundle of this
 * script. WebKit runs it once more then, and a second host would take the
 * messages for the first one.
 */
const scope = globalThis as { aukletHost?: Host };

scope.aukletHost ??= new Host(parentPort());
