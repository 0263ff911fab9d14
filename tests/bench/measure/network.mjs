// SPDX-License-Identifier: MIT
// The network in Node.js: the guest's programs and this computer's, with the same server on loopback.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { bootSession, cli, root } from '../../boot/machines.mjs';
import { PROMPT } from '../../boot/session.mjs';
import { median, output, parseMicro, sdk } from '../programs.mjs';
import { idlePercent } from './processes.mjs';

const at = (name, suffix) => join(output, `${name}-${suffix}`);
const LOOPBACK = '127.0.0.1';
const GATEWAY = '10.0.2.2';
const MEBIBYTES = 1024;
const CONNECTIONS = 3000;
const REFUSED = 300;
const PINGS = 300;
const BOOTS = 15;
/** Requests of 1 KiB, and how many are under way at a time. */
const REQUESTS = 6000;
const AT_A_TIME = 16;
const ROUNDS = 5;

function compile() {
  for (const [compiler, suffix] of [
    ['clang-22', 'native'],
    [sdk, 'guest'],
  ]) {
    const programs = { connections: join(root, 'tests/programs/connections.c'), server: 'tests/bench/server.c' };
    for (const [name, source] of Object.entries(programs))
      execFileSync(compiler, ['-O2', '-pthread', '-o', at(name, suffix), source], { cwd: root });
  }
}

/** A server of this computer: its port, and how it ends. */
async function startServer() {
  const child = spawn(at('server', 'native'), { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  return { port: Number(line), stop: () => child.kill() };
}

/** A port at which nobody listens. */
async function closedPort() {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The smallest of several runs. */
async function best(rounds, once) {
  const times = [];
  for (let round = 0; round < rounds; ++round) times.push(await once());
  return Math.min(...times);
}

/** `run(words)` runs a program, with `busybox` and `connections` as its first words, and resolves to its output. */
async function measurePrograms(run, address, port) {
  const connections = async (mode, to, count) =>
    parseMicro(await run(['connections', mode, address, String(to), String(count)]))[mode];
  const timed = async (words) => {
    const start = performance.now();
    await run(words);
    return performance.now() - start;
  };
  const start = await best(ROUNDS, () => timed(['busybox', 'true']));
  const url = `http://${address}:${port}/${MEBIBYTES << 20}`;
  const download = await best(ROUNDS, () => timed(['busybox', 'wget', '-q', '-O', '/dev/null', url]));
  const upload = await best(ROUNDS, () => connections('send', port, MEBIBYTES));
  const ping = await best(ROUNDS, async () => {
    const answers = await run(['busybox', 'ping', '-c', String(PINGS), '-i', '0.002', address]);
    return Number(answers.match(/min\/avg\/max = [\d.]+\/([\d.]+)/)[1]);
  });
  const closed = await closedPort();
  return {
    networkDownload: (MEBIBYTES << 20) / 1000 / (download - start),
    networkUpload: (MEBIBYTES << 20) / 1e6 / (upload / 1e9),
    networkPing: ping * 1000,
    networkConnect: (await best(ROUNDS, () => connections('churn', port, CONNECTIONS))) / 1000,
    networkRefused: (await best(ROUNDS, () => connections('refused', closed, REFUSED))) / 1000,
  };
}

/** Requests a second of `request()`, so many at a time. */
async function measureRequests(request) {
  const times = [];
  for (let round = 0; round < ROUNDS; ++round) {
    let left = REQUESTS;
    const start = performance.now();
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        while (left-- > 0) {
          const response = await request();
          const { byteLength } = await response.arrayBuffer();
          if (response.status !== 200 || byteLength !== 1024)
            throw new Error(`${response.status}, ${byteLength} bytes`);
        }
      }),
    );
    times.push(performance.now() - start);
  }
  return REQUESTS / (Math.min(...times) / 1000);
}

async function measureNatively(port) {
  const run = async ([program, ...words]) => {
    const path = program === 'busybox' ? '/bin/busybox' : at(program, 'native');
    const { stdout } = await promisify(execFile)(path, words);
    return stdout;
  };
  return {
    ...(await measurePrograms(run, LOOPBACK, port)),
    networkRequests: await measureRequests(() => fetch(`http://${LOOPBACK}:${port}/1024`)),
  };
}

async function measureGuest(port) {
  const files = ['connections', 'server'].map((name) => ({
    path: `/bin/${name}`,
    mode: 0o755,
    content: new Uint8Array(readFileSync(at(name, 'guest'))),
  }));
  const network = { type: 'nat', allow: ['host'] };
  const { machine } = await bootSession(undefined, { cpus: 2, exec: true, files, network });
  try {
    await machine.started;
    const exec = async (words, options) => {
      const { status, stdout, stderr } = await machine.exec(words, options);
      const text = new TextDecoder().decode(stdout);
      if (status !== 0) throw new Error(`${words.join(' ')}: ${text}${new TextDecoder().decode(stderr)}`);
      return text;
    };
    const results = await measurePrograms(exec, GATEWAY, port);
    const listening = Promise.withResolvers();
    machine.exec(['server', '80'], { onStdout: listening.resolve }).catch(listening.reject);
    await listening.promise;
    const request = () => machine.network.fetch(80, 'http://localhost/1024');
    return { ...results, networkRequests: await measureRequests(request) };
  } finally {
    await machine.dispose();
  }
}

/** Boots to the prompt with a card and without, in turn. */
async function measureBoots() {
  const times = { plain: [], card: [] };
  for (let round = 0; round < 2 * BOOTS; ++round) {
    const which = round % 2 === 0 ? 'plain' : 'card';
    const start = performance.now();
    const network = which === 'card' ? { network: { type: 'nat' } } : {};
    const { machine, session } = await bootSession(undefined, { cpus: 2, ...network });
    await session.waitFor(PROMPT);
    times[which].push(performance.now() - start);
    await machine.dispose();
  }
  return { networkBootNone: median(times.plain), networkBoot: median(times.card) };
}

/** Idle CPU at the prompt. */
async function measureIdle(words) {
  const child = spawn(process.execPath, [cli, 'console', '--cpus', '2', ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    let text = '';
    await new Promise((resolve) =>
      child.stdout.on('data', (bytes) => {
        text += bytes;
        if (PROMPT.test(text.replaceAll('\r', ''))) resolve();
      }),
    );
    return await idlePercent(() => [child.pid]);
  } finally {
    child.kill();
  }
}

/** Natively, and in the guest in Node.js. */
export async function measureNetwork() {
  compile();
  const server = await startServer();
  try {
    const native = await measureNatively(server.port);
    const node = await measureGuest(server.port);
    Object.assign(node, await measureBoots());
    node.networkIdleNone = await measureIdle([]);
    node.networkIdle = await measureIdle(['--network=nat']);
    return { native, node };
  } finally {
    server.stop();
  }
}
