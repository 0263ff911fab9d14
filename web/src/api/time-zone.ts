// SPDX-License-Identifier: MIT
// The time zone of a machine. The machine's first program gets it as the
// variable TZ, and so do all programs that it starts.

/**
 * IANA's names of time zones, such as Europe/Berlin or Etc/GMT+5. A name
 * becomes a word of the kernel's command line, so it must not contain a space.
 */
const NAME = /^[A-Za-z0-9/_+-]{1,64}$/;

export function isTimeZone(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}

/**
 * The time zone of this browser, or of this process (the variable TZ counts).
 * Undefined if the engine knows none.
 */
export function engineTimeZone(): string | undefined {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions() as { timeZone?: string };
  return timeZone !== undefined && timeZone !== 'Etc/Unknown' && isTimeZone(timeZone) ? timeZone : undefined;
}
