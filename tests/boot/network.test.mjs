// SPDX-License-Identifier: MIT
// The network in Node.js: the guest's connections are sockets of this program, to servers on loopback.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { makeAuthority } from './authority.mjs';
import { runCli } from './machines.mjs';
import { GATEWAY, gathers, listen, MIB, start, text } from './network-guests.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const GATEWAY6 = 'fd00::2';

test('without a network there is no card', async (suite) => {
  const { run, result } = await start(suite);
  assert.equal(await run('ls /sys/class/net'), 'lo\n');
  assert.notEqual((await result(`ping -c 1 -W 1 ${GATEWAY}`)).status, 0);
});

test('a guest and servers of this computer', async (suite) => {
  const { run, result } = await start(suite, { allow: ['host'] });

  await suite.test('addresses, and the gateway answers', async () => {
    assert.match(await run('ip -4 addr show eth0'), /inet 10\.0\.2\.15\/24/);
    assert.match(await run('ip link show eth0'), /[<,]MULTICAST[,>]/);
    assert.match(await run('ip route'), /^default via 10\.0\.2\.2 dev eth0/m);
    assert.match(await run(`ping -c 3 -i 0.1 ${GATEWAY}`), /3 packets received/);
    assert.equal(await run('cat /etc/resolv.conf'), 'nameserver 10.0.2.3\n');
  });

  await suite.test('half close in both directions', async (part) => {
    const port = await listen(
      part,
      gathers((bytes) => `got ${bytes}`),
    );
    assert.equal(await run(`printf 'hello' | nc ${GATEWAY} ${port}`), 'got hello');
    // The server ends first.
    const early = createServer({ allowHalfOpen: true }, (socket) => {
      socket.end('first');
      const parts = [];
      socket.on('data', (bytes) => parts.push(bytes));
      socket.on('end', () => early.emit('rest', Buffer.concat(parts).toString()));
    });
    const earlyPort = await listen(part, early);
    const rest = once(early, 'rest');
    assert.equal(await run(`(read line < /dev/null; echo later) | nc ${GATEWAY} ${earlyPort}`), 'first');
    assert.deepEqual(await rest, ['later\n']);
  });

  await suite.test('many bytes each way', async (part) => {
    const content = randomBytes(32 * MIB);
    let sum;
    const web = createHttpServer((request, response) => {
      if (request.method === 'GET') return response.end(content);
      const hash = createHash('sha256');
      request.on('data', (bytes) => hash.update(bytes));
      request.on('end', () => {
        sum = hash.digest('hex');
        response.end();
      });
    });
    const port = await listen(part, web);
    const line = `wget -q -O - http://${GATEWAY}:${port}/ | sha256sum`;
    assert.equal(await run(line), `${sha256(content)}  -\n`);
    const sink = createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash('sha256');
      socket.on('data', (bytes) => hash.update(bytes));
      socket.on('end', () => socket.end(hash.digest('hex')));
    });
    const sinkPort = await listen(part, sink);
    await run('head -c 33554432 /dev/urandom > /tmp/data');
    const [own] = (await run('sha256sum /tmp/data')).split(' ');
    assert.equal(await run(`nc ${GATEWAY} ${sinkPort} < /tmp/data`), own);
    assert.equal(sum, undefined);
  });

  await suite.test("https by BusyBox's wget, which does not verify", async (part) => {
    const content = randomBytes(MIB);
    const options = { ...makeAuthority(), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    const asked = [];
    const web = createHttpsServer(options, ({ url, socket }, response) => {
      asked.push([url, socket.getProtocol(), socket.servername]);
      response.end(content);
    });
    const port = await listen(part, web);
    // Its own name, so that there is one to be said (SNI).
    await run(`echo ${GATEWAY} own.example >> /etc/hosts`);
    const { stdout, stderr } = await result(`wget -O - https://own.example:${port}/a | sha256sum`);
    assert.equal(stdout, `${sha256(content)}  -\n`);
    assert.match(stderr, /TLS certificate validation not implemented/);
    assert.deepEqual(asked, [['/a', 'TLSv1.2', 'own.example']]);
  });

  await suite.test('a port that is closed, and servers that reset', async (part) => {
    const server = createServer();
    const port = await listen(part, server);
    await new Promise((resolve) => server.close(resolve));
    const { status, stderr } = await result(`wget -O - http://${GATEWAY}:${port}/`);
    assert.equal(status, 1);
    assert.match(stderr, /Connection refused/);
    const resetter = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const resetPort = await listen(part, resetter);
    const cut = await result(`(echo x; cat /dev/zero) | nc ${GATEWAY} ${resetPort}`);
    assert.notEqual(cut.status, 0);
  });

  await suite.test('a slow reader in the guest, and a fast server', async (part) => {
    let written = 0;
    const server = createServer((socket) => {
      const chunk = Buffer.alloc(MIB);
      const more = () => {
        while (written < 512 && socket.write(chunk)) written += 1;
        if (written < 512) socket.once('drain', more);
        else socket.end();
      };
      more();
    });
    const port = await listen(part, server);
    await run(
      `mkfifo /tmp/slow; nc ${GATEWAY} ${port} > /tmp/slow < /dev/null & exec 3< /tmp/slow; head -c 1 <&3 > /dev/null`,
    );
    // All buffers on the way are full before this answer: the machine has done other things meanwhile.
    const before = written;
    await run(`ping -c 5 -i 0.2 ${GATEWAY}`);
    assert(written < 64, `${before} and then ${written} MiB are on the way`);
  });

  await suite.test('datagrams', async (part) => {
    const socket = createSocket('udp4');
    part.after(() => socket.close());
    socket.on('message', (bytes, from) => socket.send(`got ${bytes}`, from.port, from.address));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    assert.equal(await run(`echo hi | nc -u -w 1 ${GATEWAY} ${port}`), 'got hi\n');
  });

  await suite.test('names', async () => {
    assert.match(await run('nslookup localhost.localdomain 2>&1 || nslookup localhost 2>&1'), /Address/);
    const { status, stdout } = await result('nslookup no-such-name.invalid 2>&1');
    assert.notEqual(status, 0);
    assert.match(stdout, /NXDOMAIN|can't find|can't resolve/);
  });

  await suite.test('IPv6', async (part) => {
    const port = await listen(
      part,
      gathers((bytes) => `six ${bytes}`),
      '::1',
    );
    await run('until ip -6 addr show eth0 | grep -q "fd00:.*global"; do :; done');
    assert.match(await run(`ping -6 -c 1 ${GATEWAY6}`), /1 packets received/);
    assert.equal(await run(`printf hello | nc ${GATEWAY6} ${port}`), 'six hello');
  });

  await suite.test('200 connections at once', async (part) => {
    const port = await listen(
      part,
      gathers((bytes) => bytes),
    );
    await run(`i=0; while [ $i -lt 200 ]; do i=$((i+1)); (echo $i | nc ${GATEWAY} ${port} > /tmp/c$i) & done; wait`);
    assert.equal(await run('cat /tmp/c[0-9]* | sort -n | tail -n 1; ls /tmp/c[0-9]* | wc -l'), '200\n200\n');
  });

  assert.equal(await run('dmesg -r | grep -E "^<[0-4]>" | grep -v tainted; true'), '');
});

