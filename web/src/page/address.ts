// SPDX-License-Identifier: MIT
// What the page's address sets: ?cpus=4&memory=256&arguments=quiet. Anything else in it is an error that says what is right.

import { RANGES, wholeNumber, type RangedOption } from '../api/options.ts';
import { MachineError, type BootOptions } from '../index.ts';

const KNOWN = [...Object.keys(RANGES), 'arguments'];

/** Throws a MachineError for a name that is unknown or given twice, and for a value that is no such value. */
export function optionsFromAddress(search: string): BootOptions {
  const options: BootOptions = {};
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (!KNOWN.includes(name))
      throw new MachineError(
        'invalid-option',
        `The address has an unknown option, ${shown(name)}. Known are ${KNOWN.join(', ')}.`,
      );
    if (seen.has(name)) throw new MachineError('invalid-option', `The address has the option ${name} twice.`);
    seen.add(name);
    if (name in RANGES) options[name as RangedOption] = wholeNumber(name, value, RANGES[name as RangedOption]);
    else options.kernelArguments = value;
  }
  return options;
}

/** Of a text that may be long. */
function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
