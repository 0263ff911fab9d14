// SPDX-License-Identifier: MIT
// Many connections, long ones, and far sides that do what they should not: nothing is lost, and nothing stays behind.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { build } from './machines.mjs';
import { GATEWAY, listen, MIB, start, text } from './network-guests.mjs';

const program = {
  path: '/bin/connections',
  mode: 0o755,
  content: new Uint8Array(readFileSync(join(build, 'tests/programs/connections'))),
};
const boot = (suite) => start(suite, { allow: ['host'] }, { files: [program] });
const MOST_CONNECTIONS = 1024;
const MOST_FLOWS = 512;

/** Numbers of the machine's diagnostics. */
async function counts(machine) {
  const [, ...numbers] = (await machine.diagnostics()).match(
    /^network: connections (\d+), flows of datagrams (\d+), questions (\d+);.* lost (\d+), refused (\d+)$/m,
  );
  const [connections, flows, questions, lost, refused] = numbers.map(Number);
  return { connections, flows, questions, lost, refused };
}

/** Other events have their turn meanwhile. */
async function until(condition) {
  while (!(await condition())) await turn();
}

/** The last connection ends a moment after the program that had it. */
const untilNoneIsLeft = (machine) => until(async () => (await counts(machine)).connections === 0);

function socketCount() {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd'))
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count += 1;
    } catch {
      // It was the folder itself.
    }
  return count;
}

const resident = () => process.memoryUsage.rss() / MIB;

const echoes = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));

/** Runs a line; `said(pattern)` resolves when its output has the pattern. */
function follow(machine, line) {
  let output = '';
  let look = () => {};
  const onStdout = (bytes) => {
    output += text(bytes);
    look();
  };
  const result = machine.exec(['sh', '-c', line], { onStdout });
  const ended = result.then(({ status, stderr }) => ({ status, output, stderr: text(stderr) }));
  const said = (pattern) =>
    new Promise((resolve, reject) => {
      look = () => pattern.test(output) && resolve();
      look();
      ended.then(({ status, stderr }) => reject(new Error(`${line} ended with ${status}: ${output}${stderr}`)), reject);
    });
  return { ended, said };
}

/** Until nothing has changed while the machine did other things. */
async function untilItStands(run, progress) {
  for (let last, current; last === undefined || last !== current;) {
    last = await progress();
    await run(`ping -c 5 -i 0.2 ${GATEWAY}`);
    current = await progress();
  }
}

test('as many connections at once as there may be', async (suite) => {
  const { machine, run, result } = await boot(suite);
  const server = echoes();
  let now = 0;
  let most = 0;
  server.on('connection', (socket) => {
    most = Math.max(most, ++now);
    socket.on('close', () => (now -= 1));
  });
  const port = await listen(suite, server);
  const many = (count) => `connections many ${GATEWAY} ${port} ${count}`;

  assert.equal(await run(many(1000)), '1000 open\n1000 answered\n');
  assert.equal(most, 1000);
  await untilNoneIsLeft(machine);

  const tooMany = await result(many(MOST_CONNECTIONS + 1));
  assert.deepEqual(
    [tooMany.status, tooMany.stdout],
    [1, `connect ${MOST_CONNECTIONS}: Connection refused\n`],
    tooMany.stderr,
  );
  await untilNoneIsLeft(machine);
  assert.equal(await run(many(MOST_CONNECTIONS)), `${MOST_CONNECTIONS} open\n${MOST_CONNECTIONS} answered\n`);
  await untilNoneIsLeft(machine);
  await until(() => now === 0);
  assert.deepEqual(await counts(machine), { connections: 0, flows: 0, questions: 0, lost: 0, refused: 0 });
});

