// SPDX-License-Identifier: MIT
// Events for opened ports: what the host makes of the kernel's words, and the owner of the host's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { OpenPorts } = await source('machine/open-ports.ts');
const { MachineNetwork } = await source('api/network.ts');
const { openNetwork } = await source('network/open-network.ts');
const { MachineError } = await source('api/types.ts');

function collect(t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told = [];
  const ports = new OpenPorts((open) => told.push(open));
  const pass = () => {
    t.mock.timers.tick(20);
    return told.splice(0);
  };
  return { ports, pass };
}

test('changes of a moment are told once', (t) => {
  const { ports, pass } = collect(t);
  ports.changed(80, true);
  ports.changed(8080, true);
  assert.deepEqual(pass(), [[80, 8080]]);
  assert.deepEqual(pass(), []);
  ports.changed(80, false);
  ports.changed(80, true);
  ports.changed(80, false);
  assert.deepEqual(pass(), [[8080]]);
});

test('an end that overtakes its beginning', (t) => {
  const { ports, pass } = collect(t);
  ports.changed(80, false);
  assert.deepEqual(pass(), [[]]);
  ports.changed(80, true);
  assert.deepEqual(pass(), [[]]);
  ports.changed(80, true);
  ports.changed(80, true);
  ports.changed(80, false);
  assert.deepEqual(pass(), [[80]]);
});

test('a kernel that lies', (t) => {
  const { ports, pass } = collect(t);
  for (const port of [0, -1, 65_536, 1.5, NaN, '80']) ports.changed(port, true);
  assert.deepEqual(pass(), []);
  for (let round = 0; round < 3; ++round) for (let port = 1; port <= 65_535; ++port) ports.changed(port, true);
  assert.deepEqual(pass(), [Array.from({ length: 64 }, (_, index) => index + 1)]);
  for (let round = 0; round < 1000; ++round) ports.changed(1, false);
  ports.changed(1, true);
  ports.changed(1, true);
  assert.equal(pass()[0].includes(1), true);
});

test('nothing is told after the end', (t) => {
  const { ports, pass } = collect(t);
  ports.changed(80, true);
  ports.close();
  assert.deepEqual(pass(), []);
});

test('an owner hears of ports that are open already, and of the end', async () => {
  const network = new MachineNetwork({ type: 'local' }, () => {});
  network.handle({ type: 'network', event: { type: 'ports', ports: [80, 81] } });
  const heard = [];
  const end = network.watchPorts((port, isOpen) => heard.push([port, isOpen]));
  assert.deepEqual(heard, []);
  await Promise.resolve();
  assert.deepEqual(heard.splice(0), [
    [80, true],
    [81, true],
  ]);
  network.handle({ type: 'network', event: { type: 'ports', ports: [81, 82] } });
  assert.deepEqual(heard.splice(0), [
    [80, false],
    [82, true],
  ]);
  assert.deepEqual(network.openPorts, [81, 82]);
  end();
  network.handle({ type: 'network', event: { type: 'ports', ports: [] } });
  assert.deepEqual(heard, []);

  network.handle({ type: 'network', event: { type: 'ports', ports: [90] } });
  network.watchPorts((port, isOpen) => heard.push([port, isOpen]));
  network.ended(new MachineError('disposed', 'the machine was disposed'));
  await Promise.resolve();
  assert.deepEqual(heard, [[90, false]]);
});

test('without a card nobody can watch', () => {
  const network = new MachineNetwork(undefined, () => {});
  assert.throws(() => network.watchPorts(() => {}), { code: 'failed' });
});

test('a network with nobody outside refuses all', async () => {
  const failed = [];
  const network = openNetwork({ type: 'local' }, { failed: (...values) => failed.push(values) }, () => {});
  await network.ready;
  network.flows.open(7, 'stream', '192.0.2.1', 80);
  assert.deepEqual(failed, []);
  await Promise.resolve();
  assert.deepEqual(failed, [[7, 'unreachable']]);
  await assert.rejects(network.names.resolve('example.org', false));
  await assert.rejects(network.names.ask(new Uint8Array(12)));
});
