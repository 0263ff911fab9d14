// SPDX-License-Identifier: MIT
// BusyBox's network programs, and the protocols that they speak, with servers on loopback.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { GATEWAY, listen, start } from './network-guests.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const { run } = await start(test, { allow: ['host'] });

/** Calls `answer` with each line of a client. */
function speaks(greeting, answer) {
  return createServer((socket) => {
    let rest = '';
    if (greeting !== '') socket.write(`${greeting}\r\n`);
    socket.on('data', (bytes) => {
      const lines = `${rest}${bytes}`.split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) answer(line, socket);
    });
  });
}

test('telnet', async (suite) => {
  const port = await listen(
    suite,
    speaks('welcome', (line, socket) => socket.end(`you typed ${line}\r\n`)),
  );
  // The end of its input ends telnet: this pipe has none. Its status is 1 whenever the server ends.
  const shown = await run(
    `mkfifo /tmp/keys; exec 3<> /tmp/keys; echo hello >&3; telnet ${GATEWAY} ${port} <&3 || true`,
  );
  assert.match(shown, /welcome[^]*you typed hello/);
});

test('ftpget and ftpput, by connections that the server names', async (suite) => {
  const content = randomBytes(3 << 20);
  let stored;
  /** The connection for the next file. */
  let data;
  const answers = {
    USER: () => '230 come in',
    TYPE: () => '200 so be it',
    SIZE: () => `213 ${content.length}`,
    EPSV: () => '502 an old server',
    PASV: async () => {
      const server = createServer({ allowHalfOpen: true });
      data = once(server, 'connection');
      const port = await listen(suite, server);
      return `227 passive (10,0,2,2,${port >> 8},${port & 255})`;
    },
    RETR: async () => {
      const [socket] = await data;
      socket.end(content);
      return '150 here it comes\r\n226 done';
    },
    STOR: async (name, control) => {
      control.write('150 go on\r\n');
      const [socket] = await data;
      const parts = [];
      for await (const bytes of socket) parts.push(bytes);
      socket.end();
      stored = { name, content: Buffer.concat(parts) };
      return '226 done';
    },
    QUIT: () => '221 bye',
  };
  const server = speaks('220 ready', async (line, socket) => {
    const [command, value] = line.split(' ');
    socket.write(`${await (answers[command]?.(value, socket) ?? '502 what?')}\r\n`);
  });
  const port = await listen(suite, server);
  const got = await run(`cd /tmp && ftpget -u x -p y -P ${port} ${GATEWAY} near far && sha256sum < near`);
  assert.equal(got, `${sha256(content)}  -\n`);
  await run(`cd /tmp && ftpput -u x -p y -P ${port} ${GATEWAY} far near`);
  assert.equal(stored.name, 'far');
  assert.equal(sha256(stored.content), sha256(content));
});

test('whois', async (suite) => {
  const port = await listen(
    suite,
    speaks('', (line, socket) => socket.end(`domain: ${line}\r\n`)),
  );
  assert.match(await run(`whois -h ${GATEWAY} -p ${port} example.org`), /domain: example\.org/);
});

test('udhcpc: an address by DHCP, as other images ask for one', async () => {
  await run(`cat > /tmp/script && chmod +x /tmp/script`, {
    stdin: '#!/bin/sh\n[ "$1" = bound ] && echo "$ip $subnet $router $dns $mtu" > /tmp/lease\nexit 0\n',
  });
  await run('udhcpc -i eth0 -f -q -n -s /tmp/script -O mtu 2>&1');
  assert.match(await run('cat /tmp/lease'), /^10\.0\.2\.15 255\.255\.255\.0 10\.0\.2\.2 10\.0\.2\.3/);
});

test('Linux has complained of nothing', async () => {
  assert.equal(await run('dmesg -r | grep -E "^<[0-4]>" | grep -v tainted; true'), '');
});
