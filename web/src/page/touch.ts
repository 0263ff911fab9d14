// SPDX-License-Identifier: MIT
// Fingers on the terminal, which xterm.js ignores. A drag scrolls. A long press
// selects a word, and a drag after it selects more.

import type { Terminal } from '@xterm/xterm';

/** Milliseconds that a finger must rest to select. */
const LONG_PRESS = 500;
/** CSS pixels that a finger may move while it counts as resting. */
const SLOP = 10;

interface Cell {
  column: number;
  /** The row, counted in the whole buffer. */
  row: number;
}

/**
 * A range of cells, as offsets from the start of the buffer. The end is not in
 * it.
 */
interface Range {
  start: number;
  end: number;
}

export class Touch {
  private start: { x: number; y: number } | undefined;
  private mode: 'undecided' | 'scrolling' | 'selecting' = 'undecided';
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lastY = 0;
  /** CSS pixels that were dragged and are less than a row. */
  private rest = 0;
  private word: Range | undefined;

  private readonly terminal: Terminal;
  private readonly element: HTMLElement;

  constructor(terminal: Terminal, element: HTMLElement) {
    this.terminal = terminal;
    this.element = element;
    // The listeners are not passive: what scrolls or selects here must do
    // nothing else.
    const options = { passive: false };
    element.addEventListener('touchstart', (event) => this.begin(event), options);
    element.addEventListener('touchmove', (event) => this.move(event), options);
    element.addEventListener('touchend', (event) => this.end(event), options);
    element.addEventListener('touchcancel', () => this.forget());
    // The browser's own menu for a long press would end the touch.
    element.addEventListener('contextmenu', (event) => {
      if (this.start !== undefined) event.preventDefault();
    });
  }

  private begin(event: TouchEvent): void {
    this.forget();
    // Two fingers zoom.
    const [touch] = event.touches;
    if (event.touches.length !== 1 || touch === undefined) return;
    this.start = { x: touch.clientX, y: touch.clientY };
    this.mode = 'undecided';
    this.lastY = touch.clientY;
    this.rest = 0;
    this.timer = setTimeout(() => this.selectWord(), LONG_PRESS);
  }

  private move(event: TouchEvent): void {
    const [touch] = event.touches;
    if (this.start === undefined || touch === undefined) return;
    if (event.touches.length !== 1) {
      this.forget();
      return;
    }
    if (this.mode === 'undecided') {
      if (Math.hypot(touch.clientX - this.start.x, touch.clientY - this.start.y) <= SLOP) return;
      clearTimeout(this.timer);
      this.mode = 'scrolling';
    }
    if (event.cancelable) event.preventDefault();
    if (this.mode === 'scrolling') this.scroll(touch);
    else this.extend(touch);
  }

  private end(event: TouchEvent): void {
    // This keeps a click from following, which would end the selection or open
    // the keyboard.
    if (this.mode !== 'undecided' && event.cancelable) event.preventDefault();
    if (event.touches.length === 0) this.forget();
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.start = undefined;
    this.mode = 'undecided';
    this.word = undefined;
  }

  private get screen(): DOMRect {
    return (this.element.querySelector('.xterm-screen') ?? this.element).getBoundingClientRect();
  }

  private scroll({ clientX, clientY }: Point): void {
    const height = this.screen.height / this.terminal.rows;
    this.rest += this.lastY - clientY;
    this.lastY = clientY;
    const rows = Math.trunc(this.rest / height);
    if (rows === 0) return;
    this.rest -= rows * height;
    if (this.terminal.buffer.active.type === 'normal' && this.terminal.modes.mouseTrackingMode === 'none') {
      this.terminal.scrollLines(rows);
      return;
    }
    // A program that has the whole screen gets what the wheel would send it.
    const target = this.element.querySelector('.xterm-screen');
    for (let row = 0; row < Math.abs(rows); ++row)
      target?.dispatchEvent(
        new WheelEvent('wheel', {
          deltaY: Math.sign(rows),
          deltaMode: WheelEvent.DOM_DELTA_LINE,
          clientX,
          clientY,
          bubbles: true,
          cancelable: true,
        }),
      );
  }

  private cellAt({ x, y }: { x: number; y: number }): Cell {
    const { left, top, width, height } = this.screen;
    const { cols, rows } = this.terminal;
    const within = (value: number, most: number) => Math.min(Math.max(Math.floor(value), 0), most - 1);
    return {
      column: within(((x - left) / width) * cols, cols),
      row: within(((y - top) / height) * rows, rows) + this.terminal.buffer.active.viewportY,
    };
  }

  /**
   * The word at a cell, which is all between two blanks. A blank is a word of
   * its own.
   */
  private wordAt({ column, row }: Cell): Range {
    const line = this.terminal.buffer.active.getLine(row);
    const isBlank = (index: number) => {
      const cell = line?.getCell(index);
      // The second half of a wide character has neither width nor text.
      return cell === undefined || (cell.getWidth() > 0 && cell.getChars().trim() === '');
    };
    const { cols } = this.terminal;
    let first = column;
    let last = column;
    if (!isBlank(column)) {
      while (first > 0 && !isBlank(first - 1)) --first;
      while (last + 1 < cols && !isBlank(last + 1)) ++last;
    }
    return { start: row * cols + first, end: row * cols + last + 1 };
  }

  private selectWord(): void {
    if (this.start === undefined) return;
    this.mode = 'selecting';
    this.word = this.wordAt(this.cellAt(this.start));
    this.select(this.word);
  }

  private extend({ clientX, clientY }: Point): void {
    if (this.word === undefined) return;
    const { start, end } = this.wordAt(this.cellAt({ x: clientX, y: clientY }));
    this.select({ start: Math.min(start, this.word.start), end: Math.max(end, this.word.end) });
  }

  private select({ start, end }: Range): void {
    const { cols } = this.terminal;
    this.terminal.select(start % cols, Math.floor(start / cols), end - start);
  }
}

type Point = Pick<globalThis.Touch, 'clientX' | 'clientY'>;
