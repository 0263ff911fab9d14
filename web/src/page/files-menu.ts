// SPDX-License-Identifier: MIT
// The menu "Files": a button that opens a list of buttons.

import type { Notice } from './bars.ts';
import { textOf } from './texts.ts';

/** A line of the menu. */
export interface MenuEntry {
  label: string;
  /** Called in the click. What it throws is shown. */
  act: () => unknown;
  /** Asked when the menu opens. Without it, the entry can always be chosen. */
  isEnabled?: () => boolean;
}

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export class FilesMenu {
  private readonly menu = element('files-menu');
  private readonly button = element('files');
  private readonly buttons: { button: HTMLButtonElement; isEnabled: () => boolean }[] = [];
  private readonly opened: () => unknown;

  /** `opened` is called whenever the menu opens. */
  constructor(notice: Notice, entries: readonly MenuEntry[], opened: () => unknown) {
    this.opened = opened;
    this.button.addEventListener('click', () => this.open(this.menu.hidden !== false));
    this.menu.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.leave();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!this.menu.contains(target as Node) && target !== this.button) this.open(false);
    });
    for (const { label, act, isEnabled = () => true } of entries) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', () => {
        // Else nothing would have the focus: the menu is gone.
        this.leave();
        new Promise((resolve) => resolve(act())).catch((error: unknown) => notice.show(textOf(error)));
      });
      this.menu.append(button);
      this.buttons.push({ button, isEnabled });
    }
  }

  private leave(): void {
    this.open(false);
    this.button.focus();
  }

  private open(open: boolean): void {
    this.menu.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (!open) return;
    for (const { button, isEnabled } of this.buttons) button.disabled = !isEnabled();
    this.opened();
  }
}
