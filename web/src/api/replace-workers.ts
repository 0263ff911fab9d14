// SPDX-License-Identifier: MIT
// A module of its own, because imports run before the importing module's code.

import { replaceWorkers } from './worker-relay.ts';

replaceWorkers();
