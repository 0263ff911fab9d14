// SPDX-License-Identifier: MIT
// The table of options (host/src/options.inc), and all that is made of it: checks, address, command line, help, settings.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { source } from './source.mjs';

const { mustBe, NUMBER_OPTIONS, NUMBER_OPTION_NAMES, TYPED_OPTIONS, typedNumber } = await source('machine/options.ts');
const { checkBootOptions, checkExec } = await source('api/check-options.ts');
const { MachineFiles } = await source('api/files.ts');
const { readAddress } = await source('page/address.ts');
const { HelpWanted, numberOption, parseCommandLine, sizeOptions, UsageError } = await source('node/options.ts');
const { settingsText } = await source('machine/settings.ts');
const { engineLimits } = await source('machine/platform.ts');

/** The bounds of the first release: whoever changes one changes what programs may ask for. */
test('bounds', () => {
  assert.deepEqual(
    Object.fromEntries(
      NUMBER_OPTION_NAMES.map((name) => [name, [NUMBER_OPTIONS[name].least, NUMBER_OPTIONS[name].most]]),
    ),
    {
      cpus: [1, 8],
      memory: [32, 4095],
      workerLimit: [16, 1024],
      memoryLimit: [1, 1024],
      initialWorkers: [0, 1024],
      processMemory: [1, 4096],
      columns: [1, 65535],
      rows: [1, 65535],
    },
  );
  assert.deepEqual(TYPED_OPTIONS, ['cpus', 'memory']);
});

test('a typed number', () => {
  const range = { least: 2, most: 30, unit: ' MiB' };
  for (const [text, value] of [
    ['2', 2],
    ['30', 30],
    ['007', 7],
    ['1', undefined],
    ['31', undefined],
    ['', undefined],
    ['-3', undefined],
    ['+3', undefined],
    ['3.0', undefined],
    ['0x3', undefined],
    ['3e0', undefined],
    [' 3', undefined],
    ['99999999999999999999', undefined],
  ])
    assert.equal(typedNumber(text, range), value, JSON.stringify(text));
  assert.equal(mustBe(range, '31'), 'must be a whole number from 2 to 30 MiB, not 31');
  assert.equal(mustBe(range, ''), 'must be a whole number from 2 to 30 MiB, not empty');
});

const fault = (run) => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

test('boot() takes all numbers within their bounds, and names option and bounds else', () => {
  for (const name of NUMBER_OPTION_NAMES) {
    const { least, most, unit } = NUMBER_OPTIONS[name];
    for (const value of [least, most, undefined]) checkBootOptions({ [name]: value });
    for (const value of [least - 1, most + 1, least + 0.5, NaN, Infinity, String(least), null, true]) {
      const error = fault(() => checkBootOptions({ [name]: value }));
      assert.equal(error?.code, 'invalid-option', `${name}: ${value}`);
      const shown = typeof value === 'string' ? `"${value}"` : value;
      assert.equal(
        error.message,
        `the options of a machine: ${name} must be a whole number from ${least} to ${most}${unit}, not ${shown}`,
      );
    }
  }
});

