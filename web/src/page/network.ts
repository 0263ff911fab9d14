// SPDX-License-Identifier: MIT
// Where Linux's network leads: nowhere, unless the visitor switches it on. The
// form for that is in network-form.ts, which is loaded when it is first opened.

import type { Machine, NetworkState } from '../index.ts';
import type { NetworkOptions } from '../network/options.ts';
import { RELAY_FILE, relayOf } from '../network/relay-file.ts';
import type { Notice } from './bars.ts';
import { Menu } from './menu.ts';
import {
  consent,
  keepChoice,
  keptChoice,
  needsConsent,
  NO_NETWORK,
  shownRelay,
  type NetworkChoice,
  type NetworkLink,
} from './network-choice.ts';
import type { NetworkForm } from './network-form.ts';
import type { Overlay } from './overlay.ts';
import { textOf } from './texts.ts';

export interface NetworkPage {
  /** Boots a machine anew, after its programs' files were written. */
  restart: () => Promise<void>;
  /** Whether somebody has typed into the machine that runs. */
  isUsed: () => boolean;
  focus: () => void;
}

/** What the button says beside its name. */
const MARKS: Record<NetworkState, string> = {
  off: 'off',
  connecting: 'connecting',
  connected: 'on',
  away: 'away',
  refused: 'refused',
};

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** The address of the relay of `./auklet run`. Undefined: there is none. */
async function findOwn(): Promise<string | undefined> {
  const response = await fetch(new URL(RELAY_FILE, document.baseURI), { cache: 'no-store', credentials: 'omit' });
  // Some servers answer with a page for all that they do not have.
  const file: unknown = response.ok ? await response.json().catch(() => undefined) : undefined;
  return relayOf(file, new URL(location.href));
}

export class PageNetwork {
  private readonly page: NetworkPage;
  private readonly overlay: Overlay;
  private readonly notice: Notice;
  private readonly menu: Menu;
  private form: NetworkForm | undefined;
  private choice = NO_NETWORK;
  /** The visitor has chosen since the page was loaded: its address is old. */
  private hasChosen = false;
  /** Undefined: none, or it has ended. */
  private machine: Machine | undefined;
  private hasCard = false;
  /** The page's own relay, as the card has it. */
  private ownUrl: string | undefined;
  private state: NetworkState = 'off';
  private fault = '';
  /** The notice of what is wrong, as long as it is. */
  private complaint: string | undefined;

  constructor(page: NetworkPage, overlay: Overlay, notice: Notice) {
    this.page = page;
    this.overlay = overlay;
    this.notice = notice;
    this.menu = new Menu('network', 'network-menu', () => {
      this.openForm().catch((error: unknown) => {
        this.menu.leave();
        notice.show(textOf(error));
      });
    });
    for (const event of ['online', 'offline']) addEventListener(event, () => this.show());
  }

  private async openForm(): Promise<void> {
    const { NetworkForm } = await import('./network-form.ts');
    this.form ??= new NetworkForm((choice) => {
      this.menu.leave();
      this.choose(choice);
    });
    this.form.show(this.choice);
    this.form.offerOwn((await findOwn().catch(() => undefined)) !== undefined);
  }

  // ---- the choice -----------------------------------------------------------

  /**
   * Decides for the next machine. Returns true if the visitor is asked first;
   * `start` is called then.
   */
  asks(link: NetworkLink, start: () => void): boolean {
    if (this.hasChosen) return false;
    this.choice = link.choice ?? keptChoice();
    if (!needsConsent(link)) return false;
    const decide = (allowed: boolean) => {
      // By the menu, which is there meanwhile.
      if (!this.hasChosen) {
        this.hasChosen = true;
        if (allowed) consent(link);
        else this.choice = NO_NETWORK;
      }
      start();
    };
    this.overlay.ask('A network for Linux?', this.doubts(link), [
      { label: 'Start without the network', choose: () => decide(false) },
      { label: 'Use the network', choose: () => decide(true) },
    ]);
    return true;
  }

  private doubts({ choice, kernelArguments }: NetworkLink): string {
    const texts = [];
    if (choice?.kind === 'relay')
      texts.push(
        `The address of this page wants the relay at ${shownRelay(choice.url)} for Linux. Whoever runs it sees whom` +
          ' Linux connects to, and can read and change what is not encrypted.',
      );
    else if (choice !== undefined) texts.push('The address of this page wants a network for Linux.');
    if (kernelArguments !== undefined)
      texts.push(
        'The address has arguments for the kernel. They can run programs, which could send files that this browser' +
          ' keeps for Linux through the network.',
      );
    texts.push('Start without the network if you do not trust whoever gave you the address.');
    return texts.join('\n');
  }

