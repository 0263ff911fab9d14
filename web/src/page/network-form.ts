// SPDX-License-Identifier: MIT
// The form in which the visitor says where Linux's network leads.

import { parseChoice, type NetworkChoice } from './network-choice.ts';
import { textOf } from './texts.ts';

const KINDS = ['none', 'fetch', 'own', 'relay'] as const;
type Kind = (typeof KINDS)[number];

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** A page that came by https reaches others by wss only, but this computer. */
function isMixed(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return location.protocol === 'https:' && protocol === 'ws:' && !/^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
}

export class NetworkForm {
  private readonly address = element('network-address') as HTMLInputElement;
  private readonly fault = element('network-fault');
  private readonly choose: (choice: NetworkChoice) => void;

  constructor(choose: (choice: NetworkChoice) => void) {
    this.choose = choose;
    element('network-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.address.addEventListener('input', () => {
      this.button('relay').checked = true;
      this.say('');
    });
  }

  private button(kind: Kind): HTMLInputElement {
    return element(`network-${kind}`) as HTMLInputElement;
  }

  /** Shows what is chosen. */
  show(choice: NetworkChoice): void {
    this.button(choice.kind).checked = true;
    if (choice.kind === 'relay') this.address.value = choice.url;
    this.say('');
  }

  /** Whether the server of the page has a relay. */
  offerOwn(isThere: boolean): void {
    const own = this.button('own');
    // One that is chosen stays, so that the visitor sees it.
    own.disabled = !isThere && !own.checked;
    element('network-missing').textContent = isThere ? '' : 'This server has none; ./auklet run has one.';
  }

  private submit(): void {
    const kind = KINDS.find((each) => this.button(each).checked)!;
    if (kind !== 'relay') return this.choose({ kind });
    try {
      const choice = parseChoice(`relay:${this.address.value.trim()}`) as NetworkChoice & { kind: 'relay' };
      if (isMixed(choice.url)) throw new TypeError('this page came by https, so the address must begin with wss://');
      this.choose(choice);
    } catch (error) {
      this.say(textOf(error));
      this.address.focus();
    }
  }

  private say(fault: string): void {
    this.fault.textContent = fault === '' ? '' : `${fault.slice(0, 1).toUpperCase()}${fault.slice(1)}.`;
    this.address.setAttribute('aria-invalid', String(fault !== ''));
  }
}
