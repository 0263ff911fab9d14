// SPDX-License-Identifier: MIT
// The credit that a relay gives for packets (relay/tcp-stream.ts), with an honest client behind a line of any delay and a far
// side of any speed: it is never called a liar, never stuck, and what waits has a bound.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { FakeTimers } from './network-wisp-peers.mjs';
import { source } from './source.mjs';

const { DEFAULT_LIMITS, PACKETS } = await source('relay/limits.ts');
const { Metrics } = await source('relay/metrics.ts');
const { TcpStream } = await source('relay/tcp-stream.ts');

/** A far side that takes bytes when it is told to. */
class FakeSocket extends EventEmitter {
  writes = [];
  write(_bytes, done) {
    this.writes.push(done);
  }
  pause() {}
  resume() {}
  resetAndDestroy() {}
}

class Model {
  credit = PACKETS;
  /** On their way to the relay, and to the client. */
  up = 0;
  down = [];
  socket = new FakeSocket();
  sent = 0;
  most = 0;

  constructor() {
    const owner = {
      limits: DEFAULT_LIMITS,
      metrics: new Metrics(),
      timers: new FakeTimers(),
      extended: false,
      confirms: false,
      isFull: false,
      waiting: 0,
      send: (packet) => {
        assert.equal(packet.type, 'continue', `reason ${packet.reason}`);
        this.down.push(packet.count);
      },
      hold: () => true,
      count: () => true,
      release: () => {},
    };
    this.stream = new TcpStream(owner, 1);
    this.stream.accept(this.socket);
  }

  /** The client sends what it may. */
  send() {
    if (this.credit === 0) return false;
    --this.credit;
    ++this.up;
    ++this.sent;
    return true;
  }

  arriveUp() {
    if (this.up === 0) return false;
    --this.up;
    this.stream.data(Buffer.alloc(1));
    this.most = Math.max(this.most, this.socket.writes.length);
    return true;
  }

  arriveDown() {
    if (this.down.length === 0) return false;
    this.credit = this.down.shift();
    return true;
  }

  take() {
    if (this.socket.writes.length === 0) return false;
    this.socket.writes.shift()();
    return true;
  }
}

test('an honest client, whatever comes when', () => {
  let most = 0;
  for (let seed = 1; seed <= 150; ++seed) {
    let state = seed;
    const random = (below) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const model = new Model();
    const steps = ['send', 'arriveUp', 'arriveDown', 'take'];
    // Phases in which one of them is fast or does not happen.
    for (let phase = 0; phase < 30; ++phase) {
      const weights = steps.map(() => random(3) * random(4));
      for (let count = 50 + random(2000); count > 0; --count) {
        const which = random(4);
        if (random(6) < weights[which]) model[steps[which]]();
      }
    }
    most = Math.max(most, model.most);
    // All arrives, and then the client may send again.
    let isMoving = true;
    while (isMoving) {
      isMoving = [model.arriveUp(), model.arriveDown(), model.take()].some(Boolean);
      if (!isMoving && model.credit > 0 && model.sent < 10_000) isMoving = model.send();
    }
    assert.ok(model.credit > 0, `seed ${seed}: stuck`);
    assert.ok(model.sent >= 10_000);
  }
  assert.ok(most > PACKETS / 2 && most <= 2 * PACKETS, `${most} packets wait`);
});
