// SPDX-License-Identifier: MIT
// Names of files that come from the other side: a guest may be hostile, and so
// may be what a visitor has downloaded elsewhere.

/** Characters of a name that is kept. File systems have 255 bytes or more. */
const MOST_CHARACTERS = 120;

/**
 * Characters that are not seen, or that change how others are seen: controls,
 * and marks for the direction of writing.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** What some systems let no name end with. */
const BAD_END = /[.\s]+$/;

/**
 * A name for a file of the owner's: the last part of what was given, without
 * characters that mislead. It is never empty, and begins with no dot.
 */
export function safeName(given: string): string {
  const last = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1);
  const clean = last
    .replace(UNSEEN, '')
    .replace(/[<>:"|?*]/g, '_')
    .replace(/^[.\s]+/, '')
    .replace(BAD_END, '');
  if (clean === '') return 'download';
  const characters = Array.from(clean);
  if (characters.length <= MOST_CHARACTERS) return clean;
  // The extension stays.
  const end = /\.[^.]{1,10}$/.exec(clean)?.[0] ?? '';
  const rest = characters.slice(0, MOST_CHARACTERS - Array.from(end).length);
  return rest.join('').replace(BAD_END, '') + end;
}

/** A name for a text that people read. */
export function shownName(name: string): string {
  const characters = Array.from(name.replace(UNSEEN, '\u{fffd}'));
  return characters.length <= MOST_CHARACTERS ? characters.join('') : `${characters.slice(0, 60).join('')}…`;
}
