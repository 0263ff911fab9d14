// SPDX-License-Identifier: MIT
// Captures: from the host (machine/host-capture.ts) to the owner's stream (api/captures.ts), and to a file (node/pcap.ts).

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { CaptureClient } = await source('api/captures.ts');
const { CAPTURE_ROOM, HostCapture } = await source('machine/host-capture.ts');
const { parseCommandLine } = await source('node/options.ts');
const { PCAP_VALUES, pcapOf } = await source('node/pcap.ts');
const { MachineNetwork } = await source('api/network.ts');
const { MachineError } = await source('api/types.ts');

const HEADER = new Uint8Array(24).fill(0xa1);

/** A host and its owner, whose messages come later, and the messages of both. */
function start() {
  const requests = [];
  const events = [];
  const recorder = { runs: false };
  const host = new HostCapture(
    {
      start: () => {
        recorder.runs = true;
        assert(host.captured(HEADER));
      },
      stop: () => (recorder.runs = false),
    },
    (event) => {
      events.push(event);
      queueMicrotask(() => client.handle(event));
    },
  );
  const client = new CaptureClient((request) => {
    requests.push(request);
    queueMicrotask(() => host.request(request));
  });
  const pass = (...bytes) => host.captured(Uint8Array.from(bytes));
  return { client, host, recorder, requests, events, pass, network: { capture: () => client.start() } };
}

const all = async (readable) => Buffer.concat(await Array.fromAsync(readable));

test('the header and each frame, the frames of a turn in one message', async () => {
  const { client, recorder, events, pass } = start();
  const capture = client.start();
  await turn();
  assert(recorder.runs);
  assert(pass(1, 2));
  assert(pass(3));
  await turn();
  assert(pass(4));
  capture.stop();
  capture.stop();
  assert.deepEqual(await all(capture.readable), Buffer.from([...HEADER, 1, 2, 3, 4]));
  assert.equal(recorder.runs, false);
  assert.equal(capture.lost, 0);
  assert.deepEqual(
    events.map(({ type, bytes }) => [type, bytes?.length]),
    [
      ['data', 24],
      ['data', 3],
      ['data', 1],
      ['ended', undefined],
    ],
  );
});

test('large messages have an end', async () => {
  const { client, events, host } = start();
  const capture = client.start();
  const frame = new Uint8Array(65_565);
  await turn();
  for (let count = 0; count < 10; ++count) assert(host.captured(frame.fill(count)));
  capture.stop();
  const bytes = await all(capture.readable);
  assert.equal(bytes.length, 24 + 10 * frame.length);
  for (let count = 0; count < 10; ++count) assert.equal(bytes[24 + count * frame.length], count);
  assert(events.every((event) => event.type === 'ended' || event.bytes.length <= 256 * 1024));
});

test('a reader that does not read loses frames, learns of it, and gets later ones', async () => {
  const { client, host, requests } = start();
  const capture = client.start();
  await turn();
  const frame = new Uint8Array(65_536);
  const fits = Math.floor((CAPTURE_ROOM - HEADER.length) / frame.length);
  for (let count = 0; count < fits; ++count) assert(host.captured(frame));
  for (let count = 0; count < 3; ++count) assert.equal(host.captured(frame), false);
  // A smaller one has room.
  assert(host.captured(Uint8Array.of(7)));
  await turn();
  assert.equal(capture.lost, 3);
  assert.deepEqual(
    requests.map(({ type }) => type),
    ['start'],
    'nothing is taken unread',
  );
  const reader = capture.readable.getReader();
  let size = 0;
  while (size < HEADER.length + frame.length) size += (await reader.read()).value.length;
  await turn();
  assert.equal(
    requests.filter(({ type }) => type === 'taken').reduce((sum, { count }) => sum + count, 0),
    size,
  );
  assert(host.captured(frame));
  capture.stop();
  for (let read; !(read = await reader.read()).done;) size += read.value.length;
  assert.equal(size, HEADER.length + (fits + 1) * frame.length + 1);
  assert.equal(capture.lost, 3);
});

