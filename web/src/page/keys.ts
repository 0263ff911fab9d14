// SPDX-License-Identifier: MIT
// Keys while an input method is on. Browsers report all of them as 229, "being
// processed". xterm.js then expects a text to come.

/**
 * The codes by which xterm.js knows keys that are no text. Enter is left out,
 * because it may end a composition.
 */
const KEY_CODES: Record<string, number> = {
  Escape: 27,
  Tab: 9,
  PageUp: 33,
  PageDown: 34,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowUp: 38,
  ArrowRight: 39,
  ArrowDown: 40,
  Insert: 45,
  Delete: 46,
};

/** Keys that are text, where they are pressed with Ctrl. */
const CONTROL_CODES: Record<string, [key: string, keyCode: number]> = {
  Space: [' ', 32],
  BracketLeft: ['[', 219],
  Backslash: ['\\', 220],
  BracketRight: [']', 221],
};

/**
 * Milliseconds after the end of a composition in which a key may belong to it.
 * Safari reports the key that has ended a composition after the end.
 */
const AFTER_COMPOSITION = 100;

const BEING_PROCESSED = 229;

/**
 * The key behind an event of an input method. Undefined if it is text, or
 * belongs to a composition.
 */
export function keyBehind(event: KeyboardEvent, compositionEnd: number): KeyboardEvent | undefined {
  if (event.keyCode !== BEING_PROCESSED || event.isComposing) return undefined;
  if (event.timeStamp - compositionEnd < AFTER_COMPOSITION) return undefined;
  let key = event.code;
  let keyCode = KEY_CODES[event.code];
  if (keyCode === undefined && event.ctrlKey && !event.altKey && !event.metaKey) {
    // This is the letter of the keyboard's layout, if the browser tells it.
    const letter = /^[a-zA-Z]$/.test(event.key) ? event.key : event.code.match(/^Key([A-Z])$/)?.[1];
    if (letter !== undefined) [key, keyCode] = [letter.toLowerCase(), letter.toUpperCase().charCodeAt(0)];
    else if (event.code in CONTROL_CODES) [key, keyCode] = CONTROL_CODES[event.code]!;
  }
  if (keyCode === undefined) return undefined;
  const { code, ctrlKey, shiftKey, altKey, metaKey } = event;
  return new KeyboardEvent('keydown', {
    key,
    code,
    keyCode,
    ctrlKey,
    shiftKey,
    altKey,
    metaKey,
    bubbles: true,
    cancelable: true,
  });
}
