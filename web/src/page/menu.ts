// SPDX-License-Identifier: MIT
// A menu: a button of the header that opens a section below it.

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export class Menu {
  private readonly section: HTMLElement;
  private readonly button: HTMLElement;
  private readonly opened: () => unknown;

  /** `opened` is called whenever it opens. */
  constructor(button: string, section: string, opened: () => unknown) {
    this.button = element(button);
    this.section = element(section);
    this.opened = opened;
    this.button.addEventListener('click', () => this.open(this.section.hidden !== false));
    this.section.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.leave();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!this.section.contains(target as Node) && !this.button.contains(target as Node)) this.open(false);
    });
  }

  /** Closes it. Else nothing would have the focus, which goes to the button. */
  leave(): void {
    this.open(false);
    this.button.focus();
  }

  open(open: boolean): void {
    this.section.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (open) this.opened();
  }
}
