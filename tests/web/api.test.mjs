// SPDX-License-Identifier: MIT
// The small parts of web/src/api: time zones, users' handlers, workers that the page makes for another.

import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { source } from './source.mjs';

const { engineTimeZone, isTimeZone } = await source('api/time-zone.ts');
const { isPromise, reportException } = await source('api/handlers.ts');
const { leave, oneGone } = await source('api/leaving.ts');
const { needsRelay, relayWorkers, replaceWorkers } = await source('api/worker-relay.ts');

test('names of time zones', () => {
  for (const name of ['UTC', 'Europe/Berlin', 'Etc/GMT+5', 'America/Port-au-Prince', 'America/North_Dakota/Center'])
    assert.equal(isTimeZone(name), true, name);
  // It becomes a word of the kernel's command line.
  for (const name of ['', 'a b', 'a\nb', 'TZ=x', 'a"b', 'Zürich', 'x'.repeat(65), 5, undefined, null])
    assert.equal(isTimeZone(name), false, String(name));
});

test('the zone of this engine', (suite) => {
  const zone = (timeZone) => {
    const mock = suite.mock.method(Intl, 'DateTimeFormat', function DateTimeFormat() {
      return { resolvedOptions: () => ({ timeZone }) };
    });
    const result = engineTimeZone();
    mock.mock.restore();
    return result;
  };
  assert.equal(zone('Asia/Tokyo'), 'Asia/Tokyo');
  assert.equal(zone('Etc/Unknown'), undefined);
  assert.equal(zone(undefined), undefined);
  assert.equal(zone('not a zone'), undefined);
});

test('what a handler returns', () => {
  for (const value of [Promise.resolve(), { then: () => {} }]) assert.equal(isPromise(value), true);
  for (const value of [undefined, null, 1, 'then', {}, { then: 1 }]) assert.equal(isPromise(value), false);
});

test('the exception of a handler is reported as that of a listener, or printed', (suite) => {
  const error = new Error('of the handler');
  const printed = suite.mock.method(console, 'error', () => {});
  reportException(error);
  assert.deepEqual(printed.mock.calls[0].arguments, [error]);
  const reported = [];
  globalThis.reportError = (each) => reported.push(each);
  suite.after(() => delete globalThis.reportError);
  reportException(error);
  assert.deepEqual(reported, [error]);
  assert.equal(printed.mock.callCount(), 1);
});

test('a machine without memory waits for the next one that is gone', async () => {
  assert.equal(await oneGone(), false);
  const ends = [];
  for (let machine = 0; machine < 2; ++machine) leave(new Promise((resolve) => ends.push(resolve)));
  for (const end of ends) {
    let gone;
    const waiting = oneGone().then((value) => (gone = value));
    await turn();
    assert.equal(gone, undefined);
    end();
    await waiting;
    assert.equal(gone, true);
  }
  assert.equal(await oneGone(), false);
  leave(Promise.reject(new Error('one whose end failed')));
  assert.equal(await oneGone(), true);
  assert.equal(await oneGone(), false);
});

test('only Firefox needs a relay', (suite) => {
  const agent = suite.mock.getter(
    navigator,
    'userAgent',
    () => 'Mozilla/5.0 (X11; rv:153.0) Gecko/20100101 Firefox/153.0',
  );
  assert.equal(needsRelay(), true);
  agent.mock.restore();
  assert.equal(needsRelay(), false);
});

test('a relayed worker: messages, errors and its end pass the page', async (suite) => {
  // Both sides are in this thread, so each gets the Worker that it would find.
  const { Worker, addEventListener } = globalThis;
  suite.after(() => Object.assign(globalThis, { Worker, addEventListener }));
  let receive;
  globalThis.addEventListener = (type, listener) => (receive = type === 'message' ? listener : receive);
  replaceWorkers();
  const RelayedWorker = globalThis.Worker;

  const made = [];
  globalThis.Worker = class {
    messages = [];
    terminated = false;
    constructor(url, options) {
      Object.assign(this, { url, options });
      made.push(this);
    }
    postMessage(data) {
      this.messages.push(data);
      this.onmessage({ data: { echo: data } });
    }
    terminate() {
      this.terminated = true;
    }
  };
  let port;
  let stopped = 0;
  relayWorkers((data, ports) => {
    [port] = ports;
    // A message of the owner's passes.
    receive({ data: { type: 'start' }, stopImmediatePropagation: () => ++stopped });
    assert.equal(stopped, 0);
    receive({ data, ports, stopImmediatePropagation: () => ++stopped });
    assert.equal(stopped, 1);
  });
  suite.after(() => port.close());

  const worker = new RelayedWorker(new URL('https://example.org/guest-worker.js'));
  const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  worker.postMessage({ number: 7 });
  assert.deepEqual(await answer, { echo: { number: 7 } });
  assert.equal(made.length, 1);
  assert.equal(made[0].url, 'https://example.org/guest-worker.js');
  assert.deepEqual(made[0].options, { type: 'module' });

  const failure = new Promise((resolve) => (worker.onerror = resolve));
  let prevented = false;
  made[0].onerror({ message: 'broken', filename: 'f.js', lineno: 3, preventDefault: () => (prevented = true) });
  const { message, filename, lineno } = await failure;
  assert.deepEqual(
    { message, filename, lineno, prevented },
    { message: 'broken', filename: 'f.js', lineno: 3, prevented: true },
  );

  const ended = new Promise((resolve) => (made[0].terminate = resolve));
  worker.terminate();
  await ended;
});
