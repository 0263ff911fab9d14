// SPDX-License-Identifier: MIT
// The table of a run's results, as text for a terminal and as Markdown for docs/results.

import { factsText } from '../tools/run-facts.mjs';
import { COMPUTE } from './programs.mjs';

/** Lines of fix.sh in which the processor does nearly all of the work in BusyBox. */
const CPU_BOUND = ['shloop', 'awk', 'sha256', 'md5', 'gzip', 'gunzip', 'sort'];
/** How many times as fast as v86 the guest is meant to be in those. */
const WANTED = 5;

/** What is measured in Linux: text, name in the results, unit, results to a unit, the bar. */
const GENERAL = [
  ['boot to prompt', 'boot', 'ms', 1, '400 ms; Chromium 700'],
  ['  a first visit, with empty caches', 'firstBoot', 'ms', 1, '700 ms'],
  ['  a page that saves nothing', 'bootUnsaved', 'ms', 1],
  ['  in turn with it, a second visit with a saved home', 'bootSaved', 'ms', 1, '80 ms more'],
  ['getppid', 'getppid', 'ns', 1, 'native'],
  ['write of 1 byte to /dev/null', 'write', 'ns', 1, 'native'],
  ['pread of 64 bytes', 'read64', 'ns', 1],
  ['pread of 4 KiB', 'read4096', 'ns', 1],
  ['clock_gettime', 'clock', 'ns', 1],
  ['pipe ping-pong', 'pingpong', 'µs', 1000, 'twice native'],
  ['64 KiB through a pipe', 'pipe64k', 'µs', 1000, 'twice native'],
  ['pipe ping-pong on one CPU: two switches', 'switches', 'µs', 1000, '12 µs'],
  ['file: create, write 4 KiB, remove', 'file', 'µs', 1000, '15 µs'],
  ['fork, wait', 'fork', 'µs', 1000],
  ['fork, wait, with 1 MiB in use', 'fork1', 'µs', 1000, '1,500 µs'],
  ['fork, wait, with 16 MiB in use', 'fork16', 'µs', 1000, '7,000 µs'],
  ['64 lines of 64 bytes to the console', 'console', 'µs', 1000],
  ['fork, wait, while a process floods the console', 'flood-fork', 'µs', 1000],
  ['  with 1 MiB in use', 'flood-fork1', 'µs', 1000, '3,000 µs'],
  ['  with 16 MiB in use', 'flood-fork16', 'µs', 1000, '14,000 µs'],
  ['fork, exec, wait', 'exec', 'µs', 1000],
  ['posix_spawn, wait', 'spawn', 'µs', 1000, '800 µs'],
  ['10 ms timer beside spinners, median late', 'lateness, median', 'ms', 1e6, '2 ms'],
  ['10 ms timer beside spinners, 99 % late', 'lateness, 99 %', 'ms', 1e6, '20 ms'],
  ['echo of a key', 'echo', 'ms', 1, '1 ms'],
  ['CPU while idle (of the whole process; all of the browser)', 'idle', '%', 1, '1 %'],
  ['  of a browser with an empty page', 'emptyIdle', '%', 1],
  ['shared folder: read of 100 MB', 'shareRead', 'MB/s', 1, '300 MB/s'],
  ['  write of 100 MiB', 'shareWrite', 'MB/s', 1],
  ['  ls -lR of 5,000 files', 'shareList', 'ms', 1, '500 ms'],
  ['resident memory at the prompt', 'resident', 'MiB', 1, '150 MiB'],
];

/** Of disks: text, name in the results, unit, results to a unit, the bar. */
const DISKS = [
  ['1 GiB written in requests of 1 MiB, and fsync', 'diskWrite', 'ms', 1e6, 'twice native'],
  ['  of it up to the fsync', 'diskWriteNoSync', 'ms', 1e6],
  ['1 GiB read in requests of 1 MiB, with cold caches', 'diskRead', 'ms', 1e6, 'twice native'],
  ['4 KiB read that only the computer has cached (native: nobody)', 'diskRead4096', 'µs', 1000, '120 µs'],
  ['4 KiB overwritten, fdatasync', 'diskSync', 'µs', 1000, '3 times native'],
  ['4 KiB appended, fsync', 'diskAppend', 'µs', 1000],
  ['tar x of 5,000 files', 'diskTar', 'ms', 1e6, 'twice native'],
  ['lstat of 5,000 files', 'diskWalk', 'ms', 1e6, 'twice native'],
];

