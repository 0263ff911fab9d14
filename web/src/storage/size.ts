// SPDX-License-Identifier: MIT
// Sizes as people write them: 4G.

const UNITS = ['', 'K', 'M', 'G', 'T'];

/**
 * Bytes of "512", "64M" or "1.5G" (powers of 1024); undefined if it is none of
 * that, or no whole number.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * 1024 ** UNITS.indexOf(match[2]!.toUpperCase());
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
