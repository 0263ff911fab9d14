// SPDX-License-Identifier: MIT
// The kernel's names for its functions: /proc/kallsyms against the table of the image, and messages that print names.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, exec } from './machines.mjs';

const FUNCTION_NAMES = 1; // part of the name section

/** Number of the function -> name, from a name section. */
function functionNames(bytes) {
  const names = new Map();
  let position = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[position++];
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (position < bytes.length) {
    const kind = bytes[position++];
    const size = number();
    const end = position + size;
    for (let count = kind === FUNCTION_NAMES ? number() : 0; count > 0; --count) {
      const index = number();
      const length = number();
      names.set(index, new TextDecoder().decode(bytes.subarray(position, position + length)));
      position += length;
    }
    position = end;
  }
  return names;
}

/** The names of the functions of the image that is booted, by their index in its table. */
function imageTable() {
  const module = new WebAssembly.Module(readFileSync(join(build, 'kernel/vmlinux.wasm')));
  const names = functionNames(new Uint8Array(WebAssembly.Module.customSections(module, 'name')[0]));
  const engine = new Proxy({}, { get: () => () => 0 });
  const memory = new WebAssembly.Memory({ initial: 256, maximum: 65536, shared: true });
  const { __indirect_function_table: table } = new WebAssembly.Instance(module, { env: { memory }, engine }).exports;
  // The name of an exported function is its number.
  return Array.from({ length: table.length }, (_, index) => names.get(Number(table.get(index)?.name)));
}

test('/proc/kallsyms is the table of the image', async () => {
  const { status, stdout } = await exec(['cat', '/proc/kallsyms']);
  assert.equal(status, 0);
  const symbols = stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const match = line.match(/^([0-9a-f]{8}) ([tTW]) (\S+)$/);
      assert(match, line);
      return { address: parseInt(match[1], 16), name: match[3] };
    });
  const table = imageTable();
  const addressOf = (name) => symbols.find((symbol) => symbol.name === name)?.address;
  assert.equal(addressOf('_stext'), 1);
  assert.equal(addressOf('_etext'), table.length);

  const functions = symbols.filter(({ name }) => name !== '_stext' && name !== '_etext');
  assert.deepEqual(
    [...new Set(functions.map(({ address }) => address))],
    Array.from({ length: table.length - 1 }, (_, index) => index + 1),
    'every index of the table has a name, in order',
  );

  // Names that only one function has: the optimiser gives static functions of equal names numbers.
  const occurrences = new Map();
  for (const { name } of functions) occurrences.set(name, (occurrences.get(name) ?? 0) + 1);
  const present = new Set(table);
  const unique = functions.filter(({ name }) => occurrences.get(name) === 1 && present.has(name));
  assert(unique.length > functions.length / 2, `${unique.length} of ${functions.length} can be compared`);
  assert.deepEqual(
    unique.filter(({ address, name }) => table[address] !== name),
    [],
  );

  for (const name of ['kernel_init', 'kthreadd', 'default_wake_function', 'autoremove_wake_function', 'rcu_gp_kthread'])
    assert(
      unique.some((symbol) => symbol.name === name),
      `${name} has an address`,
    );
});

test('%ps: timers have the names of their functions', async () => {
  const { stdout } = await exec(['cat', '/proc/timer_list']);
  assert.match(stdout, /<[0-9a-f]+>, tick_nohz_handler, /);
  assert.match(stdout, /event_handler: +hrtimer_interrupt\n/);
});

test('%pS: initcall_debug prints names', async () => {
  const { stdout } = await exec(['dmesg'], { words: ['--arguments', 'initcall_debug'] });
  const calls = stdout.match(/calling .*/g) ?? [];
  assert(calls.length > 100, `${calls.length} calls`);
  for (const call of calls) assert.match(call, /^calling +[A-Za-z_]\w*\+0x0\/0x1 @ 1$/);
  assert.match(stdout, /calling +populate_rootfs\+0x0\/0x1 /);
});

test('initcall_blacklist finds a function by its name', async () => {
  const words = ['--arguments', 'initcall_blacklist=kallsyms_init'];
  const { status, stdout } = await exec(['sh', '-c', 'test -e /proc/version && ! test -e /proc/kallsyms'], { words });
  assert.equal(status, 0, stdout);
});
