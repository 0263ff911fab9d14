// SPDX-License-Identifier: MIT
// A socket that is reset (network/reset-socket.ts) is closed, whatever it was doing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { source } from './source.mjs';

const { resetSocket } = await source('network/reset-socket.ts');

const STATES = {
  'that still connects': async () => {},
  'that is open': async (socket) => once(socket, 'connect'),
  'with bytes that nobody takes': async (socket) => {
    await once(socket, 'connect');
    socket.write(Buffer.alloc(20_000_000));
  },
  'with bytes that nobody takes, and an end': async (socket) => {
    await once(socket, 'connect');
    socket.end(Buffer.alloc(20_000_000));
  },
  'whose end is on its way': async (socket) => {
    await once(socket, 'connect');
    await new Promise((resolve) => socket.write('x', resolve));
    socket.end();
  },
  'whose end has been sent': async (socket) => {
    await once(socket, 'connect');
    socket.end();
    await once(socket, 'finish');
  },
};

for (const [name, reach] of Object.entries(STATES))
  test(`a socket ${name}`, async (t) => {
    const accepted = [];
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      accepted.push(socket.on('error', () => {}));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const socket of accepted) socket.destroy();
      server.close();
    });
    const socket = connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true });
    const errors = [];
    socket.on('error', (error) => errors.push(error));
    await reach(socket);
    const closed = once(socket, 'close');
    resetSocket(socket);
    await closed;
    assert.deepEqual(errors, []);
  });
