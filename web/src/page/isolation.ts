// SPDX-License-Identifier: MIT
// Makes the page cross-origin isolated if its host sends no headers: a service
// worker adds them.

const TRIED = 'auklet.isolation';

/**
 * Returns true if the page is being loaded again, with the headers. The caller
 * must start nothing then.
 */
export async function becomeIsolated(): Promise<boolean> {
  if (crossOriginIsolated) {
    sessionStorage.removeItem(TRIED);
    return false;
  }
  // Try this once only. A browser that refuses would load the page for ever.
  if (!isSecureContext || !('serviceWorker' in navigator) || sessionStorage.getItem(TRIED) !== null) return false;
  try {
    const address = new URL('service-worker.js', document.baseURI);
    await activated(await navigator.serviceWorker.register(address, { updateViaCache: 'none' }));
  } catch {
    return false;
  }
  sessionStorage.setItem(TRIED, '1');
  location.reload();
  return true;
}

/**
 * Resolves when the service worker is active. Rejects if the browser gives it
 * up.
 */
function activated({ installing, waiting, active }: ServiceWorkerRegistration): Promise<void> {
  const worker = installing ?? waiting ?? active;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (worker?.state === 'activated') resolve();
      else if (worker === null || worker.state === 'redundant')
        reject(new Error('the service worker was not activated'));
    };
    worker?.addEventListener('statechange', look);
    look();
  });
}
