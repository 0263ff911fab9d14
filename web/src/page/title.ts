// SPDX-License-Identifier: MIT
// The title of the browser's tab: what a program in the guest calls it, and a mark when its bell rang behind another tab.

const OWN = 'Auklet';
const MOST_CHARACTERS = 80;
const BELL = '🔔 ';

/** A title of the guest for people to see: no control characters, none that change the direction of writing, not too long. */
export function cleanTitle(title: string): string {
  const visible = title
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  const characters = Array.from(visible);
  return characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS - 1).join('')}…` : visible;
}

export class Title {
  private guest = '';
  private rang = false;

  constructor() {
    const seen = () => {
      if (document.hidden) return;
      this.rang = false;
      this.show();
    };
    document.addEventListener('visibilitychange', seen);
    addEventListener('focus', seen);
  }

  /** The own name stays in it, so that a program cannot pass for another site. */
  set(title: string): void {
    this.guest = cleanTitle(title);
    this.show();
  }

  bell(): void {
    if (document.hasFocus() && !document.hidden) return;
    this.rang = true;
    this.show();
  }

  private show(): void {
    document.title = (this.rang ? BELL : '') + (this.guest === '' ? OWN : `${this.guest} – ${OWN}`);
  }
}
