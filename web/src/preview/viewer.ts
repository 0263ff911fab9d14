// SPDX-License-Identifier: MIT
// The page port.html#PORT: a tab that shows the site of a guest's port. It has
// the page's origin and is opened by the page, which isolates both from other
// tabs. So the guest's site, of another origin, is in a frame here.

import {
  KEEPER_PATH,
  type FromKeeper,
  type FromViewer,
  type Greeting,
  type ToKeeper,
  type ToViewer,
  type Untrusted,
  type ViewerHello,
} from './protocol.ts';

/** Milliseconds between two knocks at a page that does not answer. */
const KNOCK = 1000;

/**
 * What a guest's site may do. It cannot lead this tab elsewhere. It has an
 * origin of its own, so allow-same-origin gives it no more than that.
 */
const SANDBOX =
  'allow-scripts allow-same-origin allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-downloads';

/** The site's scripts reach those of the keeper, which has its origin. */
const KEEPER_SANDBOX = 'allow-scripts allow-same-origin';

const text = document.getElementById('text')!;
const frames = document.getElementById('frames')!;

function show(message: string | undefined): void {
  text.textContent = message ?? '';
  text.hidden = message === undefined;
  frames.hidden = message !== undefined;
}

class Viewer {
  private readonly port: number;
  /** To the page, while it is there. */
  private link: MessagePort | undefined;
  private origin: string | undefined;
  private keeper: HTMLIFrameElement | undefined;
  private site: HTMLIFrameElement | undefined;

  constructor(port: number) {
    this.port = port;
    addEventListener('message', (event: MessageEvent<Untrusted<FromKeeper>>) => {
      const isKeeper = event.source !== null && event.source === this.keeper?.contentWindow;
      if (isKeeper && event.origin === this.origin) this.heard(event.data, event.ports);
    });
  }

  /** Asks the page that has opened this tab until it answers. */
  knock(): void {
    const opener = window.opener as Window | null;
    if (opener === null || opener.closed)
      return show('The page with the machine is closed. Open this port from it again.');
    const { port1, port2 } = new MessageChannel();
    const again = setTimeout(() => {
      port1.close();
      this.knock();
    }, KNOCK);
    port1.onmessage = ({ data }: MessageEvent<ToViewer>) => {
      clearTimeout(again);
      this.told(data, port1);
    };
    const hello: ViewerHello = { type: 'auklet-preview', port: this.port };
    opener.postMessage(hello, location.origin, [port2]);
  }

  private told(message: ToViewer, link: MessagePort): void {
    if (message.type === 'reload') {
      if (this.link === link) this.load();
      return;
    }
    this.link = link;
    // The page holds this lock as long as it is there.
    void navigator.locks.request(message.lock, { mode: 'shared' }, () => this.gone(link));
    if (this.origin === message.origin) this.load();
    else this.open(message.origin);
  }

  private open(origin: string): void {
    this.origin = origin;
    this.site?.remove();
    this.keeper?.remove();
    this.site = undefined;
    const keeper = document.createElement('iframe');
    keeper.hidden = true;
    keeper.setAttribute('sandbox', KEEPER_SANDBOX);
    keeper.src = origin + KEEPER_PATH;
    this.keeper = keeper;
    document.body.append(keeper);
  }

  private heard(message: Untrusted<FromKeeper>, ports: readonly MessagePort[]): void {
    if (message?.type === 'hello') this.tell({ type: 'welcome' });
    else if (message?.type === 'ready') this.load();
    else if (message?.type === 'failed') show(`This browser cannot show it here: ${String(message.message)}`);
    else if (message?.type === 'connect') {
      const [port] = ports;
      if (this.link !== undefined && port !== undefined)
        this.link.postMessage({ type: 'connect' } satisfies FromViewer, [port]);
      else port?.postMessage({ type: 'gone' } satisfies Greeting);
    }
  }

  /** Shows the site, or its first page again. */
  private load(): void {
    show(undefined);
    const src = `${this.origin}/`;
    if (this.site === undefined) {
      const site = document.createElement('iframe');
      site.title = document.title;
      site.setAttribute('sandbox', SANDBOX);
      site.allow = 'fullscreen; clipboard-write';
      site.src = src;
      frames.append(site);
      this.site = site;
    } else this.site.src = src;
  }

  private gone(link: MessagePort): void {
    if (this.link !== link) return;
    link.close();
    this.link = undefined;
    this.tell({ type: 'gone' });
    show('The page with the machine is closed or loads again. This tab goes on when it is back.');
    this.knock();
  }

  private tell(message: ToKeeper): void {
    this.keeper?.contentWindow?.postMessage(message, this.origin!);
  }
}

const port = Number(/^#(\d{1,5})$/.exec(location.hash)?.[1]);
if (port >= 1 && port <= 65_535) {
  document.title = `Port ${port} – Auklet`;
  show(`Port ${port} is being opened.`);
  new Viewer(port).knock();
} else show('This address names no port.');
