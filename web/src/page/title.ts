// SPDX-License-Identifier: MIT
// The title of the browser's tab: the title that a program in the guest gives
// it, and a mark if its bell has rung while the page was not in front.

const OWN = 'Auklet';
const MOST_CHARACTERS = 80;
const BELL = '🔔 ';

/**
 * Cleans a title of the guest for people to see. It has no control characters,
 * no characters that change the direction of writing, and at most
 * MOST_CHARACTERS.
 */
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

  /**
   * Sets the guest's part of the title. The page's own name stays in the title,
   * so that a program cannot pass for another site.
   */
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
