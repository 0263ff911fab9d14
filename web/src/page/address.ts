// SPDX-License-Identifier: MIT
// What the page's address sets, for example
// ?cpus=4&memory=256&arguments=quiet&screenreader&saving=0&network=fetch. All
// else in it is an error, whose message says what is right.

import { MachineError, type BootOptions } from '../api/types.ts';
import { mustBe, NUMBER_OPTIONS, TYPED_OPTIONS, typedNumber, type TypedOption } from '../machine/options.ts';
import { parseChoice, type NetworkChoice } from './network-choice.ts';

const KNOWN: readonly string[] = [...TYPED_OPTIONS, 'arguments', 'screenreader', 'saving', 'network'];

/** The values of ?screenreader and ?saving. Without a value it is on. */
const SWITCH: Record<string, boolean> = { '': true, '1': true, on: true, '0': false, off: false };

export interface Address {
  options: BootOptions;
  /** Undefined means that it stays as the visitor had it last. */
  screenReader?: boolean;
  /** Whether the browser keeps the visitor's files; undefined means yes. */
  saving?: boolean;
  /** Undefined means that it stays as the visitor had it last. */
  network?: NetworkChoice;
}

/**
 * Reads the options in an address.
 * @throws MachineError 'invalid-option' for a name that is unknown or that is
 *   given twice, and for a value that is not allowed.
 */
export function readAddress(search: string): Address {
  const options: BootOptions = {};
  const address: Address = { options };
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (!KNOWN.includes(name))
      throw new MachineError(
        'invalid-option',
        `The address has an unknown option, ${shown(name)}. Known are ${KNOWN.join(', ')}.`,
      );
    if (seen.has(name)) throw new MachineError('invalid-option', `The address has the option ${name} twice.`);
    seen.add(name);
    const typed = TYPED_OPTIONS.find((each) => each === name);
    if (typed !== undefined) options[typed] = numberOf(typed, value);
    else if (name === 'arguments') options.kernelArguments = value;
    else if (name === 'network') address.network = choiceOf(value);
    else {
      const on = Object.hasOwn(SWITCH, value) ? SWITCH[value] : undefined;
      if (on === undefined) throw new MachineError('invalid-option', `${name} must be 1 or 0, not ${shown(value)}.`);
      if (name === 'saving') address.saving = on;
      else address.screenReader = on;
    }
  }
  return address;
}

function choiceOf(text: string): NetworkChoice {
  try {
    return parseChoice(text);
  } catch (error) {
    throw new MachineError('invalid-option', `network ${shown(text)} is wrong: ${(error as Error).message}.`);
  }
}

function numberOf(name: TypedOption, text: string): number {
  const value = typedNumber(text, NUMBER_OPTIONS[name]);
  if (value === undefined)
    throw new MachineError('invalid-option', `${name} ${mustBe(NUMBER_OPTIONS[name], shown(text))}`);
  return value;
}

/** Cuts a text that may be long. */
function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
