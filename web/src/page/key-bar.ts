// SPDX-License-Identifier: MIT
// A bar with the keys that touch keyboards lack, and with the clipboard. Ctrl
// stays down for the next key, from the bar or from the keyboard.

/** What a press does: it types a text, it is Ctrl, or it is for the page. */
type Action = { input: string } | 'control' | 'copy' | 'paste';

const KEYS: readonly [label: string, action: Action][] = [
  ['Esc', { input: '\x1b' }],
  ['Tab', { input: '\t' }],
  ['Ctrl', 'control'],
  ['^C', { input: '\x03' }],
  ['↑', { input: '\x1b[A' }],
  ['↓', { input: '\x1b[B' }],
  ['←', { input: '\x1b[D' }],
  ['→', { input: '\x1b[C' }],
  ['Copy', 'copy'],
  ['Paste', 'paste'],
  ['Home', { input: '\x1b[H' }],
  ['End', { input: '\x1b[F' }],
  ['PgUp', { input: '\x1b[5~' }],
  ['PgDn', { input: '\x1b[6~' }],
  ['|', { input: '|' }],
  ['/', { input: '/' }],
  ['-', { input: '-' }],
  ['~', { input: '~' }],
];

export interface KeyBarOwner {
  type(input: string): void;
  copy(): void;
  paste(): void;
}

/**
 * What a terminal sends for Ctrl with this character. It is the character
 * itself if there is no such key.
 */
export function controlCharacter(text: string): string {
  const code = text.toUpperCase().charCodeAt(0);
  if (text.length !== 1) return text;
  if (text === ' ') return '\0';
  if (text === '?') return '\x7f';
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code - 0x40) : text;
}

export class KeyBar {
  private control: HTMLButtonElement | undefined;
  private controlDown = false;

  private readonly owner: KeyBarOwner;

  constructor(element: HTMLElement, owner: KeyBarOwner) {
    this.owner = owner;
    for (const [label, action] of KEYS) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      // This keeps the focus, and with it the touch keyboard, on the terminal.
      button.addEventListener('pointerdown', (event) => event.preventDefault());
      button.addEventListener('click', () => this.press(action));
      if (action === 'control') {
        this.control = button;
        button.setAttribute('aria-pressed', 'false');
      }
      element.append(button);
    }
    const touch = matchMedia('(pointer: coarse)');
    element.hidden = !touch.matches;
    touch.addEventListener('change', () => (element.hidden = !touch.matches));
  }

  private press(action: Action): void {
    if (action === 'control') this.setControl(!this.controlDown);
    else if (action === 'copy') this.owner.copy();
    else if (action === 'paste') this.owner.paste();
    else this.owner.type(this.filter(action.input));
  }

  /** Applies Ctrl to an input. All input of the keyboard goes through here. */
  filter(input: string): string {
    if (!this.controlDown) return input;
    this.setControl(false);
    return controlCharacter(input);
  }

  private setControl(down: boolean): void {
    this.controlDown = down;
    this.control?.setAttribute('aria-pressed', String(down));
  }
}
