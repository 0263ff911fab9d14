// SPDX-License-Identifier: MIT
// Sockets between programs in the guest and the machine's owner, and the commands that run over them at the same time.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const program = {
  path: '/root/vsock',
  mode: 0o755,
  content: new Uint8Array(readFileSync(join(build, 'tests/programs/vsock'))),
};
const text = (bytes) => new TextDecoder().decode(bytes);

async function start(suite, options = {}) {
  const machine = await startMachine({ exec: true, files: [program], ...options });
  suite.after(() => machine.dispose());
  return machine;
}

/** Runs a command; `until` resolves when its output has the pattern. */
function follow(machine, command, options) {
  let output = '';
  const waiting = [];
  const result = machine.exec(command, {
    ...options,
    onStdout: (bytes) => {
      output += text(bytes);
      for (const look of waiting) look();
    },
  });
  const until = (pattern) =>
    new Promise((resolve, reject) => {
      const look = () => pattern.test(output) && resolve(output);
      waiting.push(look);
      look();
      result.then(({ status }) => reject(new Error(`${command.join(' ')} ended with ${status}: ${output}`)), reject);
    });
  return { result, until };
}

async function readAll(readable) {
  const chunks = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function writeAll(socket, bytes) {
  const writer = socket.writable.getWriter();
  await writer.write(bytes);
  await writer.close();
}

test('bytes come back as they went, and each direction has its end', async (suite) => {
  const machine = await start(suite);
  const server = follow(machine, ['/root/vsock', 'echo', '5000']);
  await server.until(/listening/);
  const bytes = randomBytes(3_000_001);
  const socket = await machine.connect(5000);
  assert.equal(socket.port, 5000);
  const [echo] = await Promise.all([readAll(socket.readable), writeAll(socket, new Uint8Array(bytes))]);
  assert(bytes.equals(echo));
  assert.match(await server.until(/3000001 bytes/), /peer 2\n/);
  await socket.closed;

  // The next connection to the same program.
  const second = await machine.connect(5000);
  const [nothing] = await Promise.all([readAll(second.readable), writeAll(second, new Uint8Array(0))]);
  assert.equal(nothing.length, 0);
  await server.until(/\n0 bytes/);
});

test('a program connects to the owner', async (suite) => {
  const machine = await start(suite);
  const end = machine.listen(7, async (socket) => {
    const question = text(await readAll(socket.readable));
    await writeAll(socket, new TextEncoder().encode(`${question}? yes\n`));
  });
  assert.throws(() => machine.listen(7, () => {}), { code: 'invalid-option' });
  const ask = () => machine.exec(['/root/vsock', 'send', '7', 'is it so']);
  assert.equal(text((await ask()).stdout), 'is it so? yes\n');
  end();
  assert.equal(text((await ask()).stdout), 'connect: Connection reset by peer\n');
});

test('nobody listens: refused', async (suite) => {
  const machine = await start(suite);
  await assert.rejects(machine.connect(4711), (error) => {
    assert.equal(`${error.name} ${error.code}`, 'MachineError refused');
    assert.match(error.message, /no program in the guest listens on port 4711/);
    return true;
  });
  for (const port of [-1, 1.5, 2 ** 32 - 1, '80', undefined])
    await assert.rejects(machine.connect(port), { code: 'invalid-option' });
});

test('a writer waits for a program that does not read', async (suite) => {
  const machine = await start(suite);
  let letRead;
  const line = new Promise((resolve) => (letRead = () => resolve('go\n')));
  const server = follow(machine, ['/root/vsock', 'wait', '5000'], {
    stdin: (async function* () {
      yield new TextEncoder().encode(await line);
    })(),
  });
  await server.until(/listening/);
  const socket = await machine.connect(5000);
  const writer = socket.writable.getWriter();
  let written = 0;
  const all = (async () => {
    for (; written < 8_000_000; written += 100_000) await writer.write(new Uint8Array(100_000));
    await writer.close();
  })();
  await server.until(/peer/);
  // What the guest and the owner keep is less than 1 MB: other commands run meanwhile, and the writer goes no further.
  for (let round = 0; round < 3; ++round) assert.equal((await machine.exec(['true'])).status, 0);
  assert.ok(written < 1_000_000, `${written} bytes were written to a program that does not read`);
  letRead();
  await all;
  await server.until(/8000000 bytes/);
});

test('a program waits for a reader that does not read', async (suite) => {
  const machine = await start(suite);
  const connected = new Promise((resolve) => machine.listen(9, resolve));
  const command = machine.exec(['/root/vsock', 'send', '9', 'x'.repeat(100_000)]);
  const socket = await connected;
  // Nothing is read, and nothing is lost.
  assert.equal((await machine.exec(['true'])).status, 0);
  assert.equal((await readAll(socket.readable)).length, 100_000);
  await socket.writable.close();
  assert.equal((await command).status, 0);
});

test('a reset reaches the program, and a program that ends the owner', async (suite) => {
  const machine = await start(suite);
  const server = follow(machine, ['/root/vsock', 'echo', '5000']);
  await server.until(/listening/);
  const socket = await machine.connect(5000);
  await server.until(/peer/);
  socket.reset();
  await socket.closed;
  // Linux tells the reader of a stream of AF_VSOCK no more than that.
  await server.until(/\n0 bytes/);
  await assert.rejects(readAll(socket.readable), { code: 'refused' });

  const second = await machine.connect(5000);
  await server.until(/peer[^]*peer/);
  assert.equal(machine.kill('SIGKILL'), true);
  assert.equal((await server.result).status, 137);
  await second.closed;
  assert.equal((await readAll(second.readable)).length, 0);
  const writer = second.writable.getWriter();
  await assert.rejects(writer.write(new Uint8Array(1)), { code: 'refused' });
});

test('commands run at the same time', async (suite) => {
  const machine = await start(suite);
  // Each waits for the next, so one after the other they would never end.
  const names = Array.from({ length: 20 }, (_, index) => `/tmp/fifo${index}`);
  assert.equal((await machine.exec(['mkfifo', ...names])).status, 0);
  const results = await Promise.all(
    names.map((name, index) =>
      index === 0
        ? machine.exec(['sh', '-c', `echo ${index} > ${names.at(-1)}; cat ${name}`])
        : machine.exec(['sh', '-c', `read n < ${name}; echo $n > ${names[index - 1]}; echo ${index}`]),
    ),
  );
  assert.deepEqual(
    results.map(({ status, stdout }) => [status, text(stdout)]),
    names.map((_, index) => [0, `${index}\n`]),
  );
});

test('every command has standard input, and its own', async (suite) => {
  const machine = await start(suite);
  const results = await Promise.all(
    Array.from({ length: 8 }, (_, index) => machine.exec(['cat'], { stdin: `${index}`.repeat(100_000 + index) })),
  );
  results.forEach(({ stdout }, index) => assert.equal(text(stdout), `${index}`.repeat(100_000 + index)));
  // Without it there is an end, not a wait.
  assert.equal((await machine.exec(['cat'])).status, 0);
});

test('more commands than run at once wait for their turn', async (suite) => {
  const machine = await start(suite);
  const results = await Promise.all(Array.from({ length: 100 }, (_, index) => machine.exec(['echo', `${index}`])));
  results.forEach(({ stdout }, index) => assert.equal(text(stdout), `${index}\n`));
});

test('a command may open its streams again, and leave a process behind', async (suite) => {
  const machine = await start(suite);
  const { stdout, stderr } = await machine.exec([
    'sh',
    '-c',
    'echo out > /dev/stdout; echo err > /dev/stderr; (sleep 1000; echo late) &',
  ]);
  assert.equal(text(stdout), 'out\n');
  assert.equal(text(stderr), 'err\n');
});

test('a process that goes on writing does not keep its command from ending', async (suite) => {
  const machine = await start(suite);
  for (let round = 0; round < 3; ++round) {
    const { status, stdout } = await machine.exec(['sh', '-c', 'echo first; yes & exit 3']);
    assert.equal(status, 3);
    assert.equal(text(stdout.subarray(0, 6)), 'first\n');
  }
  const { status } = await machine.exec(['sh', '-c', 'killall yes']);
  assert.equal(status, 0);
});

test('input that cannot be read ends the command', async (suite) => {
  const machine = await start(suite);
  const broken = (async function* () {
    yield new TextEncoder().encode('some');
    throw new Error('no disk');
  })();
  await assert.rejects(machine.exec(['sh', '-c', 'cat; sleep 1000'], { stdin: broken }), /could not be read.*no disk/);
  const { stdout } = await machine.exec(['sh', '-c', 'while pgrep -x sleep; do sleep 0.01; done; echo gone']);
  assert.match(text(stdout), /gone/);
});

test('the agent refuses what is no command', async (suite) => {
  const machine = await start(suite);
  assert.equal((await machine.exec(['true'])).status, 0);
  const words = (...values) => new Uint8Array(Uint32Array.from(values).buffer);
  /** Sends a command's connection; what the agent answers. */
  async function answer(...parts) {
    const socket = await machine.connect(1);
    const writer = socket.writable.getWriter();
    for (const part of parts) await writer.write(typeof part === 'string' ? new TextEncoder().encode(part) : part);
    return text(await readAll(socket.readable));
  }
  const true0 = 'true\0/\0';
  assert.equal(await answer(words(0, true0.length, 0, 0, 0, 1, 0), true0), '0\n');
  // More bytes than a command can have: the connection ends.
  assert.equal(await answer(words(0, 0x7fff_ffff, 0, 0, 0, 1, 0)), '');
  for (const [name, counts, strings] of [
    ['no arguments', [0, 0], '/\0'],
    ['fewer strings than it says', [3, 0], true0],
    ['more arguments than bytes', [0xffff_ffff, 0], true0],
    ['more variables than bytes', [1, 0xffff_ffff], true0],
    ['bytes behind the strings', [1, 0], `${true0}more`],
    ['a string without its end', [1, 0], 'true\0/'],
  ])
    assert.equal(await answer(words(0, strings.length, 0, 0, 0, ...counts), strings), '126\n', name);

  // What it says of a name must not fill the pipe that it reads itself.
  const { status, stderr } = await machine.exec(['x'.repeat(100_000)], { directory: '/tmp' });
  assert.equal(status, 126);
  assert.equal(stderr.length, 1024 + ': Filename too long\n'.length);
  await assert.rejects(machine.exec(['true', 'x'.repeat(3_000_000)]), { code: 'invalid-option' });

  // Connections that end before anything is complete, and a stream that no command names.
  for (const part of [new Uint8Array(2), words(0, 8), words(77)]) {
    const socket = await machine.connect(1);
    const writer = socket.writable.getWriter();
    await writer.write(part);
    socket.reset();
    await socket.closed;
  }
  // A command that waits for a stream which never comes hinders nobody.
  const waiting = await machine.connect(1);
  await waiting.writable.getWriter().write(words(0, 0, 12345, 0, 0, 0, 0));
  assert.equal((await machine.exec(['true'])).status, 0);
});

test('connections that are asked for before the guest runs, more than its queues hold', async (suite) => {
  const machine = await start(suite);
  const refused = await Promise.all(Array.from({ length: 600 }, () => machine.connect(99).catch(({ code }) => code)));
  assert.deepEqual([...new Set(refused)], ['refused']);
  assert.equal((await machine.exec(['true'])).status, 0);
});

test('a writer that waits can give up', async (suite) => {
  const machine = await start(suite);
  const server = follow(machine, ['/root/vsock', 'wait', '5000'], {
    stdin: (async function* () {
      await new Promise(() => {});
    })(),
  });
  await server.until(/listening/);
  const socket = await machine.connect(5000);
  const writer = socket.writable.getWriter();
  const writing = writer.write(new Uint8Array(5_000_000)).catch(() => 'failed');
  await server.until(/peer/);
  await writer.abort(new Error('enough'));
  await writing;
  await socket.closed;
});

test('the end of the machine ends connections and commands', async (suite) => {
  const machine = await start(suite);
  const server = follow(machine, ['/root/vsock', 'echo', '5000']);
  await server.until(/listening/);
  const socket = await machine.connect(5000);
  const reading = readAll(socket.readable).catch((error) => error.code);
  const ended = server.result.catch((error) => error.code);
  await machine.dispose();
  assert.equal(await reading, 'disposed');
  await socket.closed;
  assert.equal(await ended, 'disposed');
  await assert.rejects(machine.connect(5000), { code: 'disposed' });
});

test('a machine without sockets', async (suite) => {
  const machine = await startMachine({ sockets: false });
  suite.after(() => machine.dispose());
  await assert.rejects(machine.connect(1), { code: 'failed' });
  await assert.rejects(async () => startMachine({ sockets: false, exec: true }), { code: 'invalid-option' });
});
