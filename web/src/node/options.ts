// SPDX-License-Identifier: MIT
// The options of the command line program. A wrong one gives one line that says
// what is right.

import {
  mustBe,
  NUMBER_OPTIONS,
  TYPED_OPTIONS,
  typedNumber,
  type Range,
  type TypedOption,
} from '../machine/options.ts';
import consoleHelp from './help/console.txt?raw';
import execHelp from './help/exec.txt?raw';
import help from './help/help.txt?raw';
import relayHelp from './help/relay.txt?raw';
import runHelp from './help/run.txt?raw';

/**
 * An error of the user. The program shows "auklet: MESSAGE", and ends with the
 * status.
 */
export class UsageError extends Error {
  readonly status: number;

  constructor(message: string, status = 2) {
    super(message);
    this.status = status;
  }
}

/**
 * Thrown for --help. The message goes to standard output, and the status is 0.
 */
export class HelpWanted extends Error {}

/** The help of each command. ./auklet shows the same files without a build. */
const HELP: Record<string, string> = { console: consoleHelp, exec: execHelp, relay: relayHelp, serve: runHelp };

export function helpFor(command: string | undefined): HelpWanted {
  return new HelpWanted(HELP[command ?? ''] ?? help);
}

export interface CommandLine {
  /** Values of options, each of which may be given once. */
  values: Map<string, string>;
  /** The values of options that may be given several times, in order. */
  lists: Map<string, string[]>;
  flags: Set<string>;
  /** All other words before "--". */
  words: string[];
  /** The words after "--". Undefined if there is no "--". */
  rest: string[] | undefined;
}

export function parseCommandLine(
  command: string,
  input: readonly string[],
  known: { values?: readonly string[]; flags?: readonly string[]; lists?: readonly string[] },
): CommandLine {
  const result: CommandLine = {
    values: new Map(),
    lists: new Map((known.lists ?? []).map((name) => [name, []])),
    flags: new Set(),
    words: [],
    rest: undefined,
  };
  for (let index = 0; index < input.length; ++index) {
    const word = input[index]!;
    if (word === '--') {
      result.rest = input.slice(index + 1);
      break;
    }
    const long = word.startsWith('--');
    // In "exec ls -l" the user has forgotten the "--". -l is no option of ours.
    if (!word.startsWith('-') || word === '-' || (!long && result.words.length > 0)) {
      result.words.push(word);
      continue;
    }
    if (word === '--help' || word === '-h') throw helpFor(command);
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (long && known.flags?.includes(name) && equals < 0) {
      result.flags.add(name);
      continue;
    }
    const list = result.lists.get(name);
    if (!long || (list === undefined && !known.values?.includes(name))) {
      const names = [...(known.values ?? []), ...(known.lists ?? []), ...(known.flags ?? []), 'help'];
      throw new UsageError(
        `${command}: unknown option ${word}; known are ${names.map((each) => `--${each}`).join(', ')}`,
      );
    }
    const value = equals < 0 ? input[++index] : word.slice(equals + 1);
    if (value === undefined) throw new UsageError(`${command}: --${name} needs a value`);
    if (list !== undefined) list.push(value);
    else if (result.values.has(name)) throw new UsageError(`${command}: --${name} is given twice`);
    else result.values.set(name, value);
  }
  return result;
}

/**
 * The value of an option that must be a whole number in a range. Undefined if
 * the option was not given.
 */
export function numberOption(line: CommandLine, name: string, range: Range): number | undefined {
  const text = line.values.get(name);
  if (text === undefined) return undefined;
  const value = typedNumber(text, range);
  if (value === undefined) throw new UsageError(`--${name} ${mustBe(range, text)}`);
  return value;
}

/** Those options of a machine's size that were given. */
export function sizeOptions(line: CommandLine): Partial<Record<TypedOption, number>> {
  const sizes: Partial<Record<TypedOption, number>> = {};
  for (const name of TYPED_OPTIONS) {
    const value = numberOption(line, name, NUMBER_OPTIONS[name]);
    if (value !== undefined) sizes[name] = value;
  }
  return sizes;
}