test('whom a guest may reach', async (suite) => {
  const port = await listen(
    suite,
    gathers((bytes) => bytes),
  );
  const { result, run } = await start(suite, {});
  for (const address of [GATEWAY, '192.168.0.1', '169.254.169.254', `[${GATEWAY6}]`, '[::ffff:10.0.0.1]']) {
    const { status, stderr } = await result(`wget -O - http://${address}:${port}/`);
    assert.notEqual(status, 0, address);
    assert.match(stderr, /unreachable|Permission denied|refused/i, address);
  }
  await run(`ping -c 1 ${GATEWAY}`);
});

test('ports of the guest', async (suite) => {
  const server = createServer();
  const port = await listen(suite, server);
  await new Promise((resolve) => server.close(resolve));
  const { machine, run } = await start(suite, { publish: [`${port}:80`] });
  await run('mkdir /tmp/www; echo hello > /tmp/www/index.html; httpd -p 80 -h /tmp/www');
  const answer = await (await fetch(`http://127.0.0.1:${port}/`)).text();
  assert.equal(answer, 'hello\n');
  await run('killall httpd');
  const socket = connect(port, '127.0.0.1');
  const [error] = await Promise.race([once(socket, 'error'), once(socket, 'close').then(() => ['closed'])]);
  assert(error);
  await machine.dispose();
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
});

