// SPDX-License-Identifier: MIT
// The host worker where it cannot make workers itself: see worker-relay.ts.

import './replace-workers.ts';
import '../machine/host-worker.ts';
