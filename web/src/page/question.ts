// SPDX-License-Identifier: MIT
// A bar below the terminal that asks about downloads.

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** Asks something, while the terminal can be used. One question at a time. */
export class Question {
  private readonly bar = element('offer');
  private readonly text = element('offer-text');
  private readonly answers = element('offer-answers');
  private last: Promise<unknown> = Promise.resolve();

  /** Resolves to the answer that is chosen; undefined if `signal` aborts. */
  ask(text: string, answers: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const result = this.last.then(() => this.show(text, answers, signal));
    this.last = result;
    return result;
  }

  private show(text: string, answers: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
    if (signal?.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const end = (answer: string | undefined) => {
        this.bar.hidden = true;
        signal?.removeEventListener('abort', aborted);
        resolve(answer);
      };
      const aborted = () => end(undefined);
      signal?.addEventListener('abort', aborted);
      this.text.textContent = text;
      this.answers.replaceChildren(
        ...answers.map((answer) => {
          const button = document.createElement('button');
          button.type = 'button';
          button.textContent = answer;
          // This keeps the focus on the terminal.
          button.addEventListener('pointerdown', (event) => event.preventDefault());
          button.addEventListener('click', () => end(answer));
          return button;
        }),
      );
      this.bar.hidden = false;
    });
  }
}
