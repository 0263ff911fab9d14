// SPDX-License-Identifier: MIT
// The time zone that a machine is told: the variable TZ of its first program, and of all that it starts.

import { MachineError } from './types.ts';

/** IANA's names, such as Europe/Berlin or Etc/GMT+5. It becomes a word of the kernel's command line. */
const NAME = /^[A-Za-z0-9/_+-]{1,64}$/;

export function checkTimeZone(name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name))
    throw new MachineError(
      'invalid-option',
      `timeZone must be the name of a time zone, such as Europe/Berlin, not ${JSON.stringify(name)}`,
    );
  return name;
}

/** The zone of this browser, or of this process and its TZ; undefined where the engine knows none. */
export function engineTimeZone(): string | undefined {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions() as { timeZone?: string };
  return timeZone !== undefined && timeZone !== 'Etc/Unknown' && NAME.test(timeZone) ? timeZone : undefined;
}
