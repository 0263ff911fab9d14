// SPDX-License-Identifier: MIT
// Types that the DOM library lacks: scripts of the page and of workers are checked together.

interface DedicatedWorkerGlobalScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
}

/** Sizes and addresses of the parts of a machine; vite.config.ts and make-package.ts make it. */
declare module 'auklet:assets' {
  const assets: Record<'kernel' | 'initramfs' | 'host', { url: string | URL; size: number }>;
  export default assets;
}
