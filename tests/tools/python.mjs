// SPDX-License-Identifier: MIT
// The check of every Python file by ruff: its rules, and its format. python.mjs [--write] formats the files.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const top = resolve(import.meta.dirname, '../..');
// Debian 13 has no ruff, so that this is its build for Node.js.
const { Workspace, PositionEncoding } = createRequire(join(top, 'web/package.json'))('@astral-sh/ruff-wasm-nodejs');

const settings = {
  'line-length': 120,
  // Debian 13's Python.
  'target-version': 'py313',
  lint: {
    select: [
      ...['E', 'W', 'F', 'I', 'N'], // pycodestyle, pyflakes, the order of imports, names
      ...['A', 'ARG', 'B', 'C4', 'PIE', 'RET', 'SIM'], // likely mistakes, and what can be said more simply
      ...['ERA', 'FURB', 'PERF', 'PLC', 'PLE', 'PLW', 'RUF', 'UP'], // dead code, old forms
    ],
    ignore: [
      'SIM905', // a long list of words is easier to read as one string that is split
      'N818', // the tools' exception is Failure: it has a message for a person, and is no error of the program
    ],
  },
};

function isPython(name) {
  const path = join(top, name);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  return name.endsWith('.py') || /^#!.*python/.test(readFileSync(path, 'latin1').slice(0, 64));
}

const names = execFileSync('git', ['-C', top, 'ls-files', '-z'], { encoding: 'utf8', maxBuffer: 1 << 26 });
const files = names.split('\0').filter((name) => name && isPython(name));
if (files.length === 0) throw new Error('no Python files found');

const workspace = new Workspace(settings, PositionEncoding.Utf16);
let faults = 0;
for (const file of files) {
  const text = readFileSync(join(top, file), 'utf8');
  for (const { code, message, start_location: at } of workspace.check(text)) {
    console.log(`${file}:${at.row}:${at.column}: ${code} ${message}`);
    faults++;
  }
  const formatted = workspace.format(text);
  if (formatted === text) continue;
  if (process.argv[2] === '--write') {
    writeFileSync(join(top, file), formatted);
    console.log(`${file}: formatted`);
  } else {
    console.log(`${file}: not formatted; run: web/node_modules/node-*/bin/node tests/tools/python.mjs --write`);
    faults++;
  }
}
console.log(`${files.length} files, ${faults} faults`);
process.exitCode = faults ? 1 : 0;
