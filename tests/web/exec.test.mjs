// SPDX-License-Identifier: MIT
// The protocol of exec (docs/exec.md) from the owner's side, over an agent that is a few lines here.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { encodeCommand, ExecClient, signalNumber } = await source('api/exec-client.ts');
const { SocketClient } = await source('api/sockets.ts');
const { MachineError } = await source('api/types.ts');
const { FIRST_ACCEPTED } = await source('machine/protocol.ts');

const AGENT_PORT = 1;
const text = (bytes) => new TextDecoder().decode(bytes);

test('the form of a command', () => {
  const bytes = encodeCommand(['ls', '-l', 'grün'], '/root', { A: '1', B: '' }, [7, 8, 9]);
  const view = new DataView(bytes.buffer);
  const words = Array.from({ length: 7 }, (_, index) => view.getUint32(4 * index, true));
  const strings = text(bytes.subarray(28));
  assert.equal(strings, 'ls\0-l\0grün\0/root\0A=1\0B=\0');
  assert.deepEqual(words, [0, bytes.length - 28, 7, 8, 9, 3, 2]);
});

test('commands that cannot be sent', () => {
  assert.throws(() => encodeCommand(['a\0b'], '/', {}, [0, 0, 0]), { code: 'invalid-option', message: /NUL/ });
  assert.throws(() => encodeCommand(['a'], '/', { A: '\0' }, [0, 0, 0]), { code: 'invalid-option' });
  const most = 2 * 1024 * 1024;
  // With the directory, and an end mark of each.
  encodeCommand(['x'.repeat(most - 3)], '/', {}, [0, 0, 0]);
  assert.throws(() => encodeCommand(['x'.repeat(most - 2)], '/', {}, [0, 0, 0]), {
    code: 'invalid-option',
    message: `a command with its environment has at most ${most} bytes, not ${most + 1}`,
  });
});

test('signals', () => {
  for (const [signal, number] of [
    ['SIGHUP', 1],
    ['SIGKILL', 9],
    ['SIGTERM', 15],
    ['SIGSTOP', 19],
    [1, 1],
    [64, 64],
  ])
    assert.equal(signalNumber(signal), number);
  for (const signal of [0, 65, 1.5, 'SIGPWR', 'TERM', undefined])
    assert.throws(() => signalNumber(signal), {
      code: 'invalid-option',
      message: /is no signal; use 1 to 64 or SIGHUP/,
    });
});

/** A client with the other side of its sockets: what each connection has sent, and what to do with it. */
function start(environment = {}) {
  const connections = new Map();
  const client = new SocketClient((request) => {
    if (request.type === 'connect') connections.set(request.id, { id: request.id, bytes: [], finished: false });
    const connection = connections.get(request.id);
    // That by which the agent tells that it is there.
    if (connection === undefined) return;
    if (request.type === 'send') connection.bytes.push(...request.bytes);
    if (request.type === 'finish') connection.finished = true;
    if (request.type === 'abort') connection.aborted = true;
  });
  const exec = new ExecClient(client, environment);
  const say = (connection, words) =>
    client.handle({ type: 'data', id: connection.id, bytes: new TextEncoder().encode(words) });
  const end = (...ended) => {
    for (const { id } of ended) {
      client.handle({ type: 'ended', id });
      client.handle({ type: 'closed', id, reset: false });
    }
  };
  const agentReady = () => client.handle({ type: 'accepted', id: FIRST_ACCEPTED, port: AGENT_PORT });
  /** The command whose connections are open now: its words and its four connections. */
  const command = async () => {
    for (const { id } of connections.values()) client.handle({ type: 'opened', id });
    await turn();
    const all = [...connections.values()];
    const number = ({ bytes }) => new DataView(Uint8Array.from(bytes).buffer).getUint32(0, true);
    const control = all.find((each) => number(each) === 0);
    const view = new DataView(Uint8Array.from(control.bytes).buffer);
    const [stdin, stdout, stderr] = [8, 12, 16].map((offset) => {
      const wanted = view.getUint32(offset, true);
      return wanted === 0 ? undefined : all.find((each) => each !== control && number(each) === wanted);
    });
    const size = view.getUint32(4, true);
    return { control, stdin, stdout, stderr, words: text(Uint8Array.from(control.bytes.slice(28, 28 + size))), size };
  };
  return { client, exec, say, end, agentReady, command, connections };
}

test('a command: what is sent, its output, its status', async () => {
  const { exec, say, end, agentReady, command, connections } = start({ TZ: 'Europe/Berlin' });
  const running = exec.run(['cat', '-'], { stdin: 'input', environment: { A: 'b' }, directory: '/tmp' });
  await turn();
  assert.equal(connections.size, 0, 'it waits for the agent');
  agentReady();
  await turn();
  const { control, stdin, stdout, stderr, words } = await command();
  assert.match(words, /^cat\0-\0\/tmp\0PATH=/);
  for (const variable of ['HOME=/root', 'TERM=xterm-256color', 'TZ=Europe/Berlin', 'A=b'])
    assert(words.includes(`\0${variable}\0`), variable);
  assert.equal(text(Uint8Array.from(stdin.bytes.slice(4))), 'input');
  assert.equal(stdin.finished, true);
  say(stdout, 'out');
  say(stderr, 'err');
  say(stdout, 'put');
  say(control, '3');
  say(control, '7\n');
  end(stdout, stderr, control, stdin);
  const result = await running;
  assert.deepEqual(
    { status: result.status, stdout: text(result.stdout), stderr: text(result.stderr) },
    { status: 37, stdout: 'output', stderr: 'err' },
  );
});

