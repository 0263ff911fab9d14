// SPDX-License-Identifier: MIT
// Pages that are made from results: formatted as format.markdown wants them.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
// The packages of the registry are those of web/.
const require = createRequire(join(root, 'web/package.json'));

/** The page's text, as it is written. */
export async function formatPage(text) {
  const prettier = require('prettier');
  const { overrides, ...options } = JSON.parse(readFileSync(join(root, 'web/.prettierrc.json'), 'utf8'));
  const forMarkdown = overrides.find(({ files }) => files === '*.md').options;
  return prettier.format(text, { ...options, ...forMarkdown, parser: 'markdown' });
}

export async function writePage(path, text) {
  writeFileSync(path, await formatPage(text));
}