test('other options of boot()', () => {
  const accepted = [
    {},
    { files: [{ path: '/a', content: 'text' }] },
    { files: [{ path: '/a', content: new Uint8Array(1), mode: 0o7777 }] },
    {
      files: [
        { path: '/a', directory: true },
        { path: '/b', link: 'anything' },
      ],
    },
    { kernelArguments: 'quiet loglevel=3' },
    { timeZone: 'America/Argentina/Buenos_Aires' },
    { exec: true, sockets: true },
    { exec: false, sockets: false },
    { disks: [{ name: 'home', file: 'home.img', size: '4G', format: 'ext4' }] },
    { root: 'image', rootCache: 'cache', disks: [{ name: 'home', file: 'home.img' }] },
    { root: 'image', rootCache: false },
    {
      shares: [
        { name: 'a', folder: 'f' },
        { name: 'b', memory: true, saved: false },
        { name: 'c', saved: true },
        { name: 'd', directory: { [Symbol.toStringTag]: 'FileSystemDirectoryHandle' }, readOnly: true },
      ],
    },
    { signal: new AbortController().signal, onProgress: () => {} },
  ];
  for (const options of accepted)
    assert.equal(
      fault(() => checkBootOptions(options)),
      undefined,
    );
  for (const [options, message] of [
    [null, 'the options of a machine must be an object, not null'],
    [{ memori: 1 }, /^the options of a machine has no memori; known are cpus, memory, .*\bkernelArguments\b/],
    [{ toString: 1 }, /has no toString/],
    [{ kernelArguments: 'a\nb' }, 'the options of a machine: kernelArguments may not contain control characters'],
    [{ kernelArguments: 1 }, /kernelArguments must be a string, not 1$/],
    [{ timeZone: 'Europe/Berlin quiet' }, /timeZone must be the name of a time zone/],
    [{ disks: [{ name: 'a', file: 'a', format: 'fat' }] }, /^disks\[0\]: format must be ext4 or raw, not "fat"$/],
    [
      { disks: [{ name: 'a', memory: new Uint8Array(512), format: 'ext4' }] },
      'disks[0]: memory has bytes already, so there can be no format',
    ],
    [{ root: '' }, /root must be an address, not ""$/],
    [{ root: 7 }, /root must be an address, not 7$/],
    [{ rootCache: 'cache' }, 'rootCache needs a root'],
    [{ root: 'image', rootCache: true }, /rootCache must be an address, not true$/],
    [{ shares: [{ name: 'a' }] }, 'shares[0] needs one of a folder, a directory, saved: true and memory'],
    [{ shares: [{ name: 'a', saved: true, memory: true }] }, /^shares\[0\] needs one of/],
    [{ shares: [{ name: 'a', directory: 'f' }] }, 'shares[0]: directory must be a FileSystemDirectoryHandle, not "f"'],
    [{ root: 'image', disks: [{ name: 'root', file: 'a' }] }, 'no disk can have the name root where there is a root'],
    [{ exec: 1 }, /exec must be a boolean, not 1$/],
    [{ exec: true, sockets: false }, 'exec needs sockets: leave sockets: false out'],
    [{ files: {} }, /files must be an array/],
    [{ files: [7] }, /files\[0\] must be an object, not 7$/],
    [
      {
        files: [
          { path: '/a', content: '' },
          { path: 'b', content: '' },
        ],
      },
      /files\[1\]: path must be an absolute path, not "b"$/,
    ],
    [{ files: [{ path: '/a\0', content: '' }] }, /absolute path/],
    [{ files: [{ path: '/a' }] }, 'files[0] needs a content, a link, or directory: true'],
    [{ files: [{ content: '' }] }, 'files[0] needs a path'],
    [{ files: [{ path: '/a', content: '', mode: 0o10000 }] }, /mode 4096 is not a set of permission bits$/],
    [{ files: [{ path: '/a', content: 7 }] }, /content must be a Uint8Array or a string, not 7$/],
    [{ files: [{ path: '/a', directory: false }] }, /directory must be true, not false$/],
    [{ files: [{ path: '/a', link: 7 }] }, /link must be a string, not 7$/],
  ]) {
    const error = fault(() => checkBootOptions(options));
    assert.equal(error?.code, 'invalid-option', JSON.stringify(options));
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
  }
});

test('what exec takes', () => {
  checkExec(['ls'], {});
  checkExec(['ls', '-l'], { stdin: 'text', environment: { A: 'b' }, directory: '/', onStdout: () => {} });
  checkExec(['cat'], { stdin: new Uint8Array(3) });
  checkExec(['cat'], { stdin: (async function* empty() {})() });
  for (const [command, options] of [
    [[], {}],
    ['ls', {}],
    [['ls', 1], {}],
    [['ls'], { stdin: 7 }],
    [['ls'], { environment: { A: 1 } }],
    [['ls'], { environment: 'A=b' }],
    [['ls'], { cwd: '/' }],
    [['ls'], { onStderr: 'x' }],
  ])
    assert.equal(fault(() => checkExec(command, options))?.code, 'invalid-option', JSON.stringify([command, options]));
});

