// SPDX-License-Identifier: MIT
// What goes between the page and the guest's transfer program: names, uploads as bytes, and downloads with every lie in them.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { safeName, shownName } = await source('api/file-names.ts');
const { encodeUploads, uploadName, UnreadableFile, uploadSize } = await source('api/uploads.ts');
const { readDownload, takeDownloads } = await source('api/downloads.ts');
const { save } = await source('page/save.ts');
const { ByteReader } = await source('api/byte-reader.ts');
const { outputStream } = await source('api/output-stream.ts');

const bytesOf = (text) => new TextEncoder().encode(text);
const textOf = (bytes) => new TextDecoder().decode(bytes);

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

test('names of downloads', () => {
  for (const [given, expected] of [
    ['notes.txt', 'notes.txt'],
    ['ü 日本 🙂.txt', 'ü 日本 🙂.txt'],
    ['/etc/passwd', 'passwd'],
    ['..\\..\\evil.exe', 'evil.exe'],
    ['..', 'download'],
    ['.', 'download'],
    ['', 'download'],
    ['a/', 'download'],
    ['.bashrc', 'bashrc'],
    ['a\nb\x1b[2J\x00c\x7f', 'ab[2Jc'],
    ['photo\u202egpj.exe', 'photogpj.exe'],
    ['a<b>:"c|?*', 'a_b___c___'],
    ['trailing. . ', 'trailing'],
    ['\ud800x', 'x'],
  ])
    assert.equal(safeName(given), expected, JSON.stringify(given));
  const long = safeName(`${'🙂'.repeat(300)}.tar`);
  assert.equal(Array.from(long).length, 120);
  assert.match(long, /🙂\.tar$/u);
  // The cut makes a new end.
  for (const filler of [' ', '.', '. .'])
    for (const end of ['', '.tar']) {
      const given = `${'x'.repeat(110)}${filler.repeat(20)}${'y'.repeat(50)}${end}`;
      assert.equal(safeName(given), `${'x'.repeat(110)}${end}`);
    }
});

test('names that people read', () => {
  assert.equal(shownName('a\nb\x1b[2Jc'), 'a\ufffdb\ufffd[2Jc');
  assert.equal(shownName('x'.repeat(1000)), `${'x'.repeat(60)}…`);
});

test('names of uploads', () => {
  for (const [given, expected] of [
    ['a b', 'a b'],
    ['"\'\n', '"\'\n'],
    ['..', '_.'],
    ['.', '_'],
    ['', '_'],
    ['a/b\0c', 'a_b_c'],
    ['...', '...'],
  ])
    assert.equal(uploadName(given), expected, JSON.stringify(given));
});

test('uploads as bytes', async () => {
  const uploads = [
    { path: 'd' },
    { path: 'd/é', file: new File(['content'], 'é', { lastModified: 1_700_000_000_123 }) },
    { path: 'empty', file: new File([], 'empty', { lastModified: 5 }) },
  ];
  assert.equal(uploadSize(uploads), 7);
  const all = await collect(encodeUploads(uploads));
  let at = 0;
  const take = (count) => all.subarray(at, (at += count));
  const entry = () => {
    const head = take(24);
    return [head.readUInt32LE(0), head.readBigUInt64LE(8), head.readBigInt64LE(16), textOf(take(head.readUInt32LE(4)))];
  };
  assert.deepEqual(entry(), [2, 0n, 0n, 'd']);
  assert.deepEqual(entry(), [1, 7n, 1_700_000_000_123n, 'd/é']);
  assert.equal(textOf(take(7)), 'content');
  assert.deepEqual(entry(), [1, 0n, 5n, 'empty']);
  assert.deepEqual(entry(), [0, 0n, 0n, '']);
  assert.equal(at, all.length);
});

/** A File whose stream is another one. */
function changed(size, stream) {
  const file = new File([new Uint8Array(size)], 'f');
  file.stream = () => stream;
  return file;
}

