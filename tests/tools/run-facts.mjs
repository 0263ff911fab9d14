// SPDX-License-Identifier: MIT
// When, where and of what a run's results are: what a table of results says of itself.

import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

function git(...words) {
  const { status, stdout } = spawnSync('git', ['-C', root, ...words], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** The commit of the tree, with a "+" if it has changes of its own; undefined outside a clone. */
function commit() {
  const name = git('rev-parse', '--short=7', 'HEAD');
  return name !== undefined && git('status', '--porcelain', '--untracked-files=no') ? `${name}+` : name;
}

export function runFacts() {
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    computer: { processors: cpus().length, model: cpus()[0].model.trim(), load: Number(loadavg()[0].toFixed(1)) },
    engines: { 'Node.js': process.versions.node },
  };
}

/** One sentence for a page. */
export function factsText({ date, commit, computer, engines }) {
  const names = Object.entries(engines).map(([name, version]) => `${name} ${version}`);
  const load = computer.load === undefined ? '' : `, load ${computer.load} at the end`;
  const processors = `${computer.processors} processor${computer.processors === 1 ? '' : 's'}`;
  return `${date}, commit ${commit ?? 'unknown'}, ${processors} (${computer.model})${load}, ${names.join(', ')}`;
}
