// SPDX-License-Identifier: MIT
// The pages of docs/results are what their JSON files say, and the tables are right for results that are known.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { resultsPage, resultsText } from '../bench/table.mjs';
import { conformancePage, readPublished, summaryOf } from '../conformance/publish.mjs';
import { formatPage } from './write-page.mjs';

const folder = resolve(import.meta.dirname, '../../docs/results');
const read = (name) => readFileSync(join(folder, name), 'utf8');

const FACTS = {
  date: '2026-01-02',
  commit: '0123456',
  computer: { processors: 2, model: 'a model', load: 0.1 },
  engines: { 'Node.js': '26.1.0' },
};

test('the page of performance is made of its results', async () => {
  const page = await formatPage(resultsPage(JSON.parse(read('performance.json'))));
  assert.equal(read('performance.md'), page, 'run ./auklet bench --from docs/results/performance.json --page …');
});

test('the page of conformance is made of its results', async () => {
  assert.equal(read('conformance.md'), await formatPage(conformancePage(readPublished())));
});

test('a table of performance has ratios, ranges, and no empty columns', () => {
  const text = resultsText({
    ...FACTS,
    native: { getppid: 100, fork: [1000, 2500] },
    node: { getppid: 50, fork: 1234567, withFork: {}, withSafepoints: {} },
    workload: { fix: { native: { awk: 2 }, guest: { awk: 4 }, v86: { awk: 8 } }, bench: { native: {}, guest: {} } },
  });
  const lines = text.split('\n').map((line) => line.replace(/ +/g, ' ').trim());
  assert.equal(lines[0], '2026-01-02, commit 0123456, 2 processors (a model), load 0.1 at the end, Node.js 26.1.0');
  assert.ok(lines.includes('getppid 100 ns 50.0 ns 0.50x native'));
  assert.ok(lines.includes('fork, wait 1.00–2.50 µs 1,235 µs - -'));
  assert.ok(lines.includes('awk 2.00 µs 4.00 µs 2.00x 8.00 µs 2.00x'));
  assert.ok(lines.includes('Not better than v86: none'));
  assert.ok(lines.some((line) => /not 5 times as fast as v86: .*awk \(2\.00x\)/.test(line)));
  assert.ok(!text.includes('Chromium 1') && !text.includes('plain,'));
});

test('tests of one unit that end in the same way are published together', () => {
  const { differences, totals } = summaryOf({
    ...FACTS,
    suite: 'a-suite',
    version: '1',
    totals: { tests: 6, native: 5, guest: 1, both: 1 },
    tests: [
      { name: 'unit: one', native: 'pass', guest: 'fail' },
      { name: 'unit: two', native: 'pass', guest: 'fail' },
      { name: 'unit: three', native: 'pass', guest: 'hung' },
      { name: 'other', native: 'pass', guest: 'skipped' },
      { name: 'passes', native: 'pass', guest: 'pass' },
      { name: 'fails', native: 'fail', guest: 'fail' },
    ],
  });
  assert.deepEqual(differences, [
    { name: 'unit', count: 2, guest: 'fail' },
    { name: 'unit: three', count: 1, guest: 'hung' },
    { name: 'other', count: 1, guest: 'skipped' },
  ]);
  const page = conformancePage([{ ...FACTS, suite: 'a-suite', version: '1', totals, differences }]);
  assert.match(page, /\| a-suite 1 \| 6 \| 5 \| 1 \| 20\.0 % \| - \|/);
  assert.match(page, /\| `unit` \| 2 \| fail \|/);
});
