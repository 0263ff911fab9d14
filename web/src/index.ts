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
import { boot as bootWith, Machine as AnyMachine } from './api/machine.ts';
import type { BootOptions, PlatformOptions } from './api/types.ts';

export { checkPlatform } from './api/machine.ts';
export * from './api/types.ts';

function withDefaults(options: BootOptions & Partial<PlatformOptions>): BootOptions & PlatformOptions {
  return { assets, ...options };
}

export class Machine extends AnyMachine {
  /** Starts at once; `started` tells when it runs. `boot` is the shorter way. */
  constructor(options: BootOptions & Partial<PlatformOptions> = {}) {
    super(withDefaults(options));
  }
}

/**
 * Boots a Linux machine. Resolves when its first program has been started.
 *
 * @throws MachineError with a code when the page cannot run it, a download fails, or memory is short.
 */
export function boot(options: BootOptions & Partial<PlatformOptions> = {}): Promise<AnyMachine> {
  return bootWith(withDefaults(options));
}
