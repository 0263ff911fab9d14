// SPDX-License-Identifier: MIT
// A kernel and a host of different versions: the kernel says so and stops.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from './machines.mjs';

class Halted extends Error {}

test('a kernel that does not fit its host', () => {
  const module = new WebAssembly.Module(readFileSync(join(build, 'kernel/vmlinux.wasm')));
  const memory = new WebAssembly.Memory({ initial: 1024, maximum: 1024, shared: true });
  const other = 1_000_000;
  let text = '';
  let reason;
  const functions = {
    console_write: (address, length) => {
      text += Buffer.from(new Uint8Array(memory.buffer, address, length).slice()).toString();
    },
    halt: (value) => {
      reason = value;
      throw new Halted();
    },
  };
  const engine = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
    if (from === 'engine' && kind === 'function')
      engine[name] = functions[name] ?? (() => assert.fail(`the kernel called ${name}`));
  const kernel = new WebAssembly.Instance(module, { env: { memory }, engine }).exports;
  // The version is the first word of struct auklet_machine.
  new Uint32Array(memory.buffer)[kernel.auklet_machine.value >>> 2] = other;
  assert.throws(() => kernel.boot_cpu(0), Halted);
  assert.match(text, /^The kernel \(version \d+\) does not fit its host \(version 1000000\)\.\n$/);
  assert.equal(reason, 2);
});
