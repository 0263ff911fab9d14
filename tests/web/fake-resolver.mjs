// SPDX-License-Identifier: MIT
// Answers of DNS, honest or not, and a resolver that gives them, by UDP and by TCP.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

export const TYPES = { A: 1, CNAME: 5, AAAA: 28, TXT: 16 };
export const V6 = [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1];
export const NO_SUCH_NAME = { code: 3 };
export const FAILURE = { code: 2 };
export const TRUNCATED = { flags: 0x82 };

/** The answer to a question, with records [type, seconds, bytes]. Names in it are pointers to the question's. */
export function answerTo(question, records, { code = 0, flags = 0x80 } = {}) {
  const bytes = [...question];
  bytes[2] |= flags;
  bytes[3] = 0x80 | code;
  bytes[6] = records.length >> 8;
  bytes[7] = records.length & 255;
  for (const [type, seconds, data] of records)
    bytes.push(0xc0, 12, 0, TYPES[type], 0, 1, 0, 0, seconds >> 8, seconds & 255, 0, data.length, ...data);
  return Uint8Array.from(bytes);
}

export function nameIn(question) {
  const labels = [];
  for (let at = 12; question[at] !== 0; at += question[at] + 1)
    labels.push(String.fromCharCode(...question.subarray(at + 1, at + 1 + question[at])));
  return labels.join('.');
}

/**
 * Listens at a port of loopback. `table` gives the messages that answer a question: by UDP each as a datagram, by TCP the
 * first one.
 */
export async function resolverFor(t, table) {
  const asked = [];
  const answers = (question, way) => {
    asked.push(`${nameIn(question)} ${way}`);
    return table(nameIn(question), question, way);
  };
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const [answer] = answers(received.subarray(2), 'tcp');
      if (answer === undefined) return;
      socket.end(Buffer.from([answer.length >> 8, answer.length & 255, ...answer]));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const socket = createSocket('udp4', (message, { port: from, address }) => {
    for (const answer of answers(message, 'udp')) socket.send(answer, from, address);
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => {
    socket.close();
    server.close();
  });
  return { address: '127.0.0.1', port, asked };
}