test('10,000 connections one after the other leave nothing behind', async (suite) => {
  const { machine, run } = await boot(suite);
  const server = echoes();
  let opened = 0;
  let closed = 0;
  server.on('connection', (socket) => {
    opened += 1;
    socket.on('close', () => (closed += 1));
  });
  const port = await listen(suite, server);
  const churn = async (count) => {
    const before = opened;
    assert.equal(await run(`connections call ${GATEWAY} ${port} ${count}`), `${count} done\n`);
    await untilNoneIsLeft(machine);
    await until(() => closed === opened);
    assert.equal(opened - before, count);
  };
  // The first ones make room that is kept.
  await churn(2000);
  // What is in TIME-WAIT has a limit of its own, and goes after a minute.
  const guest = async () => (await run('grep TCP: /proc/net/sockstat')).replace(/ tw \d+/, '');
  const before = { sockets: socketCount(), resident: resident(), guest: await guest() };
  await churn(10_000);
  await until(() => socketCount() <= before.sockets);
  const growth = resident() - before.resident;
  assert(growth < 96, `${growth} MiB more`);
  assert.equal(await guest(), before.guest);
});

test('24 downloads at a time', async (suite) => {
  const { machine, run } = await boot(suite);
  const contents = Array.from({ length: 24 }, (_, index) => randomBytes(MIB + index * 300_001));
  const web = createHttpServer((request, response) => response.end(contents[Number(request.url.slice(1))]));
  const port = await listen(suite, web);
  const sums = await run(
    `for i in $(seq 0 23); do (wget -q -O - http://${GATEWAY}:${port}/$i | sha256sum > /tmp/sum$i) & done; wait
     for i in $(seq 0 23); do cat /tmp/sum$i; done`,
  );
  assert.deepEqual(
    sums.trim().split('\n'),
    contents.map((content) => `${createHash('sha256').update(content).digest('hex')}  -`),
  );
  await untilNoneIsLeft(machine);
});

test('far sides that reset, stall, and end early', async (suite) => {
  const { machine, run, result } = await boot(suite);
  await run('mkfifo /tmp/go');

  await suite.test('a reset in the middle', async (part) => {
    const server = createServer((socket) => socket.write(Buffer.alloc(3 * MIB)));
    const port = await listen(part, server);
    const accepted = once(server, 'connection');
    const program = follow(machine, `connections hold ${GATEWAY} ${port} 1 <> /tmp/go`);
    await program.said(/1 open/);
    const [socket] = await accepted;
    socket.resetAndDestroy();
    // Who does not read may not hear of a reset.
    await run('echo > /tmp/go');
    const { status, output } = await program.ended;
    assert.deepEqual([status, output], [1, '1 open\nread 0: Connection reset by peer\n']);
  });

  await suite.test('one that stalls holds up nobody', async (part) => {
    const port = await listen(part, createServer({ pauseOnConnect: true, allowHalfOpen: true }));
    const stalled = follow(machine, `exec connections send ${GATEWAY} ${port} 100`);
    const other = await listen(part, echoes());
    assert.equal(await run(`connections many ${GATEWAY} ${other} 100`), '100 open\n100 answered\n');
    assert.equal((await counts(machine)).connections, 1);
    await run('killall connections');
    assert.notEqual((await stalled.ended).status, 0);
  });
  await untilNoneIsLeft(machine);

  await suite.test('one that has ended its direction still takes all', async (part) => {
    let received = 0;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.end();
      socket.on('data', ({ length }) => (received += length));
    });
    const port = await listen(part, server);
    const { status, stdout } = await result(`connections send ${GATEWAY} ${port} 64`);
    assert.equal(status, 0, stdout);
    await untilNoneIsLeft(machine);
    await until(() => received === 64 * MIB);
  });
});

