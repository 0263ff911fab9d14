// SPDX-License-Identifier: MIT
// Servers in a guest that say what a test has them say, over streams in memory.

import assert from 'node:assert/strict';
import { source } from './source.mjs';

const { GuestHttpError } = await source('network/guest-http-error.ts');

export const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'latin1'));

/** The server's end of a connection. */
export class Peer {
  /** What has come and was not asked for. */
  text = '';
  #reader;
  #writer;

  constructor({ readable, writable }) {
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    this.closed = this.#writer.closed.then(
      () => 'closed',
      () => 'cut off',
    );
    this.#reader.closed.catch(() => {});
  }

  /** Reads until the pattern has come, and takes all up to its end. */
  async until(pattern) {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const taken = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return taken;
      }
      const bytes = await this.read();
      if (bytes === undefined) throw new Error(`the client has ended after ${JSON.stringify(this.text)}`);
      this.text += Buffer.from(bytes).toString('latin1');
    }
  }

  /** The next bytes; undefined at the end. */
  async read() {
    return (await this.#reader.read()).value;
  }

  /** The head of the next request. */
  request() {
    return this.until(/\r\n\r\n/);
  }

  /** Resolves when the client has taken it. */
  async write(...parts) {
    for (const part of parts) await this.#writer.write(typeof part === 'string' ? bytesOf(part) : part);
  }

  async end() {
    await this.#writer.close();
  }
}

/** Two ends of a connection, in which nothing waits that nobody reads. */
function pair() {
  const [up, down] = [new TransformStream(), new TransformStream()];
  return [
    { readable: down.readable, writable: up.writable },
    { readable: up.readable, writable: down.writable },
  ];
}

/** Serves each connection by `script(peer, number, port)`. What that throws is in `errors`. */
export function fakeServer(script) {
  const server = {
    count: 0,
    errors: [],
    connect: async (port) => {
      const [client, end] = pair();
      script(new Peer(end), ++server.count, port).catch((error) => server.errors.push(error));
      return client;
    },
  };
  return server;
}

export const ok = (text) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

/** Every promise that can go on has gone on. */
export const settled = () => new Promise((resolve) => void setImmediate(resolve));
export const request = (path = '/', init = {}) => new Request(`http://guest:8080${path}`, init);

/** That it fails so, as an error of this class. */
export async function fails(promise, code, message = /./) {
  await assert.rejects(promise, (error) => {
    assert(error instanceof GuestHttpError, error);
    assert.equal(error.code, code, error);
    assert.match(error.message, message);
    return true;
  });
}