/** Of the network: the same. The ratio of a rate says how much of native it is. */
const NETWORK = [
  ['wget of 1 GiB into /dev/null', 'networkDownload', 'MB/s', 1, '400 MB/s'],
  ['upload of 1 GiB', 'networkUpload', 'MB/s', 1, '400 MB/s'],
  ['ping of the gateway (native: of loopback)', 'networkPing', 'µs', 1, '150 µs'],
  ['connect and close', 'networkConnect', 'µs', 1, '667 µs (1,500/s)'],
  ['a connection that is refused', 'networkRefused', 'µs', 1, '3,000 µs'],
  ['answers of 1 KiB by machine.network.fetch, 16 at a time', 'networkRequests', '/s', 1, '3,000/s'],
  ['boot to prompt, without a card', 'networkBootNone', 'ms', 1],
  ['  in turn with it, with a card', 'networkBoot', 'ms', 1, '10 ms more'],
  ['CPU while idle, without a card', 'networkIdleNone', '%', 1],
  ['  with a card', 'networkIdle', '%', 1, 'the same'],
];

/** A value is a number, or two: the least and the most of several runs. */
const scaled = (value, scale) =>
  Array.isArray(value) ? value.map((each) => each / scale) : value === undefined ? undefined : value / scale;

function digits(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

function format(value, unit) {
  if (value === undefined) return '-';
  return `${[value].flat().map(digits).join('–')} ${unit}`.trimEnd();
}

function ratio(value, base) {
  return typeof value !== 'number' || typeof base !== 'number' ? '-' : `${(value / base).toFixed(2)}x`;
}

/** Which columns a table has: those that no row fills are left out. */
const COLUMNS = [
  ['native', ({ native, unit }) => format(native, unit)],
  ['plain, Node.js', ({ plainNode, unit }) => format(plainNode, unit)],
  ['guest, Node.js', ({ node, unit }) => format(node, unit)],
  ['to native', ({ node, native }) => ratio(node, native)],
  ['to plain', ({ node, plainNode }) => ratio(node, plainNode)],
  ['plain, Chromium', ({ plainChromium, unit }) => format(plainChromium, unit)],
  ['guest, Chromium', ({ chromium, unit }) => format(chromium, unit)],
  ['to native', ({ chromium, native }) => ratio(chromium, native)],
  ['to plain', ({ chromium, plainChromium }) => ratio(chromium, plainChromium)],
  ['v86, Node.js', ({ v86, unit }) => format(v86, unit)],
  ['guest to v86', ({ v86, node }) => ratio(v86, node)],
  ['bar', ({ bar }) => bar ?? '-'],
];

function generalRows({ native, node, chromium, v86 }) {
  return GENERAL.map(([name, key, unit, scale, bar]) => ({
    name,
    unit,
    bar,
    native: scaled(native?.[key], scale),
    node: scaled(node?.[key], scale),
    chromium: scaled(chromium?.guest[key], scale),
    v86: scaled(v86?.[key], scale),
  }));
}

function computeRows({ native, plain, node, chromium }) {
  return COMPUTE.flatMap(([name]) =>
    [
      [name, node, chromium?.guest],
      ['  with a reachable fork (asyncify)', node?.withFork, chromium?.guest.withFork],
      ['  with -fsafepoints', node?.withSafepoints, chromium?.guest.withSafepoints],
    ].map(([text, inNode, inChromium]) => ({
      name: text,
      unit: 'µs',
      native: scaled(native?.[name], 1000),
      plainNode: scaled(plain?.[name], 1000),
      node: scaled(inNode?.[name], 1000),
      plainChromium: scaled(chromium?.plain?.[name], 1000),
      chromium: scaled(inChromium?.[name], 1000),
    })),
  );
}

function rowsOf(list, { native, node, chromium }) {
  return list.map(([name, key, unit, scale, bar]) => ({
    name,
    unit,
    bar,
    native: scaled(native[key], scale),
    node: scaled(node[key], scale),
    chromium: scaled(chromium?.[key], scale),
  }));
}

function fixRows({ native, guest, v86 = {} }) {
  return Object.keys(guest).map((name) => ({
    name,
    unit: 'µs',
    native: native[name],
    node: guest[name],
    v86: v86[name],
  }));
}

function benchRows({ native, guest }) {
  return Object.entries(guest).map(([name, { value, unit }]) => ({
    name,
    unit,
    native: native[name]?.value,
    node: value,
  }));
}

/** Headings with what was measured below them. */
function sections(results) {
  const { workload } = results;
  const measured = (rows) => rows.filter(({ node, chromium }) => (node ?? chromium) !== undefined);
  return [
    { heading: 'Linux, 2 CPUs', rows: measured(generalRows(results)) },
    {
      heading: 'Disks: ext4 on an image in a file (Node.js), and on a saved disk (Chromium)',
      rows: results.disks === undefined ? [] : rowsOf(DISKS, results.disks),
    },
    {
      heading: 'Network: nat in Node.js, and a server on loopback',
      rows: results.network === undefined ? [] : rowsOf(NETWORK, results.network),
    },
    { heading: 'CPU-bound C', rows: measured(computeRows(results)) },
    { heading: 'fix.sh, a unit', rows: workload === undefined ? [] : fixRows(workload.fix) },
    {
      heading: 'bench.sh, a unit; c.*: rates of cbench, where more is better and the ratio says how much of native',
      rows: workload?.bench === undefined ? [] : benchRows(workload.bench),
    },
  ].filter(({ rows }) => rows.length > 0);
}

/** A row of column names, then a row of cells for each row; without columns that are empty in all of these rows. */
function cellsOf(rows) {
  const columns = COLUMNS.map(([name, cell]) => [name, rows.map(cell)]).filter(([, cells]) =>
    cells.some((cell) => cell !== '-'),
  );
  return [
    ['', ...columns.map(([name]) => name)],
    ...rows.map(({ name }, index) => [name, ...columns.map(([, cells]) => cells[index])]),
  ];
}

/** Where the guest is not as much better than v86 as it is meant to be, in words. */
function comparison({ guest, v86: emulated }) {
  const names = Object.keys({ ...guest, ...emulated });
  const times = (name) => emulated[name] / guest[name];
  return [
    ['Not measured on both sides', names.filter((name) => Number.isNaN(times(name)))],
    ['Not better than v86', names.filter((name) => times(name) <= 1)],
    [
      `CPU-bound in BusyBox, and not ${WANTED} times as fast as v86`,
      CPU_BOUND.filter((name) => !(times(name) >= WANTED)),
    ],
  ].map(
    ([text, listed]) => `${text}: ${listed.map((name) => `${name} (${times(name).toFixed(2)}x)`).join(', ') || 'none'}`,
  );
}

function conclusions({ workload }) {
  if (workload === undefined) return [];
  if (workload.fix.v86 === undefined || Object.keys(workload.fix.v86).length === 0) return [];
  return [`Of the ${Object.keys(workload.fix.guest).length} lines of fix.sh`, ...comparison(workload.fix)];
}

const kibibytes = (bytes) => (bytes / 1024).toFixed(1);

function downloadCells(download) {
  return [
    ['Download, KiB', 'raw', 'brotli', 'gzip'],
    ...Object.entries(download).map(([name, sizes]) => [name, ...sizes.map(kibibytes)]),
  ];
}

/** Cells in columns: the first to the left, the others to the right. */
function textTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '),
    )
    .join('\n');
}

