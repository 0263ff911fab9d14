// SPDX-License-Identifier: MIT
// machine.fs outside of shares (docs/exec.md, "Files"), over file servers that are a few lines here, and that may lie.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { AgentFiles } = await source('api/agent-files.ts');
const { encodeRequest } = await source('api/agent-file-protocol.ts');
const { MachineFiles } = await source('api/files.ts');
const { SocketClient } = await source('api/sockets.ts');
const { MachineError } = await source('api/types.ts');

const PORT = 1;
const FILES_NUMBER = 0xffffffff;
const [STATUS, OPEN, OPEN_FOLDER, WATCH, READ, WRITE, ENTRIES, CLOSE, MAKE_FOLDER, RENAME, REMOVE] = Array.from(
  { length: 11 },
  (_, index) => index + 1,
);
const NONSENSE = { name: 'MachineError', code: 'failed', message: "the guest's agent answered nonsense" };
const text = (bytes) => new TextDecoder().decode(bytes);
const bytesOf = (words) => new TextEncoder().encode(words);
const words = (...values) => Buffer.from(Uint32Array.from(values).buffer);
const answer = (bytes = [], error = 0, watch = 0) =>
  Buffer.concat([words(watch, error, bytes.length), Buffer.from(bytes)]);
const mistake = (number) => answer([], number);

/**
 * machine.fs of a machine whose file servers call `serve(request, say, connection)` for each request. What `say` gets comes on
 * the connection.
 */
function start(serve, { options = [], mostAtOnce } = {}) {
  const connections = new Map();
  const requests = [];
  const take = (connection) => {
    for (;;) {
      const all = Buffer.concat(connection.bytes);
      if (all.length < connection.greeting + 20) return;
      assert.equal(all.readUInt32LE(0), FILES_NUMBER);
      const [operation, length, handle, flags, argument] = [0, 4, 8, 12, 16].map((at) => all.readUInt32LE(4 + at));
      if (all.length < 24 + length) return;
      const content = all.subarray(24, 24 + length);
      connection.bytes = [all.subarray(0, 4), all.subarray(24 + length)];
      const request = { operation, handle, flags, argument, content, paths: text(content).split('\0').slice(0, -1) };
      requests.push(request);
      serve?.(request, connection.say, connection);
    }
  };
  const client = new SocketClient((request) => {
    const { id } = request;
    if (request.type === 'connect') {
      const say = (bytes) => client.handle({ type: 'data', id, bytes: new Uint8Array(bytes) });
      connections.set(id, { id, say, bytes: [], greeting: 4, number: connections.size });
      // As a message, it comes later.
      queueMicrotask(() => client.handle({ type: 'opened', id }));
    }
    const connection = connections.get(id);
    if (request.type === 'send') {
      connection.bytes.push(Buffer.from(request.bytes));
      queueMicrotask(() => {
        client.handle({ type: 'sent', id, count: request.bytes.length });
        take(connection);
      });
    }
    if (request.type === 'finish') connection.finished = true;
    if (request.type === 'abort') connection.aborted = true;
  });
  let agentReady;
  const ready = new Promise((resolve) => (agentReady = resolve));
  const fs = new MachineFiles(undefined, options, new AgentFiles(client, PORT, ready), mostAtOnce);
  return { client, fs, requests, connections, agentReady };
}

/** The same with an agent that is there. */
function started(serve, options) {
  const all = start(serve, options);
  all.agentReady();
  return all;
}

function status({ mode = 0o100644, links = 1, user = 0, group = 0, size = 0n, seconds = 0n, nanoseconds = 0 }) {
  const bytes = Buffer.alloc(40);
  [mode, links, user, group].forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  bytes.writeBigUInt64LE(size, 16);
  bytes.writeBigInt64LE(seconds, 24);
  bytes.writeUInt32LE(nanoseconds, 32);
  return answer(bytes);
}

test('the form of requests', () => {
  const bytes = Buffer.from(
    encodeRequest({ operation: 'rename', paths: ['/a', '/grün'], flags: 2, argument: 3, handle: 4 }),
  );
  assert.deepEqual(
    Array.from({ length: 5 }, (_, index) => bytes.readUInt32LE(4 * index)),
    [RENAME, 10, 4, 2, 3],
  );
  assert.equal(text(bytes.subarray(20)), '/a\0/grün\0');
  encodeRequest({ operation: 'status', paths: [`/${'x'.repeat(4094)}`] });
  assert.throws(() => encodeRequest({ operation: 'status', paths: [`/${'x'.repeat(4095)}`] }), {
    code: 'ENAMETOOLONG',
  });
});

