// SPDX-License-Identifier: MIT
// The time zone that a machine is told: the variable TZ of its first program, and of all that it starts.

/** IANA's names, such as Europe/Berlin or Etc/GMT+5. It becomes a word of the kernel's command line. */
const NAME = /^[A-Za-z0-9/_+-]{1,64}$/;

export function isTimeZone(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name);
}

/** The zone of this browser, or of this process and its TZ; undefined where the engine knows none. */
export function engineTimeZone(): string | undefined {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions() as { timeZone?: string };
  return timeZone !== undefined && timeZone !== 'Etc/Unknown' && isTimeZone(timeZone) ? timeZone : undefined;
}
