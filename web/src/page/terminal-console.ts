// SPDX-License-Identifier: MIT
// The terminal of the page: xterm.js, its addons, and what connects it to a
// machine.

import { FitAddon } from '@xterm/addon-fit';
import { UnicodeGraphemesAddon } from '@xterm/addon-unicode-graphemes';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { GuestClipboard } from './clipboard.ts';
import { keyBehind } from './keys.ts';
import { Title } from './title.ts';
import { Touch } from './touch.ts';

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

/**
 * Milliseconds that the terminal's frame shows the bell, and then at least does
 * not show it. It shows at most two bells a second: three flashes are what WCAG
 * 2.3.1 allows.
 */
const BELL_SHOWN = 150;
const BELL_PAUSE = 350;

/**
 * What the terminal sends by itself: answers to the guest's questions, and
 * whether it has the focus.
 */
const ANSWER = /^\x1b(?:\[[?>=]?[\d;]*[Rnctuy]|\[[IO]$|[P\]])/;

export class Console {
  readonly terminal: Terminal;
  /** Whether somebody has typed since the last reset. */
  used = false;
  private readonly fit = new FitAddon();
  private readonly title = new Title();
  private compositionEnd = -Infinity;
  /**
   * The font and the size of a pixel for which the height of rows was computed.
   */
  private rowsFit = '';
  private bellRings = false;
  private tabMovesFocus = false;
  private tabModeChanged: (moves: boolean) => void = () => {};

  private readonly element: HTMLElement;

  constructor(element: HTMLElement, screenReader: boolean) {
    this.element = element;
    this.terminal = new Terminal({
      // The grapheme addon uses a proposed interface.
      allowProposedApi: true,
      // Blinking is an animation. It would keep the browser drawing: 3 % of a
      // core at the prompt.
      cursorBlink: false,
      fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      screenReaderMode: screenReader,
      scrollback: 10000,
      theme: THEME,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(new WebLinksAddon());
    this.terminal.loadAddon(new UnicodeGraphemesAddon());
    const clipboard = new GuestClipboard();
    this.terminal.parser.registerOscHandler(52, (data) => clipboard.handle(data));
    this.fitRows();
    // The size of the font may change by an option, and that of pixels by the
    // browser's zoom. Both draw everything again.
    this.terminal.onRender(() => this.fitRows());
    this.terminal.open(element);
    this.fit.fit();
    this.terminal.attachCustomKeyEventHandler((event) => this.handleKey(event));
    this.terminal.textarea?.addEventListener('compositionend', ({ timeStamp }) => (this.compositionEnd = timeStamp));
    this.terminal.textarea?.setAttribute('aria-describedby', 'terminal-help');
    this.terminal.onTitleChange((title) => this.title.set(title));
    this.terminal.onBell(() => this.ring());
    this.terminal.onData((text) => (this.used ||= !ANSWER.test(text)));
    this.terminal.onBinary(() => (this.used = true));
    new Touch(this.terminal, element);
    new ResizeObserver(() => this.fit.fit()).observe(element);
  }

  /**
   * Calls the handler for each input: text that was typed or pasted, and bytes
   * that are no text (mouse reports).
   */
  onInput(handler: (input: string | Uint8Array) => void): void {
    this.terminal.onData(handler);
    this.terminal.onBinary((text) => handler(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  }

  onResize(handler: (columns: number, rows: number) => void): void {
    this.terminal.onResize(({ cols, rows }) => handler(cols, rows));
  }

  /** Writes to the terminal. Resolves when the terminal has read the bytes. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.terminal.write(bytes, resolve));
  }

  /** Makes the terminal ready for a new machine. */
  reset(): void {
    this.terminal.reset();
    this.title.set('');
    this.used = false;
  }

  /**
   * Calls the handler when Tab begins or ceases to leave the terminal, by
   * Ctrl-M or by setTabMovesFocus().
   */
  onTabMode(handler: (moves: boolean) => void): void {
    this.tabModeChanged = handler;
  }

  setTabMovesFocus(moves: boolean): void {
    this.tabMovesFocus = moves;
    this.tabModeChanged(moves);
  }

  toggleTabMode(): void {
    this.setTabMovesFocus(!this.tabMovesFocus);
  }

  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
  }

  /** Copies the selected text. The browser wants a click or a key for this. */
  copy(): void {
    if (this.terminal.hasSelection()) void navigator.clipboard.writeText(this.terminal.getSelection()).catch(() => {});
  }

  /** Pastes as Ctrl-V does. A browser may ask the visitor first, or refuse. */
  async paste(): Promise<void> {
    const text = await navigator.clipboard.readText().catch(() => '');
    if (text !== '') this.terminal.paste(text);
  }

  /**
   * Makes rows one pixel of the screen higher than xterm.js does. xterm.js
   * takes the font's ascent and descent as the browser rounds them. A font has
   * the underscore at its lower end, and the missing pixel would be there.
   */
  private fitRows(): void {
    const { fontSize, fontFamily } = this.terminal.options;
    const wanted = `${fontSize}px ${fontFamily} ${devicePixelRatio}`;
    if (wanted === this.rowsFit) return;
    const zoomed = !this.rowsFit.endsWith(` ${devicePixelRatio}`);
    this.rowsFit = wanted;
    const context = document.createElement('canvas').getContext('2d');
    if (context === null) return;
    context.font = `${fontSize}px ${fontFamily}`;
    const { fontBoundingBoxAscent, fontBoundingBoxDescent } = context.measureText('W');
    const pixels = Math.ceil((fontBoundingBoxAscent + fontBoundingBoxDescent) * devicePixelRatio);
    // xterm.js rounds the product down to whole pixels.
    if (pixels > 0) this.terminal.options.lineHeight = (pixels + 1.01) / pixels;
    if (zoomed) this.fit.fit();
  }

  private ring(): void {
    this.title.bell();
    if (this.bellRings) return;
    this.bellRings = true;
    this.element.classList.add('bell');
    setTimeout(() => {
      this.element.classList.remove('bell');
      setTimeout(() => (this.bellRings = false), BELL_PAUSE);
    }, BELL_SHOWN);
  }

  /**
   * Handles the keys that are not for the guest. Returns true for all others,
   * which xterm.js then takes.
   *
   * Ctrl-Shift-C copies, as in other terminals. Ctrl-Shift-V is the browser's
   * own paste. Ctrl-M is Enter in other terminals; here it is the way out of
   * the terminal: Tab and Shift-Tab then move the focus, until Ctrl-M is
   * pressed again.
   */
  private handleKey(event: KeyboardEvent): boolean {
    if (event.type !== 'keydown') return true;
    const behind = keyBehind(event, this.compositionEnd);
    if (behind !== undefined) {
      // dispatchEvent() returns false if the terminal has used the key. Else
      // the browser may do what it does with the key, such as moving the focus.
      if (!this.terminal.textarea!.dispatchEvent(behind)) event.preventDefault();
      return false;
    }
    const { code, ctrlKey, shiftKey, altKey, metaKey } = event;
    if (code === 'KeyM' && ctrlKey && !shiftKey && !altKey && !metaKey) {
      this.toggleTabMode();
      event.preventDefault();
      return false;
    }
    if (code === 'Tab' && !ctrlKey && !altKey && !metaKey && this.tabMovesFocus) return false;
    if (!ctrlKey || !shiftKey) return true;
    if (code === 'KeyC') {
      this.copy();
      event.preventDefault();
      return false;
    }
    return code !== 'KeyV';
  }
}
