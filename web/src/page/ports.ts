// SPDX-License-Identifier: MIT
// A bar that offers the ports at which programs of the guest listen.

import type { Machine } from '../api/machine.ts';
import type { Previews } from './previews.ts';

/** Buttons in the bar. */
const MOST_SHOWN = 8;

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export class Ports {
  private readonly bar = element('ports');
  private readonly text = element('ports-text');
  private readonly buttons = element('ports-open');
  private readonly machine: () => Machine | undefined;
  private previews: Promise<Previews | undefined> | undefined;
  private readonly open = new Set<number>();
  /** Ports that the visitor does not want to hear of. */
  private readonly dismissed = new Set<number>();

  constructor(machine: () => Machine | undefined) {
    this.machine = machine;
    element('ports-close').addEventListener('click', () => {
      for (const port of this.open) this.dismissed.add(port);
      this.bar.hidden = true;
    });
  }

  /** Machines without a network card have no ports to show. */
  async serve(machine: Machine): Promise<void> {
    this.open.clear();
    this.bar.hidden = true;
    if (!machine.network.exists) return;
    this.previews ??= import('./previews.ts').then(({ Previews }) => Previews.open(this.machine));
    const previews = await this.previews.catch(() => undefined);
    if (previews === undefined || machine !== this.machine()) return;
    machine.network.watchPorts((port, isOpen) => {
      if (machine !== this.machine()) return;
      if (isOpen) {
        this.open.add(port);
        previews.opened(port);
      } else {
        this.open.delete(port);
        this.dismissed.delete(port);
      }
      this.show(previews);
    });
  }

  private show(previews: Previews): void {
    const shown = [...this.open].filter((port) => !this.dismissed.has(port)).toSorted((one, other) => one - other);
    this.bar.hidden = shown.length === 0;
    if (shown.length === 0) return;
    const [first] = shown;
    this.text.textContent =
      shown.length === 1
        ? `Port ${first} of the machine is open.`
        : `Ports of the machine are open: ${shown.join(', ')}.`;
    this.buttons.replaceChildren(
      ...shown.slice(0, MOST_SHOWN).map((port) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = `Open port ${port}`;
        button.addEventListener('click', () => previews.show(port));
        return button;
      }),
    );
  }
}