test('the options of machine.fs', async () => {
  const requests = [];
  const fs = new MachineFiles(undefined, [], { ask: async (request) => void requests.push(request) });
  for (const [call, message] of [
    ...[-1, 0o10000, 1.5, NaN, Infinity, 2 ** 32, '644', null].flatMap((mode) => [
      [() => fs.writeFile('/f', 'x', { mode }), /^the options of writeFile: mode .* is not a set of permission bits$/],
      [() => fs.mkdir('/d', { mode }), /^the options of mkdir: mode .* is not a set of permission bits$/],
    ]),
    [() => fs.writeFile('/f', 'x', 0o644), /^the options of writeFile must be an object, not 420$/],
    [() => fs.writeFile('/f', 'x', { modus: 1 }), /^the options of writeFile has no modus; known are mode$/],
    [() => fs.mkdir('/d', { recursive: 1 }), /^the options of mkdir: recursive must be a boolean, not 1$/],
    [() => fs.rm('/d', { recurse: true }), /^the options of rm has no recurse; known are recursive, force$/],
    [() => fs.rm('/d', null), /^the options of rm must be an object, not null$/],
  ])
    await assert.rejects(call(), { name: 'MachineError', code: 'invalid-option', message });
  assert.equal(requests.length, 0, 'nothing was asked');
  for (const mode of [0, 0o7777, undefined]) await fs.mkdir('/d', { mode, recursive: undefined });
  assert.deepEqual(
    requests.map(({ mode }) => mode),
    [0, 0o7777, 0o755],
  );
});

test('the page’s address', () => {
  for (const [search, address] of [
    ['', { options: {} }],
    ['?cpus=1&memory=4095', { options: { cpus: 1, memory: 4095 } }],
    ['?arguments=quiet+loglevel%3D3', { options: { kernelArguments: 'quiet loglevel=3' } }],
    ['?screenreader', { options: {}, screenReader: true }],
    ['?screenreader=on', { options: {}, screenReader: true }],
    ['?screenreader=0', { options: {}, screenReader: false }],
    ['?saving=0', { options: {}, saving: false }],
  ])
    assert.deepEqual(readAddress(search), address, search);
  for (const [search, message] of [
    ['?cpus=9', 'cpus must be a whole number from 1 to 8, not 9'],
    ['?memory=', 'memory must be a whole number from 32 to 4095 MiB, not empty'],
    ['?memory=31', 'memory must be a whole number from 32 to 4095 MiB, not 31'],
    [
      '?workerLimit=20',
      'The address has an unknown option, workerLimit. Known are cpus, memory, arguments, screenreader, saving, network.',
    ],
    ['?toString=1', /^The address has an unknown option, toString\./],
    ['?cpus=1&cpus=1', 'The address has the option cpus twice.'],
    ['?screenreader=maybe', 'screenreader must be 1 or 0, not maybe.'],
    ['?saving=maybe', 'saving must be 1 or 0, not maybe.'],
    ['?screenreader=toString', 'screenreader must be 1 or 0, not toString.'],
    [`?cpus=${'1'.repeat(50)}`, `cpus must be a whole number from 1 to 8, not ${'1'.repeat(40)}…`],
  ]) {
    const error = fault(() => readAddress(search));
    assert.equal(error?.code, 'invalid-option', search);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
  }
});