test('one capture at a time; a cancelled one makes room, and its bytes reach no other', async () => {
  const { client, host, recorder, pass } = start();
  const first = client.start();
  assert.throws(() => client.start(), { code: 'failed', message: /has a capture already/ });
  await turn();
  pass(1);
  await first.readable.cancel();
  const second = client.start();
  await turn();
  assert(recorder.runs);
  pass(2);
  await turn();
  // What a late reader of the first would say is not for the second.
  host.request({ type: 'stop', id: 1 });
  host.request({ type: 'taken', id: 1, count: 1000 });
  assert(recorder.runs);
  pass(3);
  second.stop();
  assert.deepEqual(await all(second.readable), Buffer.from([...HEADER, 2, 3]));
  // The room of the second is whole: 1000 bytes were not added.
  const third = client.start();
  await turn();
  assert.equal(host.captured({ length: CAPTURE_ROOM - HEADER.length + 1 }), false);
  await third.readable.cancel();
});

test('the machine ends', async () => {
  const { client, host, pass } = start();
  const capture = client.start();
  await turn();
  pass(1);
  host.flush();
  await turn();
  client.ended(new MachineError('halted', 'the machine has ended'));
  assert.deepEqual(await all(capture.readable), Buffer.from([...HEADER, 1]));
  assert.throws(() => client.start(), { code: 'halted' });
  capture.stop();
});

/** The option's file, and what the user is told. */
function fileOf(path, hasNetwork = true) {
  const said = [];
  const line = parseCommandLine('exec', path === undefined ? [] : ['--pcap', path], { values: PCAP_VALUES });
  return { file: pcapOf(line, hasNetwork, (message) => said.push(message)), said };
}

test('a file has one header and the frames of all machines', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-pcap-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  const { file, said } = fileOf(path);
  for (const number of [1, 2]) {
    const machine = start();
    file.record(machine);
    await turn();
    machine.pass(number, number);
    await file.finish();
  }
  await file.close();
  assert.deepEqual(readFileSync(path), Buffer.from([...HEADER, 1, 1, 2, 2]));
  assert.deepEqual(said, []);
  // Another one takes its place.
  await fileOf(path).file.close();
  assert.equal(readFileSync(path).length, 0);
});

test('a file that lacks frames, a full disk', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-pcap-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  const lacking = fileOf(path);
  const machine = start();
  lacking.file.record(machine);
  await turn();
  const frame = new Uint8Array(65_536);
  while (machine.host.captured(frame));
  await lacking.file.close();
  assert.deepEqual(lacking.said, [`frames that are missing in ${path}: 1`]);

  const full = fileOf('/dev/full');
  const other = start();
  full.file.record(other);
  await turn();
  assert.deepEqual(full.said, ['the capture in /dev/full has ended: the disk is full']);
  assert.equal(other.recorder.runs, false);
  // A machine after it has none.
  full.file.record(start());
  await full.file.close();
  assert.equal(full.said.length, 1);
});

test('files that cannot be', () => {
  assert.equal(fileOf(undefined, false).file, undefined);
  assert.throws(() => fileOf('/tmp/x', false), {
    status: 2,
    message: '--pcap needs a network card: add --network nat, for example',
  });
  assert.throws(() => fileOf(tmpdir()), { message: `--pcap ${tmpdir()}: it is a folder` });
  assert.throws(() => fileOf('/no/such/file'), { message: '--pcap /no/such/file: there is no such folder' });
});

test('any card has captures, and no card has none', () => {
  const posted = [];
  for (const options of [{ type: 'local' }, { type: 'ethernet', url: 'wss://example.org/' }])
    new MachineNetwork(options, (message) => posted.push(message.type)).capture();
  assert.deepEqual(posted, ['network-capture', 'network-capture']);
  assert.throws(() => new MachineNetwork(undefined, () => {}).capture(), { code: 'failed' });
});