test('requests wait for the agent, and go over one connection', async () => {
  const { fs, requests, connections, agentReady } = start(({ operation }, say) =>
    say(operation === STATUS ? status({ size: 7n, seconds: 1n, nanoseconds: 500_000_000, mode: 0o040755 }) : answer()),
  );
  const asked = Promise.all([
    fs.stat('/etc/../tmp//x/'),
    fs.mkdir('/a', { recursive: true, mode: 0o700 }),
    fs.rename('/a', '/b'),
    fs.rm('/b', { recursive: true, force: true }),
  ]);
  await turn();
  assert.equal(connections.size, 0);
  agentReady();
  const [found] = await asked;
  assert.deepEqual(found, { type: 'folder', size: 7, mode: 0o755, user: 0, group: 0, links: 1, modified: 1500 });
  assert.deepEqual(
    requests.map(({ operation, flags, argument, paths }) => [operation, flags, argument, ...paths]),
    [
      [STATUS, 0, 0, '/tmp/x'],
      [MAKE_FOLDER, 1, 0o700, '/a'],
      [RENAME, 0, 0, '/a', '/b'],
      [REMOVE, 3, 0, '/b'],
    ],
  );
  assert.equal(connections.size, 1);
});

/** Serves one file of these bytes, and a folder. */
function fileServer(content, { entries = [] } = {}) {
  let at = 0;
  let entry = 0;
  const open = new Set();
  const written = [];
  const serve = ({ operation, handle, argument, content: bytes }, say) => {
    if (operation === OPEN || operation === OPEN_FOLDER || operation === WATCH) {
      const next = 10 + open.size;
      open.add(next);
      say(answer(words(next)));
    } else if (!open.has(handle)) say(mistake(9));
    else if (operation === READ) {
      say(answer(content.subarray(at, at + argument)));
      at += argument;
    } else if (operation === WRITE) {
      written.push(Buffer.from(bytes));
      say(answer());
    } else if (operation === ENTRIES) say(answer(bytesOf(entries[entry++] ?? '')));
    else if (operation === CLOSE) {
      open.delete(handle);
      say(answer());
    }
  };
  return { serve, open, written };
}

test('a file is read and written in pieces, and closed whatever happens', async () => {
  const content = Buffer.alloc(2_500_000, 'abcdefg');
  const { serve, open, written } = fileServer(content);
  const { fs, requests } = started(serve);
  assert.deepEqual(Buffer.from(await fs.readFile('/f')), content);
  assert.deepEqual(
    requests.map(({ operation, argument }) => [operation, operation === READ ? argument : 0]),
    [[OPEN, 0], ...Array.from({ length: 4 }, () => [READ, 1 << 20]), [CLOSE, 0]],
  );
  await fs.writeFile('/f', content, { mode: 0o600 });
  assert.deepEqual(Buffer.concat(written), content);
  assert.ok(written.every(({ length }) => length <= 1 << 20));
  written.length = 0;
  // A stream may have pieces of any size.
  await fs.writeFile(
    '/f',
    (async function* () {
      yield content;
      yield new Uint8Array(0);
      yield content.subarray(0, 7);
    })(),
  );
  assert.deepEqual(
    written.map(({ length }) => length),
    [1 << 20, 1 << 20, 2_500_000 - (2 << 20), 7],
  );
  await assert.rejects(fs.writeFile('/f', ['text']), { code: 'invalid-option', message: /Uint8Arrays/ });
  const broken = (async function* () {
    yield bytesOf('some');
    throw new Error('unplugged');
  })();
  await assert.rejects(fs.writeFile('/f', broken), { message: 'unplugged' });
  assert.equal(open.size, 0);
  const again = fileServer(content);
  const pieces = [];
  for await (const piece of started(again.serve).fs.read('/f')) {
    pieces.push(piece.length);
    assert.equal(again.open.size, 1);
    break;
  }
  assert.deepEqual([pieces, again.open.size], [[1 << 20], 0]);
});

