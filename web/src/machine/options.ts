// SPDX-License-Identifier: MIT
// The options of a machine that are numbers: their types, and the words for a
// wrong value. host/src/options.inc has their names, bounds, defaults and
// explanations, and ../generated/options.ts is made of it.

import { NUMBER_OPTIONS, TYPED_OPTIONS } from '../generated/options.ts';

export { NUMBER_OPTIONS, TYPED_OPTIONS };

export type NumberOption = keyof typeof NUMBER_OPTIONS;
export type TypedOption = (typeof TYPED_OPTIONS)[number];
/** The explanations in the table become those of the members. */
export type NumberOptions = { -readonly [Name in keyof typeof NUMBER_OPTIONS]?: number };

export const NUMBER_OPTION_NAMES = Object.keys(NUMBER_OPTIONS) as NumberOption[];

export interface Range {
  readonly least: number;
  readonly most: number;
  /** The unit with a space before it, or an empty string. */
  readonly unit: string;
}

/**
 * The text that follows the name of an option in an error. The C++ host words
 * it in the same way (host/src/configuration.cpp).
 */
export function mustBe({ least, most, unit }: Range, given: string): string {
  return `must be a whole number from ${least} to ${most}${unit}, not ${given === '' ? 'empty' : given}`;
}

export function isInRange(value: unknown, { least, most }: Range): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

/**
 * The number that a user has typed. Undefined if the text is no number in the
 * range.
 */
export function typedNumber(text: string, range: Range): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && isInRange(value, range) ? value : undefined;
}