test('a file that changes, or cannot be read, has no end', async () => {
  const piece = (count) => new Blob([new Uint8Array(count)]).stream();
  for (const [stream, message] of [
    [piece(9), /it has changed meanwhile/],
    [piece(11), /it has changed meanwhile/],
    [new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) }), /gone/],
  ]) {
    const sent = [];
    const encode = async () => {
      for await (const bytes of encodeUploads([{ path: 'f', file: changed(10, stream) }])) sent.push(bytes);
    };
    await assert.rejects(encode, (error) => error instanceof UnreadableFile && message.test(error.message));
    // The guest never gets more than it was told.
    assert(Buffer.concat(sent).length <= 25 + 10);
  }
});

/** The bytes of a download. */
function download({ kind = 1, name = 'x', size = 3n, length, pieces = ['abc'], end = true }) {
  const nameBytes = bytesOf(name);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(length ?? nameBytes.length, 4);
  head.writeBigUInt64LE(size, 8);
  const parts = [head, nameBytes];
  for (const piece of [...pieces, ...(end ? [''] : [])]) {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(piece.length);
    parts.push(count, bytesOf(piece));
  }
  return Buffer.concat(parts);
}

const readerOf = (bytes, step = bytes.length) =>
  new ByteReader(
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += step)
          controller.enqueue(new Uint8Array(bytes.subarray(at, at + step)));
        controller.close();
      },
    }).getReader(),
  );

test('a download is read, in whatever pieces it comes', async () => {
  const bytes = download({ name: 'é/../b.txt', pieces: ['abc', 'defg'], size: 7n });
  for (const step of [1, 3, 17, bytes.length]) {
    const { name, folder, size, content } = await readDownload(readerOf(bytes, step));
    assert.deepEqual([name, folder, size], ['b.txt', false, 7]);
    assert.equal(textOf(await collect(content)), 'abcdefg');
  }
  const folder = await readDownload(readerOf(download({ kind: 2, size: 2n ** 64n - 1n })));
  assert.deepEqual([folder.folder, folder.size], [true, undefined]);
});

test('what is no download is refused', async () => {
  const none = { message: 'what the program sends is no file' };
  const broken = { message: 'the program has broken it off' };
  for (const [bytes, error] of [
    [Buffer.alloc(0), broken],
    [Buffer.alloc(15), broken],
    [download({ kind: 0 }), none],
    [download({ kind: 3 }), none],
    [download({ length: 261 }), none],
    [download({ length: 0xffff_ffff }), none],
    [download({ length: 200, pieces: [], end: false }), broken],
  ])
    await assert.rejects(readDownload(readerOf(bytes)), error);
  const huge = download({ pieces: [], end: false });
  for (const [rest, error] of [
    [Buffer.alloc(0), broken],
    [Buffer.from([3, 0, 0]), broken],
    [Buffer.from([3, 0, 0, 0, 1, 2]), broken],
    [Buffer.from([1, 0, 0x10, 0]), none],
    [Buffer.from([0xff, 0xff, 0xff, 0xff]), none],
  ]) {
    const { content } = await readDownload(readerOf(Buffer.concat([huge, rest])));
    await assert.rejects(collect(content), error);
  }
  // A size is only what the guest says.
  const lie = await readDownload(readerOf(download({ size: 2n ** 60n, pieces: ['abc'] })));
  assert.equal(lie.size, undefined);
  assert.equal(textOf(await collect(lie.content)), 'abc');
  // Random bytes end in one of the two errors, or are a file.
  let seed = 1;
  for (let round = 0; round < 500; ++round) {
    const bytes = Buffer.from(download({ pieces: ['abc', 'd'] }));
    for (let count = 0; count < 3; ++count) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      bytes[seed % bytes.length] = seed >>> 16;
    }
    try {
      const { content, name } = await readDownload(readerOf(bytes));
      assert.doesNotMatch(name, /[/\\\p{Cc}]/u);
      await collect(content);
    } catch (error) {
      assert([none.message, broken.message].includes(error.message), error.message);
    }
  }
});

