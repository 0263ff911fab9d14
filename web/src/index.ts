// SPDX-License-Identifier: MIT
// The package's entry for pages: a Linux computer as an object.
//
//   import { boot } from 'auklet';
//   const machine = await boot({ cpus: 2 });
//   machine.on('output', (bytes) => terminal.write(bytes));
//   terminal.onData((text) => machine.write(text));
//
// The page must be cross-origin isolated (docs/hosting.md).

import assets from 'auklet:assets';
import { setPlatform } from './api/machine.ts';

setPlatform({ assets });

export { boot, checkPlatform, Machine } from './api/machine.ts';
export type { MachineOptions } from './api/machine.ts';
export * from './api/types.ts';
