// SPDX-License-Identifier: MIT
// The terminal of the page: xterm.js, its addons, and what connects it to a machine.

import { FitAddon } from '@xterm/addon-fit';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { GuestClipboard } from './clipboard.ts';

const THEME = {
  background: '#10141a',
  foreground: '#d5dbe5',
  cursor: '#ffb454',
  cursorAccent: '#10141a',
  selectionBackground: '#3a4a63',
  black: '#1d2430',
  red: '#ff7a72',
  green: '#9ccc65',
  yellow: '#ffb454',
  blue: '#6fb1ff',
  magenta: '#d49bff',
  cyan: '#5ccfe6',
  white: '#c7d0dd',
  brightBlack: '#66738a',
  brightRed: '#ff9a93',
  brightGreen: '#b8e08a',
  brightYellow: '#ffd080',
  brightBlue: '#9accff',
  brightMagenta: '#e3bfff',
  brightCyan: '#95e6f2',
  brightWhite: '#ffffff',
};

export class Console {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();

  constructor(element: HTMLElement) {
    this.terminal = new Terminal({
      // Blinking is an animation, which would keep the browser drawing: 3 % of a core at the prompt.
      cursorBlink: false,
      fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      scrollback: 10000,
      theme: THEME,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(new WebLinksAddon());
    const clipboard = new GuestClipboard();
    this.terminal.parser.registerOscHandler(52, (data) => clipboard.handle(data));
    this.terminal.open(element);
    this.fit.fit();
    this.terminal.attachCustomKeyEventHandler((event) => this.handleKey(event));
    new ResizeObserver(() => this.fit.fit()).observe(element);
  }

  /** Text typed or pasted, and bytes that are no text (mouse reports). */
  onInput(handler: (input: string | Uint8Array) => void): void {
    this.terminal.onData(handler);
    this.terminal.onBinary((text) => handler(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  }

  onResize(handler: (columns: number, rows: number) => void): void {
    this.terminal.onResize(({ cols, rows }) => handler(cols, rows));
  }

  write(bytes: Uint8Array): void {
    this.terminal.write(bytes);
  }

  /** Ctrl-Shift-C copies, as in other terminals; Ctrl-Shift-V is the browser's own paste. */
  private handleKey(event: KeyboardEvent): boolean {
    if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) return true;
    if (event.code === 'KeyC') {
      if (this.terminal.hasSelection()) void navigator.clipboard.writeText(this.terminal.getSelection());
      event.preventDefault();
      return false;
    }
    return event.code !== 'KeyV';
  }
}
