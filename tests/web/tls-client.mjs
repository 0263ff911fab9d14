// SPDX-License-Identifier: MIT
// Guests whose https ends in the page, and clients of TLS in them: those of Node.js, or bytes as a test likes.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { Guest } from './fake-guest.mjs';
import { source } from './source.mjs';

const { makeAuthority, toPem } = await source('network/certificate.ts');
const { Interceptor } = await source('network/interception.ts');

const build = resolve(process.env.AUKLET_BUILD ?? join(import.meta.dirname, '../../build'));
const path = join(build, 'tls/auklet-tls.wasm');
if (!existsSync(path)) throw new Error(`${path} is missing; run: ./auklet build`);
export const module = await WebAssembly.compile(readFileSync(path));

/** A guest, and what it trusts. */
export async function intercepted(fetch, options) {
  const guest = new Guest(fetch, options);
  const authority = await makeAuthority();
  const interceptor = await Interceptor.make({ authority, module });
  guest.backend.intercept(interceptor);
  return { guest, interceptor, ca: toPem(authority.certificate) };
}

/** A connection of the guest to port 443 of a name. */
export async function openHttps(guest, name = 'example.org', window = Infinity) {
  const { addresses } = await guest.backend.resolve(name, false);
  const connection = guest.start(addresses[0], 443);
  connection.end.window = window;
  return connection.until(({ state }) => state !== undefined);
}

/** The guest's end as a stream. It reads what it has room for, and its end is that of one direction. */
export function streamOf({ end }) {
  let seen = 0;
  const stream = new Duplex({
    read() {},
    async write(bytes, _, done) {
      await end.send(bytes);
      done();
    },
    final(done) {
      if (!end.isOver) end.finish();
      done();
    },
  });
  const look = () => {
    while (seen < end.received.length) stream.push(Buffer.from(end.received[seen++]));
    if (end.isOver) stream.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    else if (end.log.includes('finished')) stream.push(null);
    else end.waiting.push(look);
  };
  look();
  return stream;
}

/** A client of Node.js on a connection, after its handshake. */
export async function secure(connection, options) {
  const socket = connect({ socket: streamOf(connection), servername: 'example.org', ...options });
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/** All that comes until the end. Rejects if the connection is cut off. */
export async function textOf(socket) {
  let text = '';
  for await (const bytes of socket) text += bytes.toString('latin1');
  return text;
}
