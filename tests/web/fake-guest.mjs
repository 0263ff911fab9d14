// SPDX-License-Identifier: MIT
// Guests whose network is fetch(), and a fetch() for them.

import assert from 'node:assert/strict';
import { FakeTranslator } from './fake-translator.mjs';
import { source } from './source.mjs';

const { FetchBackend } = await source('network/fetch-backend.ts');

export const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'latin1'));
/** Every promise that can go on has gone on. */
export const settled = () => new Promise((resolve) => void setImmediate(resolve));

/** A connection of a guest that fetch() serves. */
class Connection {
  constructor(end) {
    this.end = end;
  }

  get text() {
    return this.end.text;
  }

  get room() {
    return this.end.room;
  }

  /** The last that has happened: 'opened', 'finished', 'aborted', 'failed refused', 'closed'. */
  get state() {
    return this.end.log.at(-1);
  }

  async until(condition) {
    await this.end.until(() => condition(this));
    return this;
  }

  /** At once, within the room that there is. */
  send(text) {
    const bytes = typeof text === 'string' ? bytesOf(text) : text;
    assert(bytes.length <= this.room, 'the guest sends no more than there is room for');
    this.end.room = this.end.call(() => this.end.translator.backend.send(this.end.id, bytes));
    // They were valid during the call only.
    bytes.fill(0xff);
  }

  /** As there is room. */
  sendAll(bytes) {
    return this.end.send(bytes);
  }

  finish() {
    this.end.finish();
  }

  close() {
    this.end.closed(true);
  }
}

/** What a backend does wrong fails the test, even if the backend goes on. */
const strict = (event) =>
  function told(...values) {
    try {
      return event(...values);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
      throw error;
    }
  };

export class Guest {
  constructor(fetch, options = {}) {
    this.translator = new FakeTranslator();
    const events = Object.entries(this.translator.events).map(([name, event]) => [name, strict(event)]);
    this.backend = new FetchBackend(Object.fromEntries(events), { fetch, streams: false, ...options });
    this.translator.backend = this.backend;
  }

  start(address, port = 80, kind = 'stream') {
    return new Connection(this.translator.open(address, port, kind));
  }

  /** A connection to a name, which takes `window` bytes at first. */
  async open(name = 'example.org', window = Infinity) {
    const { addresses } = await this.backend.resolve(name, false);
    const connection = this.start(addresses[0]);
    connection.end.window = window;
    return connection.until(({ state }) => state === 'opened');
  }

  /** All that comes for a request which is the last. */
  async ask(text, name) {
    const connection = await this.open(name);
    connection.send(text);
    return connection.until(({ state }) => state === 'finished' || state === 'aborted');
  }
}

export const get = (path = '/', fields = '', host = 'example.org') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;
export const last = 'Connection: close\r\n';

/** A fetch() that remembers what it was asked for. */
export function recorder(answer = () => new Response('hi')) {
  const calls = [];
  const fetch = async (url, init) => {
    const body = init.body instanceof ReadableStream ? init.body : init.body?.slice();
    calls.push({ url, ...init, body, headers: Object.fromEntries(init.headers) });
    return answer(url, init);
  };
  return Object.assign(fetch, { calls });
}

export const untilAborted = (_, { signal }) =>
  new Promise((_, reject) => void signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

/** A response as fetch() makes it after a redirect, or from another origin. */
export const asFetched = (response, changes) =>
  Object.defineProperties(
    response,
    Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, { value }])),
  );
