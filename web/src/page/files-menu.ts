// SPDX-License-Identifier: MIT
// The menu "Files": a list of buttons.

import type { Notice } from './bars.ts';
import { Menu } from './menu.ts';
import { textOf } from './texts.ts';

/** A line of the menu. */
export interface MenuEntry {
  label: string;
  /** Called in the click. What it throws is shown. */
  act: () => unknown;
  /** Asked when the menu opens. Without it, the entry can always be chosen. */
  isEnabled?: () => boolean;
}

/** `opened` is called whenever the menu opens. */
export function makeFilesMenu(notice: Notice, entries: readonly MenuEntry[], opened: () => unknown): void {
  const buttons: { button: HTMLButtonElement; isEnabled: () => boolean }[] = [];
  const menu = new Menu('files', 'files-menu', () => {
    for (const { button, isEnabled } of buttons) button.disabled = !isEnabled();
    opened();
  });
  for (const { label, act, isEnabled = () => true } of entries) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = label;
    button.addEventListener('click', () => {
      menu.leave();
      new Promise((resolve) => resolve(act())).catch((error: unknown) => notice.show(textOf(error)));
    });
    document.getElementById('files-menu')!.append(button);
    buttons.push({ button, isEnabled });
  }
}
