// SPDX-License-Identifier: MIT
// The visitor's clipboard, as programs of the guest reach it by the sequence
// OSC 52.
//
// Such a program may be anything that the visitor has downloaded. A file that
// is only printed can hold the sequence, too. So programs never learn what the
// clipboard holds. They may write to it only after the visitor has allowed that
// in this page.

/** Characters of the base64 text. Nobody wants to paste more than this. */
const MOST_CHARACTERS = 1_400_000;
/** Characters of the text that the question shows. */
const SHOWN_CHARACTERS = 60;

/**
 * The text that "SELECTION;BASE64" asks to copy. Undefined if it asks for the
 * content of the clipboard, means another selection, is too long, or is no
 * text.
 */
export function textToCopy(data: string): string | undefined {
  const separator = data.indexOf(';');
  // An empty selection means the clipboard, too. All others are X11's.
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
  /**
   * While the question is shown: the last text that a program wanted to copy.
   */
  private waiting: string | undefined;
  private readonly question = document.getElementById('question')!;
  private readonly text = document.getElementById('question-text')!;

  constructor() {
    const button = (id: string, answer: () => void) => {
      const element = document.getElementById(id)!;
      // This keeps the focus on the terminal.
      element.addEventListener('pointerdown', (event) => event.preventDefault());
      element.addEventListener('click', () => {
        this.question.hidden = true;
        answer();
        this.waiting = undefined;
      });
    };
    button('question-allow', () => {
      this.answer = 'allowed';
      // This must happen in the click: browsers may refuse it otherwise.
      if (this.waiting !== undefined) void navigator.clipboard.writeText(this.waiting).catch(() => {});
    });
    button('question-never', () => (this.answer = 'never'));
  }

  /**
   * Takes what follows "OSC 52 ;". It always returns true, which means that the
   * sequence needs no other handler.
   */
  handle(data: string): true {
    const text = textToCopy(data);
    if (text === undefined || this.answer === 'never') return true;
    if (this.answer === 'none') this.ask(text);
    // A browser that wants a click each time gets one.
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
