// SPDX-License-Identifier: MIT
// The tab of a preview (preview/viewer.ts), in a window that this test plays.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { source } from './source.mjs';

const ORIGIN = 'http://8080.localhost';
const events = new EventTarget();
const give = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });

/** Frames in the order in which they come into the document. */
const frames = [];
const element = () => ({ append: (child) => frames.push(child), remove() {} });
const elements = { text: element(), frames: element() };
give('document', {
  title: '',
  body: element(),
  getElementById: (id) => elements[id],
  createElement: () => {
    const sandbox = new Set();
    const setAttribute = (name, value) => name === 'sandbox' && value.split(' ').forEach((each) => sandbox.add(each));
    return Object.assign(element(), { sandbox, setAttribute, contentWindow: { postMessage() {} } });
  },
});
give('location', new URL('http://localhost/port.html#8080'));
give('addEventListener', events.addEventListener.bind(events));
give('navigator', { locks: { request: () => new Promise(() => {}) } });
const knocks = new EventTarget();
const opener = {
  postMessage: (_, __, [port]) => knocks.dispatchEvent(Object.assign(new Event('knock'), { port })),
};
give('window', { opener });

test('no frame of the site’s origin may do more than the site', async (t) => {
  const knocked = once(knocks, 'knock');
  await source('preview/viewer.ts');
  const [{ port }] = await knocked;
  t.after(() => port.close());
  port.postMessage({ type: 'welcome', origin: ORIGIN, lock: 'lock' });
  while (frames.length === 0) await new Promise(setImmediate);
  const [keeper] = frames;
  const message = new Event('message');
  events.dispatchEvent(
    Object.assign(message, { source: keeper.contentWindow, origin: ORIGIN, data: { type: 'ready' }, ports: [] }),
  );
  const [, site] = frames;
  assert.ok(keeper.src.startsWith(`${ORIGIN}/auklet-preview`) && site.src === `${ORIGIN}/`);
  // The site's scripts reach those of the keeper.
  assert.ok(keeper.sandbox.size > 0 && keeper.sandbox.isSubsetOf(site.sandbox));
  assert.ok(![...site.sandbox].some((each) => each.startsWith('allow-top-navigation')));
});
