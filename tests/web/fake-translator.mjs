// SPDX-License-Identifier: MIT
// The guest's end of flows, as the translator of the host has it, for tests of backends: it keeps to the credit of the far
// side, and takes as much as it is told to.

import assert from 'node:assert/strict';

/** An end of a flow. What happens to it is in `log`; it takes bytes while `window` is above 0. */
class End {
  log = [];
  room = 0;
  window = Infinity;
  taken = 0;
  received = [];
  /** Bytes of data() that were offered last and found no window. */
  refused = 0;
  keeps = true;
  waiting = [];

  constructor(translator, id) {
    this.translator = translator;
    this.id = id;
  }

  get text() {
    return Buffer.concat(this.received).toString();
  }

  happened(event) {
    this.log.push(event);
    this.wake();
  }

  wake() {
    for (const check of this.waiting.splice(0)) check();
  }

  /** Waits for the event after which a condition holds. */
  until(condition) {
    return new Promise((resolve) => {
      const check = () => (condition() ? resolve() : this.waiting.push(check));
      check();
    });
  }

  event(name) {
    return this.until(() => this.log.includes(name));
  }

  /** Sends all of the bytes, as far as there is room each time. */
  async send(bytes, piece = 65_483) {
    for (let at = 0; at < bytes.length;) {
      await this.until(() => this.room > 0 || this.isOver);
      if (this.isOver) return;
      const part = bytes.subarray(at, at + Math.min(this.room, piece));
      this.room = this.call(() => this.translator.backend.send(this.id, part));
      at += part.length;
      this.wake();
    }
  }

  get isOver() {
    return this.log.some((event) => event === 'aborted' || event.startsWith('failed'));
  }

  finish() {
    this.call(() => this.translator.backend.finish(this.id));
  }

  /** The guest reads: its window is larger by so many bytes. */
  read(count) {
    this.window += count;
    this.call(() => this.translator.backend.consumed(this.id, Number.isFinite(count) ? count : 1 << 30));
  }

  closed(reset) {
    this.translator.ends.delete(this.id);
    this.call(() => this.translator.backend.closed(this.id, reset));
    this.log.push('closed');
  }

  call(action) {
    return this.translator.call(action);
  }
}

export class FakeTranslator {
  ends = new Map();
  backend = undefined;
  isInside = false;
  accepts = true;
  incoming = [];
  nextId = 2 ** 31;
  waiting = [];

  /** FlowEvents for a backend: each checks what FlowEvents says. */
  events = {
    opened: (id, room) => this.tell(id, `opened`, (end) => (end.room = room)),
    failed: (id, error) => this.tell(id, `failed ${error}`, () => this.ends.delete(id)),
    writable: (id, room) => {
      const end = this.end(id);
      end.room = room;
      end.wake();
    },
    incoming: (id, port, room) => {
      assert(!this.isInside && id < 2 ** 30 && !this.ends.has(id));
      if (!this.accepts) return false;
      const end = Object.assign(new End(this, id), { kind: 'stream', room, port });
      this.ends.set(id, end);
      this.incoming.push(end);
      for (const resolve of this.waiting.splice(0)) resolve();
      return true;
    },
    finished: (id) => this.tell(id, 'finished'),
    aborted: (id) => this.tell(id, 'aborted', () => this.ends.delete(id)),
    data: (id, bytes) => {
      const end = this.end(id);
      assert(!end.log.includes('finished'), 'nothing comes after the end');
      assert(bytes.length > 0 || end.kind === 'datagrams');
      const count = Math.min(bytes.length, end.window);
      end.window -= count;
      end.taken += count;
      end.refused = bytes.length - count;
      if (end.keeps && count > 0) end.received.push(Buffer.from(bytes.subarray(0, count)));
      end.wake();
      return count;
    },
  };

  call(action) {
    this.isInside = true;
    try {
      return action();
    } finally {
      this.isInside = false;
    }
  }

  end(id) {
    assert(!this.isInside, 'a backend tells nothing from within a call');
    const end = this.ends.get(id);
    assert(end !== undefined, `nothing comes for flow ${id} after its end`);
    return end;
  }

  tell(id, event, effect = () => {}) {
    const end = this.end(id);
    effect(end);
    end.happened(event);
  }

  open(address, port, kind = 'stream', options = {}) {
    const end = Object.assign(new End(this, this.nextId++), { kind }, options);
    this.ends.set(end.id, end);
    this.call(() => this.backend.open(end.id, kind, address, port));
    return end;
  }

  async nextIncoming() {
    while (this.incoming.length === 0) await new Promise((resolve) => this.waiting.push(resolve));
    return this.incoming.shift();
  }
}