test('slow readers of fast servers, and the reverse: memory is flat', async (suite) => {
  const { machine, run } = await boot(suite);
  await run('mkfifo /tmp/go');
  const MANY = 24;
  const EACH = 32;
  /** What both parts of the host may keep for all (host/src/network/tcp.hpp, web/src/network/budget.ts). */
  const LIMIT = 64 + 64;

  await suite.test('in the guest', async (part) => {
    let written = 0;
    const chunk = Buffer.alloc(MIB);
    const server = createServer((socket) => {
      let count = 0;
      const more = () => {
        if (count++ === EACH) return socket.end();
        // In turn, so that nothing waits in this program.
        socket.write(chunk, () => {
          written += 1;
          more();
        });
      };
      more();
    });
    const port = await listen(part, server);
    const before = resident();
    const program = follow(machine, `connections hold ${GATEWAY} ${port} ${MANY} <> /tmp/go`);
    await program.said(/24 open/);
    await untilItStands(run, () => written);
    const growth = resident() - before;
    suite.diagnostic(`${growth} MiB more, ${written} MiB on the way`);
    assert(written < (MANY * EACH) / 2, `${written} MiB are on the way`);
    assert(growth < LIMIT, `${growth} MiB more`);
    await run('echo > /tmp/go');
    const { output } = await program.ended;
    assert.match(output, new RegExp(`${MANY * EACH * MIB} bytes`));
  });

  await suite.test('outside', async (part) => {
    const sockets = [];
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => sockets.push(socket));
    const port = await listen(part, server);
    const before = resident();
    // What the guest's kernel keeps is in this program's memory, too.
    await run("echo '4096 65536 262144' > /proc/sys/net/ipv4/tcp_wmem");
    const program = follow(machine, `connections pour ${GATEWAY} ${port} ${MANY}`);
    await program.said(/24 open/);
    await untilItStands(run, () => run("awk '{ print $2, $5 }' /proc/net/tcp"));
    const growth = resident() - before;
    suite.diagnostic(`${growth} MiB more`);
    assert(growth < LIMIT, `${growth} MiB more`);
    let received = 0;
    for (const socket of sockets) {
      socket.on('data', ({ length }) => (received += length));
      socket.on('end', () => socket.end());
      socket.resume();
    }
    const { output } = await program.ended;
    assert.equal(output, `${MANY} open\n${MANY} poured\n`);
    assert.equal(received, MANY * EACH * MIB);
  });
  await untilNoneIsLeft(machine);
});

test('more flows of datagrams than there may be', async (suite) => {
  const { machine, run } = await boot(suite);
  const socket = createSocket('udp4');
  suite.after(() => socket.close());
  const ports = new Set();
  socket.on('message', (bytes, from) => {
    ports.add(from.port);
    socket.send(bytes, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const before = socketCount();
  // The flow that was idle for longest makes room, and comes back as another when it is used again.
  assert.equal(await run(`connections flows ${GATEWAY} ${socket.address().port} 700`), '700 answered\n');
  assert(ports.size >= 700);
  assert.equal((await counts(machine)).flows, MOST_FLOWS);
  await until(() => socketCount() - before <= MOST_FLOWS);
});

test('a guest whose ports are all in use', async (suite) => {
  const { machine, run, result } = await boot(suite);
  const port = await listen(suite, echoes());
  const other = await listen(suite, echoes());
  const first = createServer((socket) => socket.end().resume());
  const early = await listen(suite, first);
  await run('echo 50000 50049 > /proc/sys/net/ipv4/ip_local_port_range');
  // Who closes first keeps the port for a minute (TIME-WAIT).
  const { status, stdout } = await result(`connections churn ${GATEWAY} ${port} 60`);
  assert.deepEqual([status, stdout], [1, 'connect 50: Address not available\n']);
  await untilNoneIsLeft(machine);
  // To another far side, the same ports are good, and so they are again when the far side has closed first.
  assert.match(await run(`connections churn ${GATEWAY} ${other} 50`), /^churn/);
  assert.equal(await run(`connections visit ${GATEWAY} ${early} 500`), '500 done\n');
  await run('echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range');
  assert.match(await run(`connections churn ${GATEWAY} ${port} 100`), /^churn/);
  await untilNoneIsLeft(machine);
});
