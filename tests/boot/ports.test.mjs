// SPDX-License-Identifier: MIT
// The owner hears at which ports programs in the guest listen, in a network with nobody outside.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));

test('events for opened ports', async (suite) => {
  const machine = await startMachine({ exec: true, memory: 256, network: { type: 'local' } });
  suite.after(() => machine.dispose());
  await machine.started;
  const run = async (line) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
    return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
  };
  /** Resolves when the ports are these. */
  const ports = (expected) =>
    new Promise((resolve) => {
      let end = () => {};
      const look = () => {
        if (machine.network.openPorts.toSorted((a, b) => a - b).join() !== expected.join()) return;
        end();
        resolve();
      };
      end = machine.network.watchPorts(look);
      look();
    });

  await suite.test('nobody is outside', async () => {
    assert.match(await run('wget -O - http://192.0.2.1/'), /^1 [^]*unreachable/);
    assert.match(await run('wget -O - http://example.org/'), /^1 [^]*bad address/);
    assert.match(await run('wget -O - http://10.0.2.2:81/'), /^1 [^]*(refused|unreachable)/);
  });

  await suite.test('a server begins and ends', async () => {
    assert.deepEqual(machine.network.openPorts, []);
    await run('httpd -p 80 -h /tmp');
    await ports([80]);
    assert.equal((await machine.network.fetch(80, 'http://localhost/none')).status, 404);
    await run('httpd -p 10.0.2.15:81 -h /tmp; httpd -p 82 -h /tmp');
    await ports([80, 81, 82]);
    await run('killall httpd');
    await ports([]);
  });

  await suite.test('only what the owner reaches', async () => {
    await run(
      'httpd -p 127.0.0.1:83 -h /tmp; httpd -p "[::1]:84" -h /tmp; httpd -p "[fd00::15]:85"; httpd -p 86 -h /tmp',
    );
    await ports([86]);
    assert.match(await run('netstat -tln'), /127\.0\.0\.1:83 [^]*::1:84 /);
    await assert.rejects(machine.network.connect(83), { code: 'refused' });
    await run('killall httpd');
    await ports([]);
  });

  await suite.test('two listeners at one port', async () => {
    await run(
      'httpd -p 10.0.2.15:87 -h /tmp; ip address add 10.0.2.16/24 dev eth0; httpd -p 10.0.2.16:87 -h /tmp; httpd -p 88',
    );
    await ports([87, 88]);
    await run("kill $(ps | awk '/10.0.2.15:8[7]/ { print $1 }')");
    await run('httpd -p 89');
    await ports([87, 88, 89]);
    await run('killall httpd');
    await ports([]);
  });

  await suite.test('the end of the machine', async () => {
    await run('httpd -p 90 -h /tmp');
    await ports([90]);
    const heard = new Promise((resolve) => {
      machine.network.watchPorts((port, isOpen) => isOpen || resolve(port));
    });
    await machine.dispose();
    assert.equal(await heard, 90);
  });
});