test('a file that never ends is not read at once', async () => {
  const { serve, open } = fileServer({ subarray: () => Buffer.alloc(1000) });
  const { fs } = started(serve, { mostAtOnce: 10_000 });
  await assert.rejects(fs.readFile('/endless'), { code: 'EFBIG', path: '/endless' });
  assert.equal(open.size, 0);
});

test('a listing, also of names that are no text', async () => {
  const { serve, open } = fileServer(undefined, { entries: ['fa\0dfolder\0', 'll\0oo\0'] });
  const { fs } = started(serve);
  assert.deepEqual(await fs.readdir('/'), [
    { name: 'a', type: 'file' },
    { name: 'folder', type: 'folder' },
    { name: 'l', type: 'link' },
    { name: 'o', type: 'other' },
  ]);
  assert.equal(open.size, 0);
  const pieces = [[0x66, 0xff, 0], []];
  const { fs: other } = started(({ operation }, say) =>
    say(operation === OPEN_FOLDER ? answer(words(5)) : answer(operation === ENTRIES ? pieces.shift() : [])),
  );
  assert.deepEqual(await other.readdir('/'), [{ name: '\udcff', type: 'file' }]);
});

test('a listing that never ends', async () => {
  const piece = bytesOf(`f${'x'.repeat(200)}\0`.repeat(300));
  const { fs, requests } = started(({ operation }, say) =>
    say(operation === OPEN_FOLDER ? answer(words(5)) : operation === ENTRIES ? answer(piece) : answer()),
  );
  await assert.rejects(fs.readdir('/proc'), { code: 'EFBIG' });
  assert.equal(requests.at(-1).operation, CLOSE);
});

test('errors have Linux’s codes, and the path that was asked for', async () => {
  for (const [number, code] of [
    [2, 'ENOENT'],
    [13, 'EACCES'],
    [28, 'ENOSPC'],
    [30, 'EROFS'],
    [39, 'ENOTEMPTY'],
    // None that is known.
    [4_000_000_000, 'EIO'],
  ]) {
    const { fs } = started((_, say) => say(mistake(number)));
    await assert.rejects(fs.stat('/x/./y'), { name: 'FileError', code, path: '/x/./y' });
    await assert.rejects(fs.readFile('/x'), { code });
    await assert.rejects(fs.readdir('/x'), { code });
    await assert.rejects(
      fs.watch('/x', () => {}),
      { code },
    );
  }
  const { fs, requests } = started();
  for (const path of ['relative', '', '/a\0b', undefined]) await assert.rejects(fs.stat(path), { code: 'EINVAL' });
  await assert.rejects(fs.stat(`/${'x/'.repeat(3000)}`), { code: 'ENAMETOOLONG' });
  await assert.rejects(fs.stat('/\ud800'), { code: 'EILSEQ' });
  assert.equal(requests.length, 0);
});

test('a guest that lies ends its connection, and nothing else', async () => {
  const file = words(10);
  for (const [name, ask, lie, opens] of [
    ['a status that is too short', (fs) => fs.stat('/x'), answer(Buffer.alloc(39))],
    ['a status that is too long', (fs) => fs.stat('/x'), answer(Buffer.alloc(41))],
    ['a length without end', (fs) => fs.stat('/x'), words(0, 0, 0xffff_ffff)],
    ['something behind an error', (fs) => fs.stat('/x'), answer([1], 2)],
    ['something where nothing is', (fs) => fs.mkdir('/x'), answer([1])],
    ['no handle', (fs) => fs.readFile('/x'), answer()],
    ['a change with an error', (fs) => fs.stat('/x'), answer([], 2, 7)],
    ['a change with a long name', (fs) => fs.stat('/x'), words(7, 0, 256)],
    ['a change of a path', (fs) => fs.stat('/x'), answer(bytesOf('a/b'), 0, 7)],
    ['an entry of no type', (fs) => fs.readdir('/x'), answer(bytesOf('xname\0')), OPEN_FOLDER],
    ['an entry without end', (fs) => fs.readdir('/x'), answer(bytesOf('fname')), OPEN_FOLDER],
    ['an entry that is a path', (fs) => fs.readdir('/x'), answer(bytesOf('f../x\0')), OPEN_FOLDER],
    ['the folder above', (fs) => fs.readdir('/x'), answer(bytesOf('d..\0')), OPEN_FOLDER],
    ['an entry without a name', (fs) => fs.readdir('/x'), answer(bytesOf('f\0')), OPEN_FOLDER],
    ['a long name', (fs) => fs.readdir('/x'), answer(bytesOf(`f${'x'.repeat(256)}\0`)), OPEN_FOLDER],
    ['more than was asked for', (fs) => fs.readFile('/x'), answer(Buffer.alloc((1 << 20) + 1)), OPEN],
  ]) {
    const { fs, connections } = started(({ operation, paths }, say) => {
      if (paths[0] === '/good') say(status({}));
      else if (operation === opens) say(answer(file));
      else say(lie);
    });
    await assert.rejects(ask(fs), NONSENSE, name);
    assert.equal([...connections.values()][0].aborted, true, name);
    assert.equal((await fs.stat('/good')).type, 'file', name);
    assert.equal(connections.size, 2, name);
  }
});

