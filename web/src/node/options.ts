// SPDX-License-Identifier: MIT
// The options of the command line program. Wrong ones give one line that says what is right.

/** Shown as "auklet: message"; the program ends with the status. */
export class UsageError extends Error {
  constructor(
    message: string,
    readonly status = 2,
  ) {
    super(message);
  }
}

export interface CommandLine {
  /** Given once each. */
  values: Map<string, string>;
  /** Values of --put, in order. */
  puts: string[];
  flags: Set<string>;
  /** Other words before "--". */
  words: string[];
  /** What follows "--"; undefined without it. */
  rest: string[] | undefined;
}

export function parseCommandLine(
  command: string,
  input: readonly string[],
  known: { values?: readonly string[]; flags?: readonly string[]; puts?: boolean },
): CommandLine {
  const result: CommandLine = { values: new Map(), puts: [], flags: new Set(), words: [], rest: undefined };
  for (let index = 0; index < input.length; ++index) {
    const word = input[index]!;
    if (word === '--') {
      result.rest = input.slice(index + 1);
      break;
    }
    if (!word.startsWith('--')) {
      result.words.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (known.flags?.includes(name) && equals < 0) {
      result.flags.add(name);
      continue;
    }
    const isPut = known.puts === true && name === 'put';
    if (!isPut && !known.values?.includes(name)) {
      const names = [...(known.values ?? []), ...(known.puts ? ['put'] : []), ...(known.flags ?? [])];
      throw new UsageError(
        `${command}: unknown option ${word}; known are ${names.map((each) => `--${each}`).join(', ')}`,
      );
    }
    const value = equals < 0 ? input[++index] : word.slice(equals + 1);
    if (value === undefined) throw new UsageError(`${command}: --${name} needs a value`);
    if (isPut) result.puts.push(value);
    else result.values.set(name, value);
  }
  return result;
}

/** The value of an option that must be a whole number from `least` to `most`. */
export function numberOption(line: CommandLine, name: string, least: number, most: number): number | undefined {
  const text = line.values.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
  return value;
}