test('the owner and programs in the guest', async (suite) => {
  const { machine, run, result } = await start(suite, {});

  await suite.test('the owner connects', async () => {
    await assert.rejects(machine.network.connect(7), { code: 'refused' });
    await assert.rejects(machine.network.connect(65536), { code: 'invalid-option' });
    const served = run(`nc -l -p 7 > /tmp/got < /etc/hostname`);
    await run('until grep -q ":0007 .* 0A " /proc/net/tcp /proc/net/tcp6; do :; done');
    const socket = await machine.network.connect(7);
    const writer = socket.writable.getWriter();
    await writer.write(new TextEncoder().encode('hello'));
    await writer.close();
    let answer = '';
    for await (const bytes of socket.readable) answer += text(bytes);
    assert.equal(answer, 'auklet\n');
    await served;
    assert.equal(await run('cat /tmp/got'), 'hello');
  });

  await suite.test('requests to a server', async () => {
    const content = randomBytes(4 * MIB);
    await run('mkdir -p /tmp/www; cat > /tmp/www/data; httpd -p 80 -h /tmp/www', { stdin: content });
    const response = await machine.network.fetch(80, 'http://localhost/data');
    assert.equal(response.status, 200);
    assert.equal(sha256(new Uint8Array(await response.arrayBuffer())), sha256(content));
    assert.equal((await machine.network.fetch(80, 'http://localhost/none')).status, 404);
  });

  await suite.test('programs connect to the owner', async () => {
    const stop = machine.network.listen(99, async (socket) => {
      let question = '';
      for await (const bytes of socket.readable) question += text(bytes);
      const writer = socket.writable.getWriter();
      await writer.write(new TextEncoder().encode(`you said ${question}`));
      await writer.close();
    });
    assert.equal(await run('echo hi | nc owner.auklet 99'), 'you said hi\n');
    stop();
    assert.equal((await result('nc owner.auklet 99 < /dev/null')).status, 1);
  });
});

test('the command line', async (suite) => {
  const port = await listen(
    suite,
    gathers((bytes) => `got ${bytes}`),
  );
  const words = ['exec', '--network=nat', '--network-allow', 'host', '--', 'nc', GATEWAY, String(port)];
  const { status, stdout, stderr } = await runCli(words, { input: 'x' });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'got x', stderr: '' });
  for (const [given, expected] of [
    [['--network=maybe'], /--network maybe: write none, nat, fetch, wisp:URL or ethernet:URL/],
    [['--network=ethernet:http://x'], /--network ethernet:http:..x: write ethernet:ws/],
    [['--network=wisp'], /write wisp:ws:.* or wisp and AUKLET_RELAY_URL/],
    [['--publish', '1:2'], /--publish needs --network nat/],
    [['--network=nat', '--publish', 'x'], /--publish x/],
    [['--network=nat', '--network-allow', 'a b'], /a b/],
  ]) {
    const wrong = await runCli(['exec', ...given, '--', 'true']);
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.match(wrong.stderr, expected);
  }
});
