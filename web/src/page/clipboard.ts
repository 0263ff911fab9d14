// SPDX-License-Identifier: MIT
// Programs of the guest and the visitor's clipboard: the sequence OSC 52.
//
// A program may be anything that the visitor has downloaded, and a file that is only printed can hold the sequence. So what the
// clipboard has is never told, and it is written only after the visitor has allowed that in this page.

/** Of the base64 text. More is nothing that somebody wants to paste. */
const MOST_CHARACTERS = 1_400_000;
/** Of what the question shows. */
const SHOWN_CHARACTERS = 60;

/** The text that "SELECTION;BASE64" asks to copy; undefined for a question, another selection, or what is no text. */
export function textToCopy(data: string): string | undefined {
  const separator = data.indexOf(';');
  // An empty selection means the clipboard, too. The others are X11's.
  if (separator < 0 || !/^[cs]*$/.test(data.slice(0, separator))) return undefined;
  const encoded = data.slice(separator + 1);
  if (encoded === '' || encoded.length > MOST_CHARACTERS) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export class GuestClipboard {
  private answer: 'none' | 'allowed' | 'never' = 'none';
  /** The last text that a program wanted to copy, while the question is shown. */
  private waiting: string | undefined;
  private readonly question = document.getElementById('question')!;
  private readonly text = document.getElementById('question-text')!;

  constructor() {
    const button = (id: string, answer: () => void) => {
      const element = document.getElementById(id)!;
      // Keeps the focus on the terminal.
      element.addEventListener('pointerdown', (event) => event.preventDefault());
      element.addEventListener('click', () => {
        this.question.hidden = true;
        answer();
        this.waiting = undefined;
      });
    };
    button('question-allow', () => {
      this.answer = 'allowed';
      // In the click, without which browsers may refuse it.
      if (this.waiting !== undefined) void navigator.clipboard.writeText(this.waiting).catch(() => {});
    });
    button('question-never', () => (this.answer = 'never'));
  }

  /** Takes what follows "OSC 52 ;". Always true: the sequence is done with. */
  handle(data: string): true {
    const text = textToCopy(data);
    if (text === undefined || this.answer === 'never') return true;
    if (this.answer === 'none') this.ask(text);
    // A browser that wants a click for each time gets one.
    else navigator.clipboard.writeText(text).catch(() => this.ask(text));
    return true;
  }

  private ask(text: string): void {
    this.waiting = text;
    const start = Array.from(text).slice(0, SHOWN_CHARACTERS).join('').replace(/\s+/g, ' ');
    this.text.textContent = `A program wants to copy to your clipboard: “${start}${text.length > start.length ? '…' : ''}”`;
    this.question.hidden = false;
  }
}