test('handlers take the output, one piece after the other; no stdin is no stream', async () => {
  const { exec, say, end, agentReady, command } = start();
  agentReady();
  const seen = [];
  let taken;
  const running = exec.run(['yes'], {
    onStdout: (bytes) => {
      seen.push(text(bytes));
      return new Promise((resolve) => (taken = resolve));
    },
  });
  await turn();
  const { control, stdin, stdout, stderr } = await command();
  assert.equal(stdin, undefined);
  say(stdout, 'x'.repeat(2000));
  say(stdout, 'y'.repeat(2000));
  await turn();
  assert.deepEqual(seen, ['x'.repeat(2000)], 'the second one waits');
  taken();
  await turn();
  assert.equal(seen.length, 2);
  taken();
  say(control, '0\n');
  end(stdout, stderr, control);
  const result = await running;
  assert.deepEqual({ status: result.status, size: result.stdout.length }, { status: 0, size: 0 });
});

test('a signal goes to what runs', async () => {
  const { exec, say, end, agentReady, command } = start();
  assert.equal(exec.kill('SIGTERM'), false);
  agentReady();
  const running = exec.run(['sleep']);
  await turn();
  const { control, stdout, stderr, size } = await command();
  assert.equal(exec.kill('SIGINT'), true);
  await turn();
  assert.deepEqual(control.bytes.slice(28 + size), [2]);
  say(control, '130\n');
  end(stdout, stderr, control);
  assert.equal((await running).status, 130);
  assert.equal(exec.kill('SIGINT'), false);
});

test('an agent that answers nonsense', async () => {
  const { exec, say, end, agentReady, command, connections } = start();
  agentReady();
  const running = exec.run(['ls']);
  await turn();
  const { control, stdout } = await command();
  say(control, 'what?');
  end(control);
  await assert.rejects(running, { code: 'failed', message: 'the guest\'s agent answered "what?"' });
  assert.equal(connections.get(stdout.id).aborted, true, 'it kills what has lost its connection');
});

test('standard input that cannot be read', async () => {
  const { exec, agentReady, connections } = start();
  agentReady();
  const broken = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('unplugged')) }),
  };
  await assert.rejects(exec.run(['cat'], { stdin: broken }), {
    code: 'failed',
    message: 'standard input could not be read: Error: unplugged',
  });
  for (const { aborted } of connections.values()) assert.equal(aborted, true);
});

test('the 65th command waits for its turn', async () => {
  const { exec, say, end, agentReady, connections, client } = start();
  agentReady();
  const runs = Array.from({ length: 65 }, () => exec.run(['true']));
  await turn();
  assert.equal(connections.size, 64 * 3);
  for (const { id } of connections.values()) client.handle({ type: 'opened', id });
  await turn();
  const first = [...connections.values()].slice(0, 3);
  const control = first.find(({ bytes }) => bytes.length > 4);
  say(control, '0\n');
  end(...first);
  assert.equal((await runs[0]).status, 0);
  await turn();
  assert.equal(connections.size, 65 * 3);
  const ends = Promise.allSettled(runs.slice(1));
  client.ended(new MachineError('disposed', 'the machine was disposed'));
  for (const { reason } of await ends) assert.equal(reason.code, 'disposed');
});

test('a command that is given up while it waits', async () => {
  const { exec, say, end, agentReady, connections, client } = start();
  const early = new AbortController();
  const unready = exec.run(['true'], { signal: early.signal });
  early.abort(new Error('too early'));
  await assert.rejects(unready, { message: 'too early' });
  agentReady();
  const runs = Array.from({ length: 64 }, () => exec.run(['true']));
  await turn();
  // Those that never get a turn, and one that gets it after its abort.
  const controllers = Array.from({ length: 3 }, () => new AbortController());
  const given = controllers.map(({ signal }) => exec.run(['true'], { signal }));
  await turn();
  for (const [index, run] of given.entries()) {
    controllers[index].abort(new Error('late'));
    if (index === 2) exec.endTurn();
    await assert.rejects(run, { message: 'late' });
  }
  assert.deepEqual([exec.waiting.length, exec.active], [0, 63]);
  // All 64 run still: that turn was one more.
  exec.active = 64;
  runs.push(exec.run(['true']));
  await turn();
  assert.equal(connections.size, 64 * 3);
  while (connections.size > 0) {
    for (const { id } of connections.values()) client.handle({ type: 'opened', id });
    await turn();
    const open = [...connections.values()];
    connections.clear();
    for (const control of open) if (control.bytes.length > 4) say(control, '0\n');
    end(...open);
    await turn();
  }
  assert.deepEqual(new Set((await Promise.all(runs)).map(({ status }) => status)), new Set([0]));
  assert.equal(exec.active, 0);
});

test('a machine that ends before its agent is there', async () => {
  const { exec } = start();
  const running = exec.run(['true']);
  exec.ended(new MachineError('halted', 'the machine has ended (panic)'));
  await assert.rejects(running, { code: 'halted' });
});