export function resultsText(results) {
  const parts = [factsText(results)];
  for (const { heading, rows } of sections(results)) parts.push(`${heading}\n${textTable(cellsOf(rows))}`);
  if (results.workload === undefined)
    parts.push('No lines of fix.sh and bench.sh: name their folder with --workload or AUKLET_WORKLOAD.');
  if (conclusions(results).length > 0) parts.push(conclusions(results).join('\n'));
  if (results.download !== undefined) parts.push(textTable(downloadCells(results.download)));
  return parts.join('\n\n');
}

function markdownTable(rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const [head, ...body] = rows;
  const indented = body.map(([name, ...cells]) => [name.replace(/^ +/, '— '), ...cells]);
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...indented.map(line)].join('\n');
}

/** The page docs/results/performance.md; prettier puts the columns of its tables in order. */
export function resultsPage(results) {
  const parts = [
    '# Performance: results',
    '<!-- Written by ./auklet bench --page from performance.json; not edited. -->',
    `${factsText(results)}. [../performance.md](../performance.md) says what is measured, and how. Smaller is better.`,
  ];
  for (const { heading, rows } of sections(results)) parts.push(`## ${heading}`, markdownTable(cellsOf(rows)));
  const said = conclusions(results);
  if (said.length > 0)
    parts.push(
      `${said[0]}:`,
      said
        .slice(1)
        .map((text) => `- ${text}.`)
        .join('\n'),
    );
  if (results.download !== undefined) parts.push('## Download', markdownTable(downloadCells(results.download)));
  if (results.notes !== undefined) parts.push('## Notes', results.notes.map((text) => `- ${text}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}
