// SPDX-License-Identifier: MIT
// The keys that touch keyboards lack. Ctrl stays down for the next key, from the bar or the keyboard.

const KEYS: readonly [label: string, input: string][] = [
  ['Esc', '\x1b'],
  ['Tab', '\t'],
  ['Ctrl', ''],
  ['↑', '\x1b[A'],
  ['↓', '\x1b[B'],
  ['←', '\x1b[D'],
  ['→', '\x1b[C'],
  ['|', '|'],
  ['/', '/'],
  ['-', '-'],
  ['~', '~'],
];

/** What a terminal sends for Ctrl and this character; the character itself if there is no such key. */
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

  constructor(
    element: HTMLElement,
    private readonly send: (input: string) => void,
  ) {
    for (const [label, input] of KEYS) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      // Keeps the focus, and with it the touch keyboard, on the terminal.
      button.addEventListener('pointerdown', (event) => event.preventDefault());
      button.addEventListener('click', () =>
        input === '' ? this.setControl(!this.controlDown) : this.send(this.filter(input)),
      );
      if (input === '') {
        this.control = button;
        button.setAttribute('aria-pressed', 'false');
      }
      element.append(button);
    }
    const touch = matchMedia('(pointer: coarse)');
    element.hidden = !touch.matches;
    touch.addEventListener('change', () => (element.hidden = !touch.matches));
  }

  /** All keyboard input goes through here. */
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
