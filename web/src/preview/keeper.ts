// SPDX-License-Identifier: MIT
// A page of the preview's origin. In a frame of a page that may show previews,
// it starts the service worker, and hands its channels on. Else it is a text.

import { SETTINGS_PATH, WORKER_PATH, type FromKeeper, type PreviewSettings, type ToKeeper } from './protocol.ts';

async function settings(): Promise<PreviewSettings> {
  const response = await fetch(SETTINGS_PATH, { cache: 'no-cache' });
  const { pages } = (await response.json()) as PreviewSettings;
  return { pages: pages.map((page) => new URL(page).origin) };
}

/** Resolves with the origin of the page that embeds this one. */
function meet(pages: readonly string[], onMessage: (message: ToKeeper) => void): Promise<string> {
  return new Promise((resolve) => {
    addEventListener('message', ({ source, origin, data }: MessageEvent<ToKeeper | undefined>) => {
      if (source !== parent || !pages.includes(origin) || data === undefined) return;
      if (data.type === 'welcome') resolve(origin);
      else onMessage(data);
    });
    // Whoever else embeds this does not get it.
    for (const page of pages) parent.postMessage({ type: 'hello' } satisfies FromKeeper, page);
  });
}

async function keep(): Promise<void> {
  const { pages } = await settings();
  const serviceWorkers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  const page = await meet(
    pages,
    () => void serviceWorkers?.ready.then(({ active }) => active?.postMessage({ type: 'gone' })),
  );
  const say = (message: FromKeeper, ports: MessagePort[] = []) => parent.postMessage(message, page, ports);
  try {
    if (serviceWorkers === undefined) throw new Error('this browser has no service workers here');
    serviceWorkers.addEventListener('message', ({ data, ports }: MessageEvent<{ type?: unknown } | undefined>) => {
      if (data?.type === 'connect' && ports[0] !== undefined) say({ type: 'connect' }, [ports[0]]);
    });
    serviceWorkers.startMessages();
    await serviceWorkers.register(WORKER_PATH, { updateViaCache: 'none' });
    await serviceWorkers.ready;
    say({ type: 'ready' });
  } catch (error) {
    say({ type: 'failed', message: String(error) });
  }
}

if (parent !== window) void keep();
