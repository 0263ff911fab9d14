// SPDX-License-Identifier: MIT
// One client of a relay: the handshake of Wisp 1 or 2 as a server, and the
// streams.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { parseAddress } from '../network/address.ts';
import type { Timers } from '../network/timers.ts';
import {
  decodeClientCredit,
  decodeCredentials,
  encodeServerAbilities,
  type Credentials,
} from '../network/wisp-extensions.ts';
import {
  decode,
  encode,
  EXTENSION,
  FIRST_SERVER_STREAM,
  PacketError,
  REASON,
  type Packet,
} from '../network/wisp-packets.ts';
import { NoWay, type Destinations, type Way } from './destination.ts';
import {
  FULL,
  HANDSHAKE,
  MESSAGE_COST,
  MOST_LOOKUPS,
  MOST_SENDING,
  PACKETS,
  ROOM_AGAIN,
  ROUND,
  type RelayLimits,
  SILENT_ROUNDS,
} from './limits.ts';
import type { Metrics } from './metrics.ts';
import { listenFor, type PortOptions, type RelayPort } from './port.ts';
import type { Stream, StreamOwner } from './stream.ts';
import { TcpStream } from './tcp-stream.ts';
import { UdpStream } from './udp-stream.ts';

/** What the clients of a relay share. */
export interface ClientOptions {
  limits: RelayLimits;
  metrics: Metrics;
  timers: Timers;
  destinations: Destinations;
  datagrams: boolean;
  /** Ports that clients may listen on. Undefined: none. */
  ports: PortOptions | undefined;
  /** Passwords by names. Undefined: none is wanted. */
  passwords: ReadonlyMap<string, string> | undefined;
}

const digest = (text: string) => createHash('sha256').update(text).digest();
/** Takes as long for every wrong one. */
export const isSameSecret = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));

export class RelayClient implements StreamOwner {
  readonly limits: RelayLimits;
  readonly metrics: Metrics;
  readonly timers: Timers;
  extended = false;
  confirms = false;
  firstCredit = 0;
  isFull = false;
  waiting = 0;
  private readonly options: ClientOptions;
  private readonly socket: WebSocket;
  private readonly left: () => void;
  private readonly streams = new Map<number, { stream: Stream; rounds: number; isDatagrams: boolean }>();
  private readonly ports = new Map<number, RelayPort>();
  private state: 'greeting' | 'ready' | 'gone' = 'greeting';
  private datagrams: boolean;
  private sending = 0;
  private moved = 0;
  private lingering = 0;
  private lookups = 0;
  private nextAccepted = FIRST_SERVER_STREAM;
  /** Rounds in which nothing has come from it or gone to it. */
  private silent = 0;
  private readonly timer: unknown;

  /** `left` is called once, when the client is gone. */
  constructor(socket: WebSocket, options: ClientOptions, left: () => void) {
    const { limits, metrics, timers } = options;
    this.limits = limits;
    this.metrics = metrics;
    this.timers = timers;
    this.options = options;
    this.socket = socket;
    this.left = left;
    this.datagrams = options.datagrams;
    socket.on('message', (data, isBinary) => this.receive(data, isBinary));
    socket.on('pong', () => (this.silent = 0));
    // 'close' follows.
    socket.on('error', () => {});
    socket.on('close', () => this.leave());
    this.timer = timers.set(() => this.drop(), HANDSHAKE);
  }

  // ---- the handshake

  /** Says the first word, which is the server's. */
  start(version: 1 | 2): void {
    if (version === 2) this.greet();
    else if (this.options.passwords === undefined) this.begin();
    // Version 1 has no word for a password.
    else this.refuse(REASON.noPassword);
  }

  private greet(): void {
    const { datagrams, ports, passwords, destinations } = this.options;
    const none = new Uint8Array(0);
    const extensions = new Map<number, Uint8Array>([
      [EXTENSION.confirmation, none],
      [
        EXTENSION.auklet,
        encodeServerAbilities({
          listens: ports !== undefined,
          resolves: destinations.resolver !== undefined,
          answers: true,
        }),
      ],
    ]);
    if (datagrams) extensions.set(EXTENSION.udp, none);
    if (passwords !== undefined) extensions.set(EXTENSION.password, Uint8Array.of(1));
    this.send({ type: 'info', major: 2, minor: 0, extensions });
  }

