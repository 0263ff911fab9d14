// SPDX-License-Identifier: MIT
// Takes the results of whole suites over into docs/results: conformance.json, and the page that is made of it.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { factsText } from '../tools/run-facts.mjs';
import { writePage } from '../tools/write-page.mjs';
import { build, fail, root } from './common.mjs';

/** Of the tests that pass natively so many per cent are to pass in the guest. */
const BARS = { posixtestsuite: 97, busybox: 99 };
const KEPT = join(root, 'docs/results/conformance.json');
const PAGE = join(root, 'docs/results/conformance.md');

/** Tests of one unit that ended in the same way count together. */
function differencesOf(tests) {
  const groups = new Map();
  for (const { name, native, guest } of tests) {
    if (native !== 'pass' || guest === 'pass') continue;
    const unit = name.split(': ')[0];
    const key = `${unit}\n${guest}`;
    const group = groups.get(key) ?? { name, count: 0, guest };
    groups.set(key, { ...group, name: group.count === 0 ? name : unit, count: group.count + 1 });
  }
  return [...groups.values()];
}

/** Of the file that a run has written: what is published of it. */
export function summaryOf({ suite, version, date, commit, computer, engines, timeout, totals, tests }) {
  return { suite, version, date, commit, computer, engines, timeout, totals, differences: differencesOf(tests) };
}

const percent = ({ native, both }) => `${((100 * both) / native).toFixed(1)} %`;

function totalsRow({ suite, version, totals }) {
  const bar = BARS[suite] === undefined ? '-' : `${BARS[suite]} %`;
  const numbers = [totals.tests, totals.native, totals.both].map((number) => number.toLocaleString('en-US'));
  return `| ${[`${suite} ${version}`, ...numbers, percent(totals), bar].join(' | ')} |`;
}

function suiteParts(summary) {
  const { suite, timeout, differences } = summary;
  const each = timeout === undefined ? '' : `, ${timeout} s for a test`;
  const rows = differences.map(
    ({ name, count, guest }) => `| \`${name.replaceAll('|', '\\|')}\` | ${count} | ${guest} |`,
  );
  return [
    `## ${suite}`,
    `${factsText(summary)}${each}.`,
    ['| passes natively, not in the guest | tests | in the guest |', '| --- | --: | --- |', ...rows].join('\n'),
  ];
}

export function conformancePage(summaries) {
  return `${[
    '# Conformance: results',
    '<!-- Written by ./auklet conformance --publish from conformance.json; not edited. -->',
    '[../conformance.md](../conformance.md) says what the suites are, how they run, and why these tests differ.',
    [
      '| suite | tests | pass natively | of these in the guest | | bar |',
      '| --- | --: | --: | --: | --: | --: |',
      ...summaries.map(totalsRow),
    ].join('\n'),
    ...summaries.flatMap(suiteParts),
  ].join('\n\n')}\n`;
}

export const readPublished = () => JSON.parse(readFileSync(KEPT, 'utf8'));

/** Publishes what the last run of the suite has kept. */
export async function publish(suite) {
  const path = join(build, 'conformance', `${suite}.json`);
  let result;
  try {
    result = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    fail(`there is no result of ${suite} to publish (${error.message}); run the suite first`);
  }
  if (result.only) fail(`the last run of ${suite} was of ${result.only} only; run the whole suite first`);
  const others = readPublished().filter((summary) => summary.suite !== suite);
  const summaries = [...others, summaryOf(result)].sort((a, b) => (a.suite < b.suite ? -1 : 1));
  writeFileSync(KEPT, `${JSON.stringify(summaries, undefined, 2)}\n`);
  await writePage(PAGE, conformancePage(summaries));
}
