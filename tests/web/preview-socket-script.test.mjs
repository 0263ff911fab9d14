// SPDX-License-Identifier: MIT
// The script that replaces WebSocket in a preview's documents (preview/socket-script.ts), in a window that this test plays.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { source } from './source.mjs';

const events = new EventTarget();
const asked = [];
const controller = { postMessage: (data, [port]) => asked.push({ data, port }) };
const give = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
give('document', { baseURI: 'http://8080.localhost/' });
give('location', new URL('http://8080.localhost/'));
give('navigator', { serviceWorker: { controller } });
give('addEventListener', events.addEventListener.bind(events));
globalThis.CloseEvent ??= class extends Event {};
await source('preview/socket-script.ts');

const pageEvent = (type, persisted) => events.dispatchEvent(Object.assign(new Event(type), { persisted }));

test('a document that goes away closes its WebSockets, and hears of that if it comes back', async (t) => {
  const [gone, kept] = [new WebSocket('ws://8080.localhost/one'), new WebSocket('/two')];
  const [first, second] = asked;
  t.after(() => asked.forEach(({ port }) => port.close()));
  assert.deepEqual([first.data.url, second.data.url], ['http://8080.localhost/one', 'http://8080.localhost/two']);
  first.port.postMessage({ type: 'close', code: 1000, reason: '', wasClean: true });
  await once(gone, 'close');
  const heard = [];
  kept.onclose = () => heard.push('close');
  const message = once(second.port, 'message');
  pageEvent('pagehide', true);
  const [data] = await message;
  assert.deepEqual(data, { type: 'close', code: 1001, reason: '' });
  assert.deepEqual(heard, []);
  pageEvent('pageshow', true);
  assert.deepEqual([heard, kept.readyState], [['close'], 3]);
});
