// SPDX-License-Identifier: MIT
// Makes the page cross-origin isolated where the host sends no headers: a service worker adds them.

const TRIED = 'auklet.isolation';

/** True: the page is being loaded again, with the headers, and nothing else should start. */
export async function becomeIsolated(): Promise<boolean> {
  if (crossOriginIsolated) {
    sessionStorage.removeItem(TRIED);
    return false;
  }
  // Once only: a browser that refuses would load the page for ever.
  if (!isSecureContext || !('serviceWorker' in navigator) || sessionStorage.getItem(TRIED) !== null) return false;
  try {
    await navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI), { updateViaCache: 'none' });
    await navigator.serviceWorker.ready;
  } catch {
    return false;
  }
  sessionStorage.setItem(TRIED, '1');
  location.reload();
  return true;
}
