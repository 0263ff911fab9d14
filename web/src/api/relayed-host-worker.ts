// SPDX-License-Identifier: MIT
// The host worker's script for engines in which a worker cannot make workers:
// see worker-relay.ts.

import './replace-workers.ts';
import '../machine/host-worker.ts';
