// SPDX-License-Identifier: MIT
// Machines of one process on a link, and networks behind relays of Ethernet.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, WARNINGS } from './machines.mjs';

const { WebSocketServer } = createRequire(new URL('../../web/package.json', import.meta.url))('ws');
const { createLink, startMachine } = await import(join(build, 'cli/machine.mjs'));
const text = (bytes) => new TextDecoder().decode(bytes);
const stream = {
  path: '/bin/stream',
  mode: 0o755,
  content: new Uint8Array(readFileSync(join(build, 'tests/programs/stream'))),
};

/** A machine, and functions that run a line of shell. */
async function start(suite, network) {
  const machine = await startMachine({ exec: true, memory: 128, cpus: 1, files: [stream], network });
  suite.after(() => machine.dispose());
  await machine.started;
  const result = async (line, options) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line], options);
    return { status, stdout: text(stdout), stderr: text(stderr) };
  };
  const run = async (line, options) => {
    const { status, stdout, stderr } = await result(line, options);
    assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
    return stdout;
  };
  return { machine, run, result };
}

/** Until a program listens on the port. */
const listens = (port) => {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return `until grep -q ":${hex} .* 0A " /proc/net/tcp /proc/net/tcp6; do :; done`;
};

/** All of a file goes from one machine to the other, which gives its sum. */
async function transfer(from, to, address, port) {
  await from.run('head -c 67108864 /dev/urandom > /tmp/data');
  const received = to.run(`nc -l -p ${port} < /dev/null | sha256sum`);
  await to.run(listens(port));
  await from.run(`nc ${address} ${port} < /tmp/data`);
  assert.equal(await received, await from.run('sha256sum < /tmp/data; rm /tmp/data'));
}

test('three machines on a link', async (suite) => {
  const link = createLink();
  const machines = [];
  for (const hostname of ['red', 'green', 'blue'])
    machines.push(await start(suite, { type: hostname === 'blue' ? 'nat' : 'local', link, hostname }));
  const [red, green, blue] = machines;

  await suite.test('addresses and names', async () => {
    assert.deepEqual(
      machines.map(({ machine }) => machine.network.address),
      ['10.0.2.15', '10.0.2.16', '10.0.2.17'],
    );
    assert.equal(await green.run('hostname'), 'green\n');
    assert.match(await green.run('ip -4 addr show eth0'), /inet 10\.0\.2\.16\/24/);
    for (const from of machines)
      for (const name of ['red', 'green', 'blue', '10.0.2.15', '10.0.2.16', '10.0.2.17'])
        assert.match(await from.run(`ping -c 1 ${name}`), /1 packets received/, name);
    assert.notEqual((await red.result('ping -c 1 -W 1 10.0.2.18')).status, 0);
    assert.notEqual((await red.result('nslookup yellow')).status, 0);
    await assert.rejects(
      startMachine({ network: { type: 'local', link, address: '10.0.2.16' } }).then((machine) =>
        machine.started.finally(() => machine.dispose()),
      ),
      { code: 'network', message: /another machine of the link has the address 10\.0\.2\.16/ },
    );
  });

  await suite.test('many bytes in both directions', async () => {
    await transfer(red, green, '10.0.2.16', 1000);
    await transfer(green, red, '10.0.2.15', 1000);
    await Promise.all([transfer(red, blue, 'blue', 1001), transfer(blue, red, 'red', 1002)]);
  });

  await suite.test('IPv6', async () => {
    const find = `ip -6 addr show eth0 | sed -n 's|.*inet6 \\(fd00:[^/]*\\)/.*|\\1|p'`;
    const addresses = [];
    for (const { run } of machines)
      addresses.push((await run(`until ip -6 addr show eth0 | grep -q fd00:; do :; done; ${find}`)).trim());
    assert.equal(new Set(addresses).size, 3);
    assert.match(await red.run(`ping -6 -c 1 ${addresses[1]}`), /1 packets received/);
    await transfer(red, green, addresses[1], 1003);
  });

  await suite.test('each has its own gateway, and its owner reaches it', async () => {
    for (const { run } of machines) assert.match(await run('ping -c 1 10.0.2.2'), /1 packets received/);
    assert.equal((await red.run('ip neigh show 10.0.2.2')).split(' ')[4], '02:61:75:6b:00:02');
    for (const [index, { machine, run }] of machines.entries()) {
      const served = run(`echo machine ${index} | nc -l -p 7`);
      await run(listens(7));
      const socket = await machine.network.connect(7);
      await socket.writable.close();
      let answer = '';
      for await (const bytes of socket.readable) answer += text(bytes);
      assert.equal(answer, `machine ${index}\n`);
      await served;
    }
    // The first two reach nothing but each other.
    assert.equal((await red.result('nc 192.0.2.1 80 < /dev/null')).status, 1);
    assert.match((await red.result('wget -O - http://192.0.2.1/')).stderr, /unreachable/);
  });

  await suite.test('a program that reads nothing, and others', async () => {
    const received = green.result('stream receive 1004');
    await green.run(listens(1004));
    const sent = red.result('stream send 10.0.2.16 1004 1000');
    await green.run('until [ $(cat /sys/class/net/eth0/statistics/rx_bytes) -gt 600000000 ]; do :; done');
    await green.run('killall -STOP stream');
    await transfer(red, blue, 'blue', 1005);
    await transfer(green, red, 'red', 1005);
    await green.run('killall -CONT stream');
    assert.match((await sent).stdout, /sent 1048576000 bytes/);
    assert.match((await received).stdout, /received 1048576000 bytes/);
  });

  await suite.test('a machine that ends while others send to it', async () => {
    const received = assert.rejects(green.result('stream receive 1004'), { code: 'disposed' });
    await green.run(listens(1004));
    const sent = red.result('stream send 10.0.2.16 1004 100000');
    await green.run('until [ $(cat /sys/class/net/eth0/statistics/rx_bytes) -gt 1800000000 ]; do :; done');
    await green.machine.dispose();
    await received;
    // The sender goes on with the third one while nobody answers.
    await transfer(red, blue, 'blue', 1005);
    assert.match(await red.run('ping -c 1 10.0.2.2'), /1 packets received/);
    assert.notEqual((await red.result('ping -c 1 -W 1 10.0.2.16')).status, 0);
    await red.run('killall stream');
    assert.notEqual((await sent).status, 0);
    // Its place is free.
    const white = await start(suite, { type: 'local', link, hostname: 'white' });
    assert.equal(white.machine.network.address, '10.0.2.16');
    await transfer(white, red, 'red', 1006);
  });

  for (const { run } of [red, blue]) assert.equal(await run(`${WARNINGS} | grep -v tainted; true`), '');
});

