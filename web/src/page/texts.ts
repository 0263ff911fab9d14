// SPDX-License-Identifier: MIT
// Texts that several parts of the page need.

const UNITS = ['KiB', 'MiB', 'GiB'];

export function readable(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  const power = Math.min(UNITS.length, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power - 1]}`;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