test('a guest that says anything: every call ends, and nothing else happens', async () => {
  let state = 1;
  const random = (most) => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
  let answered = 0;
  for (let round = 0; round < 300; ++round) {
    const { client, fs } = started((_, say, { id }) => {
      const bytes = Buffer.from(Array.from({ length: random(100) }, () => (random(2) === 0 ? 0 : random(256))));
      // Often what begins like an answer.
      const length = [0, 4, 40, random(100)][random(4)];
      if (random(4) > 0) say(answer(Buffer.concat([bytes, Buffer.alloc(100)]).subarray(0, length)));
      else {
        say(bytes);
        client.handle({ type: 'ended', id });
        client.handle({ type: 'closed', id, reset: random(2) === 0 });
      }
    });
    const ends = await Promise.allSettled([
      fs.stat('/x'),
      fs.readdir('/x'),
      fs.readFile('/x'),
      fs.writeFile('/x', 'x'),
      fs.watch('/x', () => {}),
      fs.rm('/x'),
    ]);
    for (const { status: end, reason } of ends)
      if (end === 'fulfilled') ++answered;
      else assert.ok(['FileError', 'MachineError'].includes(reason.name), reason.stack);
  }
  assert.ok(answered > 100, `${answered}`);
});

test('an answer that nobody has asked for', async () => {
  const { fs, connections } = started((_, say) => {
    say(status({}));
    say(answer());
  });
  await fs.stat('/x');
  await turn();
  assert.equal([...connections.values()][0].aborted, true);
});

test('answers in pieces of any size', async () => {
  const { fs } = started((_, say) => {
    for (const byte of status({ size: 12345n })) say([byte]);
  });
  assert.equal((await fs.stat('/x')).size, 12345);
});

test('a request that takes long does not keep others waiting', async () => {
  const stuck = [];
  const { fs, connections } = started(({ paths }, say) => {
    if (paths[0] === '/slow') stuck.push(() => say(status({ size: 1n })));
    else say(status({ size: 2n }));
  });
  const slow = fs.stat('/slow');
  const quick = await Promise.all(Array.from({ length: 100 }, () => fs.stat('/quick')));
  assert.ok(quick.every(({ size }) => size === 2));
  assert.equal(connections.size, 2);
  // A second one, a third: no more than four connections in all.
  const others = Array.from({ length: 5 }, () => fs.stat('/slow'));
  while (stuck.length < 4) await turn();
  const late = fs.stat('/quick');
  for (let each = 0; each < 100; ++each) await turn();
  assert.equal([...connections.values()].filter(({ finished }) => finished !== true).length, 4);
  for (let answered = 0; answered < 6;) {
    const next = stuck.shift();
    if (next === undefined) await turn();
    else {
      next();
      ++answered;
    }
  }
  assert.deepEqual(
    (await Promise.all([slow, ...others])).map(({ size }) => size),
    Array(6).fill(1),
  );
  assert.equal((await late).size, 2);
  await turn();
  assert.equal([...connections.values()].filter(({ finished }) => finished !== true).length, 1, 'one stays');
});

