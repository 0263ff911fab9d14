// SPDX-License-Identifier: MIT
// The bars below the terminal: a notice, and a task that takes its time.

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** A text that stays until somebody closes it. */
export class Notice {
  private readonly bar = element('notice');
  private readonly text = element('notice-text');

  constructor() {
    element('notice-close').addEventListener('click', () => (this.bar.hidden = true));
  }

  show(text: string): void {
    this.text.textContent = text;
    this.bar.hidden = false;
  }

  /** Closes it, unless it shows another text. */
  withdraw(text: string): void {
    if (this.text.textContent === text) this.bar.hidden = true;
  }
}

/** `part` is what is done, 0 to 1, if that is known. */
export type Report = (text: string, part?: number) => void;

/**
 * Shows one task at a time with its progress; others wait for their turn. A
 * visitor may cancel it.
 */
export class TaskBar {
  private readonly bar = element('task');
  private readonly text = element('task-text');
  private readonly progress = element('task-progress') as HTMLProgressElement;
  private cancel: AbortController | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor() {
    element('task-cancel').addEventListener('click', () =>
      this.cancel?.abort(new DOMException('cancelled', 'AbortError')),
    );
  }

  /**
   * Runs a task; returns its result, or undefined if it was cancelled. Throws
   * what the task throws.
   */
  run<Result>(task: (report: Report, signal: AbortSignal) => Promise<Result>): Promise<Result | undefined> {
    const result = this.last.then(() => this.start(task));
    this.last = result.catch(() => {});
    return result;
  }

  private async start<Result>(
    task: (report: Report, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result | undefined> {
    const cancel = (this.cancel = new AbortController());
    this.report('');
    this.bar.hidden = false;
    try {
      return await task((text, part) => this.report(text, part), cancel.signal);
    } catch (error) {
      if (cancel.signal.aborted) return undefined;
      throw error;
    } finally {
      this.cancel = undefined;
      this.bar.hidden = true;
    }
  }

  private report(text: string, part?: number): void {
    this.text.textContent = text;
    if (part === undefined) this.progress.removeAttribute('value');
    else this.progress.value = part;
  }
}
