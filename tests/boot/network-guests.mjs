// SPDX-License-Identifier: MIT
// Machines with a network, and servers of this computer for them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
export const MIB = 1 << 20;
export const GATEWAY = '10.0.2.2';
export const text = (bytes) => new TextDecoder().decode(bytes);

/** A machine, and functions that run a line of shell. */
export async function start(suite, network, options) {
  const machine = await startMachine({
    exec: true,
    memory: 256,
    ...(network && { network: { type: 'nat', ...network } }),
    ...options,
  });
  suite.after(() => machine.dispose());
  await machine.started;
  const result = async (line, options) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line], options);
    return { status, stdout: text(stdout), stderr: text(stderr), bytes: stdout };
  };
  const run = async (line, options) => {
    const { status, stdout, stderr } = await result(line, options);
    assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
    return stdout;
  };
  return { machine, run, result };
}

/** Listens on loopback, and returns the port. */
export async function listen(suite, server, host = '127.0.0.1') {
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.listen({ port: 0, host, backlog: 2048 });
  await once(server, 'listening');
  suite.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

/** The bytes that a server gets on one connection, and then answers. */
export const gathers = (answer) =>
  createServer({ allowHalfOpen: true }, (socket) => {
    const parts = [];
    socket.on('data', (bytes) => parts.push(bytes));
    socket.on('end', () => socket.end(answer(Buffer.concat(parts))));
  });
