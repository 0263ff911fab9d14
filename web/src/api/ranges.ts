// SPDX-License-Identifier: MIT
// The numbers among a machine's options that a user writes as text: in a page's address, and on the command line.

import { MAX_CPUS } from '../generated/abi.ts';
import { MachineError } from './types.ts';

interface Range {
  least: number;
  most: number;
  unit: string;
}

/** What the host accepts (host/src/configuration.cpp has the last word; tests/boot/options.test.mjs compares them). */
export const RANGES = {
  cpus: { least: 1, most: MAX_CPUS, unit: '' },
  memory: { least: 32, most: 4095, unit: ' MiB' },
} as const satisfies Record<string, Range>;

export type RangedOption = keyof typeof RANGES;

/** The text as a whole number in its range. `shown` is how the user wrote the option's name. */
export function wholeNumber(shown: string, text: string, { least, most, unit }: Range): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new MachineError(
      'invalid-option',
      `${shown} must be a whole number from ${least} to ${most}${unit}, not ${text === '' ? 'empty' : text}`,
    );
  return value;
}
