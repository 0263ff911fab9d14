// SPDX-License-Identifier: MIT
// What a machine needs of its page or program: an engine that can run it, and
// to know where its parts and scripts are.

import { isNode } from '../machine/platform.ts';
import { MachineError, type BootOptions, type PlatformOptions } from './types.ts';

/**
 * Checks that this engine and this page can run a machine.
 * @throws MachineError 'not-isolated' or 'no-shared-memory'.
 */
export function checkPlatform(): void {
  const scope = globalThis as { crossOriginIsolated?: boolean; isSecureContext?: boolean };
  if (!isNode && scope.crossOriginIsolated === false) {
    throw new MachineError(
      'not-isolated',
      scope.isSecureContext === false
        ? 'This page needs HTTPS (or localhost): browsers share memory between workers only there.'
        : 'This page is not cross-origin isolated: its server must send the headers "Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp".',
    );
  }
  if (typeof SharedArrayBuffer === 'undefined' || typeof WebAssembly === 'undefined' || !('waitAsync' in Atomics)) {
    throw new MachineError(
      'no-shared-memory',
      'This browser has no shared WebAssembly memory (SharedArrayBuffer and Atomics.waitAsync): use a current Chromium, Firefox or Safari.',
    );
  }
}

/** Defaults of an entry of the package: where the parts and scripts are. */
let platform: PlatformOptions | undefined;

/** Sets the platform options of machines whose own options leave them out. */
export function setPlatform(options: PlatformOptions): void {
  platform = options;
}

/** The options of boot(). The package has defaults for the platform's. */
export type MachineOptions = BootOptions & Partial<PlatformOptions>;

/** Adds the defaults of the platform's options. */
export function withPlatform(options: MachineOptions): BootOptions & PlatformOptions {
  const assets = options.assets ?? platform?.assets;
  if (assets === undefined)
    throw new MachineError('invalid-option', 'a machine needs assets: kernel, initramfs and host');
  return { ...platform, ...options, assets };
}
