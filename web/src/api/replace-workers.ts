// SPDX-License-Identifier: MIT
// Replaces Worker when it is imported. It is a module of its own because all
// imports of a module run before the module's code.

import { replaceWorkers } from './worker-relay.ts';

replaceWorkers();