  /** What the visitor wants from now on. */
  private choose(choice: NetworkChoice): void {
    const { machine } = this;
    const take = () => {
      this.hasChosen = true;
      this.choice = choice;
      keepChoice(choice);
    };
    const restart = () => {
      take();
      this.page.restart().catch((error: unknown) => this.notice.show(textOf(error)));
    };
    const needsRestart = machine !== undefined && !this.hasCard && choice.kind !== 'none';
    if (needsRestart && !this.page.isUsed()) restart();
    else if (needsRestart)
      this.overlay.ask(
        'Start Linux again?',
        'It has no network card yet, and gets one when it starts again. Programs that run now end.',
        [
          { label: 'Not now', choose: () => this.page.focus() },
          { label: 'Start again', choose: restart },
        ],
      );
    else {
      take();
      if (machine !== undefined && this.hasCard) void this.connect(machine);
      this.show();
      this.page.focus();
    }
  }

  // ---- the machine ----------------------------------------------------------

  /** For a new machine: it has no card if there is to be no network. */
  options(): { network?: NetworkOptions } {
    return this.choice.kind === 'none' ? {} : { network: { type: 'local' } };
  }

  /** Lets the card of a new machine lead to where it should. */
  use(machine: Machine): void {
    this.machine = machine;
    this.hasCard = this.choice.kind !== 'none';
    this.turn('off', '');
    void machine.halted.then(() => {
      if (this.machine !== machine) return;
      this.machine = undefined;
      this.turn('off', '');
    });
    if (!this.hasCard) return;
    machine.network.onState((state, text) => {
      if (this.machine === machine) this.hear(state, text);
    });
    void this.connect(machine);
  }

  private async connect(machine: Machine): Promise<void> {
    const { choice } = this;
    const isCurrent = () => this.choice === choice && this.machine === machine;
    try {
      const options = await this.optionsOf(choice);
      if (isCurrent()) machine.network.exchange(options);
    } catch (error) {
      if (!isCurrent()) return;
      machine.network.exchange({ type: 'local' });
      this.turn('refused', textOf(error));
    }
  }

  private async optionsOf(choice: NetworkChoice): Promise<NetworkOptions> {
    if (choice.kind === 'none') return { type: 'local' };
    if (choice.kind === 'fetch') return { type: 'fetch' };
    if (choice.kind === 'relay') return { type: 'wisp', url: choice.url };
    const url = await findOwn().catch(() => {
      throw new Error('the server of this page does not answer');
    });
    if (url === undefined) throw new Error('the server of this page has no relay; ./auklet run has one');
    this.ownUrl = url;
    return { type: 'wisp', url };
  }

  /** What the machine tells of its network. */
  private hear(state: NetworkState, text: string): void {
    // The card is off until its first backend, and after connect() has failed.
    if (state === 'off' && this.choice.kind !== 'none') return;
    // It is tried again and again.
    if (state !== 'connecting' || this.state !== 'away') this.turn(state, text);
    // `./auklet run` has another token when it is started again.
    const { machine, ownUrl } = this;
    if (state !== 'away' || this.choice.kind !== 'own' || machine === undefined) return;
    findOwn().then(
      (url) => {
        if (url !== undefined && url !== ownUrl && ownUrl === this.ownUrl && this.machine === machine)
          void this.connect(machine);
      },
      () => {
        // It is not there yet, and this is asked again with the next attempt.
      },
    );
  }

  private turn(state: NetworkState, fault: string): void {
    const isBack = state === 'connected' && this.complaint !== undefined;
    this.state = state;
    this.fault = fault;
    if (state === 'away' || state === 'refused') {
      if (this.complaint === undefined) this.notice.show((this.complaint = this.describe()));
    } else if (this.complaint !== undefined && state !== 'connecting') {
      this.notice.withdraw(this.complaint);
      this.complaint = undefined;
    }
    if (isBack) this.overlay.say('The network is back');
    this.show();
  }

  // ---- what the visitor sees ------------------------------------------------

  private show(): void {
    element('network').dataset.state = this.state;
    element('network-mark').textContent = `: ${MARKS[this.state]}`;
    element('network-state').textContent = this.describe();
  }

  private describe(): string {
    const { choice, hasCard, fault, state } = this;
    if (choice.kind === 'none')
      return hasCard ? 'Off. The network card of Linux leads nowhere.' : 'Off. Linux has no network card.';
    if (this.machine === undefined) return 'Linux gets a network card when it starts.';
    if (state === 'refused') return `There is no network: ${fault}.`;
    const offline = navigator.onLine || choice.kind === 'own' ? '' : ' This browser is offline now.';
    if (choice.kind === 'fetch') return `On. Linux reaches web servers that allow it, by this browser.${offline}`;
    const relay = choice.kind === 'own' ? 'the relay of this server' : `the relay at ${shownRelay(choice.url)}`;
    if (state === 'away') return `There is no network: ${fault}. Linux waits for ${relay}.${offline}`;
    if (state === 'connected') return `On. Linux reaches the internet by ${relay}.`;
    return `Connecting to ${relay}.${offline}`;
  }
}