test('a read that takes long does not keep others waiting', async () => {
  const stuck = [];
  const { fs, connections } = started(({ operation }, say) => {
    if (operation === OPEN) say(answer(words(5)));
    else if (operation === READ) stuck.push(() => say(answer()));
    else if (operation === STATUS) say(status({ size: 2n }));
    else say(answer());
  });
  // As of a FIFO that nobody writes.
  const reads = [];
  for (let each = 1; each <= 4; ++each) {
    reads.push(fs.read('/fifo').next());
    while (stuck.length < each) await turn();
    if (each < 4) assert.equal((await fs.stat('/quick')).size, 2);
  }
  assert.equal(connections.size, 4);
  // It waits for the first read that ends, and no longer.
  const late = fs.stat('/quick');
  for (let each = 0; each < 10; ++each) await turn();
  stuck.pop()();
  assert.equal((await late).size, 2);
  for (const read of stuck) read();
  for (const { done } of await Promise.all(reads)) assert.equal(done, true);
  await turn();
  assert.equal([...connections.values()].filter(({ finished }) => finished !== true).length, 1, 'one stays');
});

test('changes', async () => {
  let tell;
  const { fs, requests } = started(({ operation }, say) => {
    if (operation === WATCH) {
      tell = (name, watch = 5) => say(answer(bytesOf(name), 0, watch));
      say(answer(words(5)));
      tell('at once');
    } else if (operation === STATUS) say(status({}));
    else say(answer());
  });
  const seen = [];
  const stop = await fs.watch('/tmp', (name) => seen.push(name));
  tell('');
  // A watch that there is not, or not any more.
  tell('other', 6);
  await fs.stat('/');
  assert.deepEqual(seen, ['at once', undefined]);
  stop();
  stop();
  tell('late');
  await fs.stat('/');
  assert.deepEqual(seen, ['at once', undefined]);
  assert.deepEqual(
    requests.map(({ operation }) => operation),
    [WATCH, STATUS, CLOSE, STATUS],
  );
});

test('a server that ends, and one that could not start', async () => {
  let broken = true;
  const { client, fs } = started((request, say, { id }) => {
    if (!broken) return say(status({}));
    broken = false;
    client.handle({ type: 'ended', id });
    client.handle({ type: 'closed', id, reset: false });
  });
  await assert.rejects(fs.stat('/x'), {
    code: 'failed',
    message: "the guest's agent has ended the connection for files",
  });
  assert.equal((await fs.stat('/x')).type, 'file');

  // What comes next gets a connection of its own, also before that one ends.
  const { fs: files, connections } = started((request, say, { number }) => {
    if (number === 2) return say(status({}));
    say(answer([], 11, 0xffffffff));
  });
  for (const path of ['/x', '/y']) await assert.rejects(files.stat(path), { name: 'FileError', code: 'EAGAIN', path });
  assert.equal((await files.stat('/z')).type, 'file');
  assert.equal(connections.size, 3);
  assert.ok([...connections.values()].every(({ aborted, number }) => number === 2 || aborted));
  for (const lie of [answer([], 0, 0xffffffff), words(0xffffffff, 11, 4)])
    await assert.rejects(started((request, say) => say(lie)).fs.stat('/x'), NONSENSE);
});

test('a stream whose server has gone', async () => {
  const { client, fs } = started(({ operation }, say, { id }) => {
    if (operation === OPEN) return say(answer(words(5)));
    client.handle({ type: 'closed', id, reset: true });
  });
  await assert.rejects(fs.readFile('/x'), { code: 'refused' });
});

test('a machine that ends', async () => {
  const error = new MachineError('halted', 'the machine has ended (poweroff)');
  const { client, fs } = started(({ operation }, say) => operation === OPEN && say(answer(words(5))));
  const open = fs.read('/x');
  const read = open.next();
  const asked = [fs.stat('/x'), fs.stat('/y'), fs.readdir('/')];
  const ends = Promise.allSettled([read, ...asked]);
  await turn();
  client.ended(error);
  for (const { reason } of await ends) assert.equal(reason, error);
  await assert.rejects(fs.stat('/x'), { code: 'halted' });
});

test('paths of shares and other paths', async () => {
  const { fs } = started((_, say) => say(status({})), { options: [{ name: 'm', memory: true }] });
  // There is no client of shares here.
  assert.equal((await fs.stat('/mnt/mm')).type, 'file');
  const without = new MachineFiles(undefined, [], undefined);
  for (const call of [
    () => without.stat('/etc'),
    () => without.readFile('/etc/passwd'),
    () => without.writeFile('/x', ''),
    () => without.watch('/etc', () => {}),
  ])
    await assert.rejects(call(), {
      name: 'MachineError',
      code: 'failed',
      message: /in no shared folder: boot .* exec: true/,
    });
});
