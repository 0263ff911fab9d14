// SPDX-License-Identifier: MIT
// Adds the headers of cross-origin isolation, for hosts that cannot send them.
// This service worker caches nothing.

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as {
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: string, listener: (event: never) => void): void;
};

async function isolated(request: Request): Promise<Response> {
  const response = await fetch(request);
  // An opaque answer cannot be changed. Another origin without CORS gives one,
  // and so does a redirect.
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  const empty = [101, 204, 205, 304].includes(response.status);
  return new Response(empty ? null : response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}

scope.addEventListener('install', () => void scope.skipWaiting());
scope.addEventListener('activate', (event: Event & { waitUntil(work: Promise<void>): void }) =>
  event.waitUntil(scope.clients.claim()),
);
scope.addEventListener('fetch', (event: FetchEvent) => {
  // Chromium's devtools ask for this combination, and fetch() refuses it.
  if (event.request.cache === 'only-if-cached' && event.request.mode !== 'same-origin') return;
  if (new URL(event.request.url).origin !== location.origin) return;
  event.respondWith(isolated(event.request));
});
