// SPDX-License-Identifier: MIT
// The package's entry for Node.js, as index.ts is for pages. It is in one
// folder with the parts and the workers' scripts.

import assets from 'auklet:assets';
import { setPlatform } from '../api/machine.ts';

setPlatform({
  assets,
  hostWorkerUrl: new URL('./host-worker.js', import.meta.url).href,
  guestWorkerUrl: new URL('./guest-worker.js', import.meta.url).href,
});

export { boot, checkPlatform, Machine } from '../api/machine.ts';
export type { MachineOptions } from '../api/machine.ts';
export * from '../api/types.ts';
