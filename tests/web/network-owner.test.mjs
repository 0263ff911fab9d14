// SPDX-License-Identifier: MIT
// Flows between a guest and its machine's owner.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { OwnerFlows, FIRST_OWNED } = await source('machine/owner-flows.ts');
const { FIRST_ACCEPTED } = await source('machine/protocol.ts');

/** The flows, what the guest and the owner hear, and a guest that takes `room` bytes. */
function flows({ accepts = true } = {}) {
  const guest = [];
  const owner = [];
  const state = { guest, owner, room: Infinity };
  const tell =
    (name) =>
    (...values) =>
      void guest.push([name, ...values]);
  state.flows = new OwnerFlows(
    {
      opened: tell('opened'),
      failed: tell('failed'),
      incoming: (...values) => {
        guest.push(['incoming', ...values]);
        return accepts;
      },
      data: (id, bytes) => {
        const taken = Math.min(bytes.length, state.room);
        state.room -= taken;
        if (taken > 0) guest.push(['data', id, Buffer.from(bytes.subarray(0, taken)).toString()]);
        return taken;
      },
      writable: tell('writable'),
      finished: tell('finished'),
      aborted: tell('aborted'),
    },
    (event) => owner.push(event),
  );
  return state;
}

const bytes = (text) => new TextEncoder().encode(text);
const later = () => new Promise((resolve) => queueMicrotask(resolve));
const ID = FIRST_OWNED + 1;

test('the owner connects', async () => {
  const { flows: one, guest, owner } = flows();
  one.request({ type: 'connect', id: ID, port: 80 });
  assert.deepEqual(guest.splice(0), [['incoming', ID, 80, 262144]]);
  assert(one.has(ID));
  one.accepted(ID);
  assert.deepEqual(owner.splice(0), [{ type: 'opened', id: ID }]);
  one.request({ type: 'send', id: ID, bytes: bytes('hello') });
  assert.deepEqual(guest.splice(0), [['data', ID, 'hello']]);
  one.consumed(ID, 5);
  assert.deepEqual(owner.splice(0), [{ type: 'sent', id: ID, count: 5 }]);
  assert.equal(one.send(ID, bytes('answer')), 262144 - 6);
  assert.deepEqual(owner.splice(0), [{ type: 'data', id: ID, bytes: bytes('answer') }]);
  one.request({ type: 'taken', id: ID, count: 6 });
  assert.deepEqual(guest.splice(0), [['writable', ID, 262144]]);
  one.finish(ID);
  assert.deepEqual(owner.splice(0), [{ type: 'ended', id: ID }]);
  one.request({ type: 'finish', id: ID });
  assert.deepEqual(guest.splice(0), [['finished', ID]]);
  one.closed(ID, false);
  assert.deepEqual(owner.splice(0), [{ type: 'closed', id: ID, reset: false }]);
  assert(!one.has(ID));
  await later();
  assert.deepEqual([...guest, ...owner], []);
});

test('a guest that has no room, and then has some', async () => {
  const state = flows();
  const { flows: one, guest } = state;
  one.request({ type: 'connect', id: ID, port: 80 });
  guest.length = 0;
  state.room = 3;
  one.request({ type: 'send', id: ID, bytes: bytes('hello') });
  one.request({ type: 'send', id: ID, bytes: bytes('you') });
  one.request({ type: 'finish', id: ID });
  assert.deepEqual(guest.splice(0), [['data', ID, 'hel']]);
  state.room = 3;
  one.consumed(ID, 3);
  assert.deepEqual(guest, [], 'not within the call');
  await later();
  assert.deepEqual(guest.splice(0), [
    ['data', ID, 'lo'],
    ['data', ID, 'y'],
  ]);
  state.room = Infinity;
  one.consumed(ID, 3);
  await later();
  assert.deepEqual(guest.splice(0), [
    ['data', ID, 'ou'],
    ['finished', ID],
  ]);
});

test('nobody listens, or there is no room for a connection', () => {
  const { flows: one, owner } = flows();
  one.request({ type: 'connect', id: ID, port: 80 });
  one.closed(ID, true);
  assert.deepEqual(owner.splice(0), [{ type: 'closed', id: ID, reset: true }]);
  const full = flows({ accepts: false });
  full.flows.request({ type: 'connect', id: ID, port: 80 });
  assert.deepEqual(full.owner, [{ type: 'closed', id: ID, reset: true }]);
  assert(!full.flows.has(ID));
});

test('the owner cuts off, and what comes then is nobody’s', async () => {
  const { flows: one, guest, owner } = flows();
  one.request({ type: 'connect', id: ID, port: 80 });
  guest.length = 0;
  one.request({ type: 'abort', id: ID });
  assert.deepEqual(guest.splice(0), [['aborted', ID]]);
  assert.deepEqual(owner.splice(0), [{ type: 'closed', id: ID, reset: true }]);
  for (const type of ['abort', 'finish', 'taken', 'send']) one.request({ type, id: ID, count: 1, bytes: bytes('x') });
  assert.equal(one.send(ID, bytes('x')), 0);
  await later();
  assert.deepEqual([...guest, ...owner], []);
});

test('numbers that are not the owner’s', () => {
  for (const id of [0, 1, FIRST_OWNED - 1, FIRST_ACCEPTED]) {
    const { flows: one, guest, owner } = flows();
    one.request({ type: 'connect', id, port: 80 });
    assert.deepEqual(guest, []);
    assert.deepEqual(owner, [{ type: 'closed', id, reset: true }]);
  }
  const { flows: one, guest, owner } = flows();
  one.request({ type: 'connect', id: ID, port: 80 });
  one.request({ type: 'connect', id: ID, port: 81 });
  assert.equal(guest.length, 1);
  assert.deepEqual(owner, [{ type: 'closed', id: ID, reset: true }]);
});

test('a program connects to the owner', async () => {
  const { flows: one, guest, owner } = flows();
  assert(!one.listens(80));
  one.request({ type: 'listen', port: 80, on: true });
  assert(one.listens(80));
  one.open(FIRST_ACCEPTED, 80);
  assert.deepEqual([...guest, ...owner], [], 'not within the call');
  await later();
  assert.deepEqual(guest.splice(0), [['opened', FIRST_ACCEPTED, 262144]]);
  assert.deepEqual(owner.splice(0), [{ type: 'accepted', id: FIRST_ACCEPTED, port: 80 }]);
  one.request({ type: 'listen', port: 80, on: false });
  assert(!one.listens(80));
  one.open(FIRST_ACCEPTED + 1, 80);
  one.closed(FIRST_ACCEPTED + 1, true);
  owner.length = 0;
  await later();
  assert.deepEqual([...guest, ...owner], [], 'it went before it was accepted');
});
