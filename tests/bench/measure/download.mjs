// SPDX-License-Identifier: MIT
// What a first visit of the page loads.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '../../boot/machines.mjs';

/** Bytes of all that a first visit loads: as it is, with brotli, with gzip; by file and together. */
export function measureDownload() {
  const files = {};
  const total = [0, 0, 0];
  for (const entry of readdirSync(join(build, 'dist'), { recursive: true }).toSorted()) {
    const path = join(build, 'dist', entry);
    // The compressed form of another file.
    const packed = /\.(br|gz)$/.test(entry) && existsSync(path.replace(/\.\w+$/, ''));
    if (!statSync(path).isFile() || entry === '_headers' || packed) continue;
    const raw = statSync(path).size;
    const size = (extension) => (existsSync(path + extension) ? statSync(path + extension).size : raw);
    files[entry] = [raw, size('.br'), size('.gz')];
    files[entry].forEach((bytes, index) => (total[index] += bytes));
  }
  return { ...files, all: total };
}