test('the command line', () => {
  const known = { values: [...TYPED_OPTIONS, 'timeout'], flags: ['console'], lists: ['put', 'disk'] };
  const line = parseCommandLine(
    'exec',
    ['--cpus', '2', '--memory=64', '--console', '--put', 'a:/b', '--put=c:/d', 'word', '-x', '--', '--cpus', '-h'],
    known,
  );
  assert.deepEqual(
    [...line.values],
    [
      ['cpus', '2'],
      ['memory', '64'],
    ],
  );
  assert.deepEqual([...line.flags], ['console']);
  assert.deepEqual(
    [...line.lists],
    [
      ['put', ['a:/b', 'c:/d']],
      ['disk', []],
    ],
  );
  assert.deepEqual(line.words, ['word', '-x']);
  assert.deepEqual(line.rest, ['--cpus', '-h']);
  assert.deepEqual(sizeOptions(line), { cpus: 2, memory: 64 });
  assert.equal(numberOption(line, 'timeout', { least: 1, most: 9, unit: ' s' }), undefined);
  assert.equal(parseCommandLine('exec', [], known).rest, undefined);

  for (const words of [['--help'], ['-h'], ['--cpus', '1', '--help']])
    assert(fault(() => parseCommandLine('exec', words, known)) instanceof HelpWanted);
  for (const [words, message] of [
    [['--cpus', '1', '--cpus=2'], 'exec: --cpus is given twice'],
    [['--cpus'], 'exec: --cpus needs a value'],
    [
      ['--share=1'],
      'exec: unknown option --share=1; known are --cpus, --memory, --timeout, --put, --disk, --console, --help',
    ],
    [['-c'], /^exec: unknown option -c; known are /],
    [['--console=yes'], /^exec: unknown option --console=yes/],
  ]) {
    const error = fault(() => parseCommandLine('exec', words, known));
    assert(error instanceof UsageError, words.join(' '));
    assert.equal(error.status, 2);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
  }
  for (const name of TYPED_OPTIONS) {
    const { least, most, unit } = NUMBER_OPTIONS[name];
    for (const value of [least - 1, most + 1]) {
      const error = fault(() => sizeOptions(parseCommandLine('exec', [`--${name}=${value}`], known)));
      assert(error instanceof UsageError);
      assert.equal(error.message, `--${name} must be a whole number from ${least} to ${most}${unit}, not ${value}`);
    }
  }
});

test('--help has the table’s words', () => {
  for (const command of ['exec', 'console']) {
    const text = readFileSync(new URL(`../../web/src/node/help/${command}.txt`, import.meta.url), 'utf8');
    for (const name of TYPED_OPTIONS) {
      const { least, most, unit, shown, help } = NUMBER_OPTIONS[name];
      const option = `--${name} ${unit === '' ? 'N' : unit.trim().toUpperCase()}`;
      assert(
        text.includes(`\n  ${option.padEnd(16)}  ${help}, ${least} to ${most}${unit} (default: ${shown})\n`),
        `${command}: ${name}`,
      );
    }
  }
});

test('the lines that the C++ host reads', () => {
  const read = (configuration) =>
    Object.fromEntries(
      settingsText(configuration)
        .trimEnd()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  const limits = engineLimits();
  const empty = read({});
  assert.deepEqual(
    { ...empty, initialWorkers: undefined },
    {
      workerLimit: String(limits.workers),
      memoryLimit: String(limits.memories),
      initialWorkers: undefined,
      initialMemories: '8',
      processMemory: String(limits.processMemory),
      processors: empty.processors,
      sockets: '1',
    },
  );
  assert.match(empty.processors, /^[1-9]\d*$/);
  assert(Number(empty.initialWorkers) <= limits.workers);
  const numbers = Object.fromEntries(NUMBER_OPTION_NAMES.map((name) => [name, NUMBER_OPTIONS[name].most]));
  const all = read({ ...numbers, kernelArguments: 'a=1 b\ncpus=1', sockets: false });
  for (const name of NUMBER_OPTION_NAMES) assert.equal(all[name], String(NUMBER_OPTIONS[name].most));
  assert.equal(all.kernelArguments, 'a=1 b cpus=1');
  assert.equal(all.sockets, '0');
  // What is started with is never more than may exist.
  const few = read({ workerLimit: 16, memoryLimit: 2 });
  assert.equal(few.initialMemories, '2');
  assert(Number(few.initialWorkers) <= 16);
});
