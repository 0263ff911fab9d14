// SPDX-License-Identifier: MIT
// Sites of the guest's ports in tabs of their own: the page's side.

import type { Machine } from '../api/machine.ts';
import { PreviewBridge } from '../preview/bridge.ts';
import { SETTINGS_PATH, type FromViewer, type ToViewer, type ViewerHello } from '../preview/protocol.ts';

/** Pages of this origin that show previews at the same time. */
const MOST_PAGES = 1000;

/** The pattern of the previews' origins: preview.json, beside the page. */
async function findPattern(): Promise<string | undefined> {
  try {
    const response = await fetch(new URL('preview.json', document.baseURI), { cache: 'no-cache' });
    if (!response.ok) return undefined;
    const { origin } = (await response.json()) as { origin?: unknown };
    if (typeof origin !== 'string' || origin.split('{port}').length !== 2) return undefined;
    const url = new URL(origin.replace('{port}', '1'));
    // The guest's own pages must be no pages of ours.
    if (!url.host.startsWith('1') || url.origin === location.origin || url.pathname !== '/') return undefined;
    // Some browsers do not know such names.
    await fetch(url.origin + SETTINGS_PATH, { mode: 'no-cors', cache: 'no-cache' });
    return origin.replace(/\/$/, '');
  } catch {
    return undefined;
  }
}

/**
 * Two pages of this origin have two machines, and so their previews have
 * different origins. Resolves with a number that no other page has, and a Web
 * Lock that this page holds.
 */
async function takeNumber(): Promise<{ number: number; lock: string }> {
  /** Resolves with whether this page has it, for good then. */
  const take = (name: string, ifAvailable: boolean) =>
    new Promise<boolean>((resolve, reject) => {
      navigator.locks
        .request(name, { ifAvailable }, (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise<never>(() => {});
        })
        .catch(reject);
    });
  for (let number = 0; number < MOST_PAGES; ++number) {
    const name = `auklet-preview-${number}`;
    if (!(await take(name, true))) continue;
    // Viewers wait for this one, and hold it for a moment.
    const lock = `${name}-page`;
    await take(lock, false);
    return { number, lock };
  }
  throw new Error('there are too many pages');
}

/** Tabs of one port. Those that were closed count, too. */
const MOST_VIEWERS = 32;

interface Preview {
  bridge: PreviewBridge;
  viewers: Set<MessagePort>;
}

export class Previews {
  private readonly pattern: string;
  private readonly number: number;
  private readonly lock: string;
  private readonly machine: () => Machine | undefined;
  private readonly previews = new Map<number, Preview>();

  /** Undefined if this page knows no origin for previews. */
  static async open(machine: () => Machine | undefined): Promise<Previews | undefined> {
    const pattern = await findPattern();
    if (pattern === undefined) return undefined;
    const { number, lock } = await takeNumber();
    return new Previews(pattern, number, lock, machine);
  }

  private constructor(pattern: string, number: number, lock: string, machine: () => Machine | undefined) {
    this.pattern = pattern;
    this.number = number;
    this.lock = lock;
    this.machine = machine;
    addEventListener('message', ({ origin, data, ports }: MessageEvent<ViewerHello | undefined>) => {
      const [link] = ports;
      if (origin === location.origin && data?.type === 'auklet-preview' && link !== undefined)
        this.meet(data.port, link);
    });
  }

  /** Opens a tab, or shows the one that there is. Only from a click. */
  show(port: number): void {
    window.open(new URL(`port.html#${port}`, document.baseURI), `auklet-port-${this.label(port)}`);
  }

  /** A program listens now, and what is shown may be an error. */
  opened(port: number): void {
    const preview = this.previews.get(port);
    if (preview?.bridge.isWaiting !== true) return;
    for (const viewer of preview.viewers) viewer.postMessage({ type: 'reload' } satisfies ToViewer);
  }

  private label(port: number): string {
    return this.number === 0 ? String(port) : `${port}-${this.number}`;
  }

  private meet(port: number, link: MessagePort): void {
    let preview = this.previews.get(port);
    if (preview === undefined) {
      preview = { bridge: this.makeBridge(port), viewers: new Set() };
      this.previews.set(port, preview);
    }
    const { bridge, viewers } = preview;
    viewers.add(link);
    const [oldest] = viewers;
    if (viewers.size > MOST_VIEWERS) viewers.delete(oldest!);
    link.onmessage = ({ data, ports }: MessageEvent<FromViewer | undefined>) => {
      if (data?.type === 'connect' && ports[0] !== undefined) bridge.serve(ports[0]);
    };
    const origin = this.pattern.replace('{port}', this.label(port));
    link.postMessage({ type: 'welcome', origin, lock: this.lock } satisfies ToViewer);
  }

  private makeBridge(port: number): PreviewBridge {
    const connect = async () => {
      const machine = this.machine();
      if (machine === undefined) throw new Error('there is no machine');
      return machine.network.connect(port);
    };
    const isFirefox = navigator.userAgent.includes('Firefox/') && !navigator.userAgent.includes('Android');
    const credentialless = isFirefox || 'credentialless' in HTMLIFrameElement.prototype;
    return new PreviewBridge(port, connect, { origin: location.origin, credentialless });
  }
}