  private answer({ major, extensions }: Packet & { type: 'info' }): void {
    if (major !== 2) return this.refuse(REASON.extensions);
    const { passwords } = this.options;
    if (passwords !== undefined) {
      const given = extensions.get(EXTENSION.password);
      if (given === undefined) return this.refuse(REASON.noPassword);
      // One comparison is made for unknown names, too.
      const isRight = ({ name, password }: Credentials): boolean => {
        const wanted = passwords.get(name);
        return isSameSecret(password, wanted ?? '') && wanted !== undefined;
      };
      if (!decodeCredentials(given).some(isRight)) return this.refuse(REASON.password);
    }
    this.confirms = extensions.has(EXTENSION.confirmation);
    this.datagrams &&= extensions.has(EXTENSION.udp);
    const own = extensions.get(EXTENSION.auklet);
    const credit = own === undefined ? undefined : decodeClientCredit(own);
    this.extended = credit !== undefined;
    this.firstCredit = credit ?? 0;
    this.begin();
  }

  private begin(): void {
    this.timers.clear(this.timer);
    this.state = 'ready';
    this.send({ type: 'continue', stream: 0, count: PACKETS });
  }

  private refuse(reason: number): void {
    this.metrics.add('refused_total', 1, `reason="${reason}"`);
    this.send({ type: 'close', stream: 0, reason });
    this.close();
  }

  // ---- packets

  private receive(data: Buffer, isBinary: boolean): void {
    if (this.state === 'gone') return;
    this.silent = 0;
    try {
      if (!isBinary) throw new PacketError('a message of text');
      this.handle(decode(data));
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.refuse(REASON.invalid);
    }
  }

  private handle(packet: Packet): void {
    if (this.state === 'greeting') {
      if (packet.type === 'info') return this.answer(packet);
      if (packet.type === 'close') return this.close();
      throw new PacketError(`${packet.type} in the handshake`);
    }
    if (packet.type === 'info' || packet.type === 'accept') throw new PacketError(`${packet.type} from a client`);
    const { stream: number } = packet;
    const known = this.streams.get(number);
    switch (packet.type) {
      case 'connect':
        return this.open(packet);
      case 'listen':
        if (!this.extended) throw new PacketError('listen without the extension');
        return this.listen(number, packet.port);
      // Those of streams that have just been closed are as they should be.
      case 'data':
        return known?.stream.data(packet.bytes);
      case 'continue':
        if (number === 0 && this.extended) this.send({ type: 'continue', stream: 0, count: PACKETS });
        return known?.stream.credit(packet.count);
      case 'finish':
        if (!this.extended) throw new PacketError('finish without the extension');
        return known?.stream.finish();
      case 'close':
        if (number === 0) return this.close();
        this.ports.get(number)?.close();
        this.ports.delete(number);
        // Some clients give no reason when all is well.
        return known?.stream.closed(packet.reason === REASON.voluntary || packet.reason === REASON.unknown);
    }
  }

  /** Whether a number is free for a client to use. */
  private isFree(number: number): boolean {
    return number < FIRST_SERVER_STREAM && !this.streams.has(number) && !this.ports.has(number);
  }

  private open({ stream: number, kind, host, port }: Packet & { type: 'connect' }): void {
    if (!this.isFree(number)) throw new PacketError(`stream ${number} twice`);
    const refuse = (reason: number) => {
      this.metrics.add('closed_total', 1, `reason="${reason}"`);
      this.send({ type: 'close', stream: number, reason });
    };
    if (this.streams.size >= this.limits.streams || this.isSpent) return refuse(REASON.throttled);
    const isDatagrams = kind === 'datagrams';
    if (isDatagrams && !this.datagrams) return refuse(REASON.blocked);
    const stream = isDatagrams ? new UdpStream(this, number) : new TcpStream(this, number);
    this.add(number, stream, isDatagrams);
    stream.open(host, port);
  }

  private add(number: number, stream: Stream, isDatagrams: boolean): void {
    this.streams.set(number, { stream, rounds: 0, isDatagrams });
    this.metrics.add('streams');
    this.metrics.add('streams_total', 1, `kind="${isDatagrams ? 'udp' : 'tcp'}"`);
  }