/** A machine whose connections the test makes. */
function listener() {
  let handler;
  const machine = {
    listen: (port, given) => {
      assert.equal(port, 2);
      handler = given;
      return () => {};
    },
  };
  /** A program that sends the bytes, and ends then if it is told to. */
  const connect = (bytes, { end = true } = {}) => {
    let answer = '';
    let taken = 0;
    let resolveClosed;
    const closed = new Promise((resolve) => (resolveClosed = resolve));
    const socket = {
      readable: new ReadableStream({
        pull(controller) {
          if (taken < bytes.length) {
            const piece = bytes.subarray(taken, taken + 65536);
            taken += piece.length;
            controller.enqueue(new Uint8Array(piece));
          } else if (end) controller.close();
          else return new Promise(() => {});
        },
      }),
      writable: new WritableStream({ write: (piece) => void (answer += textOf(piece)) }),
      closed,
      reset: () => resolveClosed(),
    };
    return { done: handler(socket), answer: () => answer, taken: () => taken, leave: resolveClosed };
  };
  return { machine, connect };
}

test('the program is told what has become of its file', async () => {
  const { machine, connect } = listener();
  let act = async ({ content }) => void (await collect(content));
  takeDownloads(machine, (given) => act(given));
  const told = async (bytes = download({})) => {
    const connection = connect(bytes);
    await connection.done;
    return connection.answer();
  };
  assert.equal(await told(), '+saved');
  act = async () => 'put away';
  assert.equal(await told(), '+put away');
  act = async () => {
    throw new Error('cancelled');
  };
  assert.equal(await told(), '-cancelled');
  act = async ({ content }) => void (await collect(content));
  assert.equal(await told(download({ end: false })), '-the program has broken it off');
  assert.equal(await told(download({ kind: 7 })), '-what the program sends is no file');
});

test('a program that goes on after a no is cut off', async () => {
  const { machine, connect } = listener();
  takeDownloads(machine, async () => {
    throw new Error('refused');
  });
  const { done, answer, taken } = connect(Buffer.concat([download({}), Buffer.alloc(64 << 20)]));
  await done;
  assert.equal(answer(), '-refused');
  assert(taken() < 3 << 20, String(taken()));
});

test('only some downloads are open at a time, and one that has gone is told', async () => {
  const { machine, connect } = listener();
  const taken = [];
  takeDownloads(machine, (given) => new Promise((resolve) => taken.push({ ...given, resolve })));
  const connections = Array.from({ length: 9 }, () => connect(download({})));
  await connections[8].done;
  assert.equal(connections[8].answer(), '-too many downloads at once');
  for (let tries = 0; taken.length < 8; ++tries) {
    assert(tries < 1000);
    await turn();
  }
  assert.equal(taken[0].signal.aborted, false);
  connections[0].leave();
  await turn();
  assert.deepEqual(
    taken.map(({ signal }) => signal.aborted),
    [true, false, false, false, false, false, false, false],
  );
  for (const { resolve } of taken) resolve();
  await Promise.all(connections.map(({ done }) => done));
  const next = connect(download({}));
  while (taken.length < 9) await turn();
  taken[8].resolve('again');
  await next.done;
  assert.equal(next.answer(), '+again');
});

test('the output of a command as a stream', async () => {
  const given = [];
  const exec = (command, { onStdout, signal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      given.push({ command, onStdout, resolve, signal });
    });
  const check = ({ status }) => {
    if (status !== 0) throw new Error(`status ${status}`);
  };
  const first = outputStream(exec, ['a'], check).getReader();
  let isTaken = false;
  const taken = given[0].onStdout(bytesOf('one')).then(() => (isTaken = true));
  assert.equal(textOf((await first.read()).value), 'one');
  await turn();
  assert.equal(isTaken, false, 'nobody has asked for more');
  const more = first.read();
  await taken;
  given[0].resolve({ status: 0 });
  assert.equal((await more).done, true);

  const failed = outputStream(exec, ['b'], check).getReader();
  given[1].resolve({ status: 3 });
  await assert.rejects(failed.read(), { message: 'status 3' });

  const cancelled = outputStream(exec, ['c'], check).getReader();
  const waiting = given[2].onStdout(bytesOf('lost'));
  await cancelled.cancel('enough');
  await waiting;
  assert.equal(given[2].signal.reason, 'enough');
});

test('a place that cannot be written ends what was to go there', async () => {
  const gone = new Error('the folder is gone');
  const place = { createWritable: () => Promise.reject(gone) };
  let reason;
  const content = new ReadableStream({ cancel: (given) => void (reason = given) });
  await assert.rejects(save(content, 'x', { signal: new AbortController().signal, place }), gone);
  assert.equal(reason, gone);
});
