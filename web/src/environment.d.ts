// SPDX-License-Identifier: MIT
// Types that the DOM library lacks. Scripts of the page and scripts of workers
// are checked together, so they share these.

interface DedicatedWorkerGlobalScope {
  onmessage: ((event: MessageEvent) => void) | null;
  onmessageerror: (() => void) | null;
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
}

/**
 * Addresses and sizes of a machine's parts. vite.config.ts and make-package.ts
 * make this module.
 */
declare module 'auklet:assets' {
  const assets: Record<'kernel' | 'initramfs' | 'host' | 'tls', { url: string | URL; size: number }>;
  export default assets;
}