test('machines on a channel', async (suite) => {
  const link = `channel:boot-${process.pid}`;
  const one = await start(suite, { type: 'local', link, address: '10.0.2.20' });
  const two = await start(suite, { type: 'local', link, address: '10.0.2.21' });
  assert.match(await one.run('ping -c 1 10.0.2.21'), /1 packets received/);
  await transfer(one, two, '10.0.2.21', 1000);
  await transfer(two, one, '10.0.2.20', 1000);
});

/** A relay of Ethernet, which gives each frame to all others. */
async function relay(suite) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const frames = [];
  server.on('connection', (socket) =>
    socket.on('message', (bytes) => {
      frames.push(bytes);
      for (const other of server.clients) if (other !== socket) other.send(bytes);
    }),
  );
  suite.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { server, frames, url: `ws://127.0.0.1:${server.address().port}/` };
}

test('a network behind a relay', async (suite) => {
  const { frames, url } = await relay(suite);
  const one = await start(suite, { type: 'ethernet', url });
  const two = await start(suite, { type: 'ethernet', url });
  // A DHCP server there is what a user's relay has: here it is one of the machines.
  await one.run('ip addr add 192.168.7.1/24 dev eth0; ip link set eth0 up');
  const settings = 'start 192.168.7.50\nend 192.168.7.60\ninterface eth0\noption subnet 255.255.255.0\n';
  const more = 'opt router 192.168.7.1\nopt dns 192.168.7.1\nlease_file /tmp/leases\n';
  await one.run('cat > /tmp/udhcpd.conf; touch /tmp/leases; udhcpd /tmp/udhcpd.conf', { stdin: settings + more });
  await two.run('until ip -4 addr show eth0 | grep -q 192.168.7.5; do :; done');
  await two.run('until ip route | grep -q "default via 192.168.7.1"; do :; done');
  await two.run('until grep -q "nameserver 192.168.7.1" /etc/resolv.conf; do :; done');
  assert.match(await two.run('ping -c 1 192.168.7.1'), /1 packets received/);
  await transfer(two, one, '192.168.7.1', 1000);
  // No frame is longer than one of Ethernet.
  assert(frames.length > 40_000);
  assert(frames.every(({ length }) => length >= 14 && length <= 1514));
  await assert.rejects(two.machine.network.connect(7), { code: 'failed', message: /network of a relay/ });
});

test('a relay that cannot be reached', async () => {
  const machine = await startMachine({ network: { type: 'ethernet', url: 'ws://127.0.0.1:1/' } });
  await assert.rejects(machine.started, {
    code: 'network',
    message: /relay ws:\/\/127\.0\.0\.1:1\/ cannot be reached/,
  });
  await machine.dispose();
});