  private listen(number: number, port: number): void {
    const { ports } = this.options;
    if (!this.isFree(number)) throw new PacketError(`stream ${number} twice`);
    const refuse = (reason: number) => {
      this.ports.delete(number);
      this.send({ type: 'close', stream: number, reason });
    };
    if (ports === undefined) return refuse(REASON.blocked);
    if (this.ports.size >= this.limits.listeners) return refuse(REASON.throttled);
    this.ports.set(
      number,
      listenFor(ports, port, this.metrics, {
        listens: (port) => this.send({ type: 'listen', stream: number, port }),
        failed: refuse,
        accepted: (socket, { host, port }) => {
          if (this.streams.size >= this.limits.streams || this.isSpent) socket.resetAndDestroy();
          else this.accept(socket, { listener: number, host, port });
        },
      }),
    );
  }

  private accept(socket: Socket, from: { listener: number; host: string; port: number }): void {
    do this.nextAccepted = this.nextAccepted === 2 ** 32 - 1 ? FIRST_SERVER_STREAM : this.nextAccepted + 1;
    while (this.streams.has(this.nextAccepted));
    const number = this.nextAccepted;
    const stream = new TcpStream(this, number);
    this.add(number, stream, false);
    this.send({ type: 'accept', stream: number, ...from });
    stream.accept(socket);
  }

  // ---- for streams

  /** A lookup goes on when its stream is closed, and counts until then. */
  async find(host: string, port: number): Promise<Way> {
    const { destinations } = this.options;
    if (parseAddress(host) !== undefined) return destinations.find(host, port);
    if (this.lookups >= MOST_LOOKUPS) throw new NoWay(REASON.throttled);
    this.lookups += 1;
    try {
      return await destinations.find(host, port);
    } finally {
      this.lookups -= 1;
    }
  }

  send(packet: Packet): void {
    if (this.state === 'gone') return;
    const bytes = encode(packet);
    const cost = bytes.length + MESSAGE_COST;
    this.sending += cost;
    // Far sides wait for room, but answers do not: it asks and does not read.
    if (this.sending > MOST_SENDING) return queueMicrotask(() => this.drop());
    this.metrics.add('waiting_bytes', bytes.length, 'direction="down"');
    if (this.sending >= FULL) this.isFull = true;
    // It is called also when the WebSocket ends.
    this.socket.send(bytes, { binary: true }, () => {
      this.sending -= cost;
      this.silent = 0;
      this.metrics.add('waiting_bytes', -bytes.length, 'direction="down"');
      if (this.isFull && this.sending <= ROOM_AGAIN && this.state !== 'gone') this.roomAgain();
    });
  }

  private roomAgain(): void {
    this.isFull = false;
    for (const [number, entry] of [...this.streams]) {
      if (this.isFull) return;
      // Those that have had their turn come last the next time.
      this.streams.delete(number);
      this.streams.set(number, entry);
      entry.stream.roomAgain();
    }
  }

  hold(count: number): boolean {
    if (count > 0 && this.waiting + count > this.limits.waitingBytes) return false;
    this.waiting += count;
    this.metrics.add('waiting_bytes', count, 'direction="up"');
    return true;
  }

  private get isSpent(): boolean {
    return this.limits.clientBytes > 0 && this.moved >= this.limits.clientBytes;
  }

  count(direction: 'up' | 'down', bytes: number): boolean {
    this.moved += bytes;
    this.metrics.add('bytes_total', bytes, `direction="${direction}"`);
    return !this.isSpent;
  }

  release(number: number): void {
    if (this.streams.delete(number)) this.metrics.add('streams', -1);
  }

  linger(count: 1 | -1): boolean {
    if (count > 0 && this.lingering >= this.limits.streams) return false;
    this.lingering += count;
    return true;
  }

  // ---- time and the end

  /** A look at what is idle, every ROUND milliseconds. */
  round(): void {
    if (this.state === 'gone') return;
    if (this.silent++ >= SILENT_ROUNDS) return this.drop();
    this.socket.ping();
    const { idleSeconds, datagramSeconds } = this.limits;
    for (const entry of [...this.streams.values()]) {
      entry.rounds = entry.stream.isIdle ? entry.rounds + 1 : 0;
      entry.stream.isIdle = true;
      const seconds = entry.isDatagrams ? datagramSeconds : idleSeconds;
      if (entry.rounds * ROUND >= seconds * 1000) entry.stream.end(REASON.idle);
    }
  }

  /** Ends it after what was sent. */
  close(): void {
    this.leave();
    this.socket.close();
  }

  /** Ends it at once. */
  drop(): void {
    this.leave();
    this.socket.terminate();
  }

  private leave(): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.timers.clear(this.timer);
    for (const { stream } of [...this.streams.values()]) stream.closed(false);
    for (const port of this.ports.values()) port.close();
    this.ports.clear();
    this.left();
  }
}
