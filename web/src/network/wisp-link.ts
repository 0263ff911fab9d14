// SPDX-License-Identifier: MIT
// One WebSocket to a server of Wisp, as a client: the handshake of version 1 or
// 2, then packets.

import type { Timers } from './timers.ts';
import {
  decodePasswordWanted,
  decodeServerAbilities,
  encodeClientCredit,
  encodeCredentials,
  type Credentials,
  type ServerAbilities,
} from './wisp-extensions.ts';
import { decode, encode, EXTENSION, PacketError, REASON, type Packet } from './wisp-packets.ts';

/** What is used of a WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export type MakeWebSocket = (url: string, protocols: string[]) => WebSocketLike;

/** What a server does. */
export interface ServerTraits {
  version: 1 | 2;
  datagrams: boolean;
  /** It says when a stream is connected. */
  confirms: boolean;
  /** Undefined: it lacks Auklet's extension. */
  abilities: ServerAbilities | undefined;
  /** DATA packets that each stream may send at first. */
  packets: number;
}

/** Why a link has ended. */
export interface LinkEnd {
  /** Another attempt would end in the same way. */
  refused: boolean;
  /**
   * The WebSocket did not open: there is no server, or it has refused us. One
   * that says nothing has not.
   */
  early: boolean;
  text: string;
}

export interface LinkEvents {
  ready(traits: ServerTraits): void;
  /** Of a stream, not before ready(). */
  packet(packet: Packet): void;
  /** Nothing comes after this. */
  ended(end: LinkEnd): void;
}

export interface LinkOptions {
  url: string;
  protocols: string[];
  makeWebSocket: MakeWebSocket;
  credentials: Credentials | undefined;
  /** Bytes that the server may send on a new stream. */
  credit: number;
  timers: Timers;
}

/** Milliseconds until the server must have answered all of the handshake. */
const HANDSHAKE = 15_000;

const REFUSALS: Record<number, string> = {
  [REASON.extensions]: 'its extensions do not fit ours',
  [REASON.password]: 'the name or the password is wrong',
  [REASON.noPassword]: 'it wants a name and a password',
};

export class WispLink {
  /** Messages that have come. */
  received = 0;
  private readonly socket: WebSocketLike;
  private readonly options: LinkOptions;
  private readonly events: LinkEvents;
  private readonly timer: unknown;
  private state: 'connecting' | 'greeting' | 'answered' | 'ready' | 'ended' = 'connecting';
  private offered: Omit<ServerTraits, 'packets'> = {
    version: 1,
    datagrams: true,
    confirms: false,
    abilities: undefined,
  };

  /** @throws what WebSocket throws of an address that is none. */
  constructor(options: LinkOptions, events: LinkEvents) {
    this.options = options;
    this.events = events;
    const socket = options.makeWebSocket(options.url, options.protocols);
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      if (this.state === 'connecting') this.state = 'greeting';
    };
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onclose = () => {
      const early = this.state === 'connecting';
      // Browsers do not say why there was no connection.
      const text = early
        ? 'the relay does not answer, or refuses this address'
        : 'the connection to the relay has ended';
      this.end(false, text, early);
    };
    // onclose follows.
    socket.onerror = () => {};
    this.timer = options.timers.set(() => this.fail('the relay does not answer'), HANDSHAKE);
  }

  /** Bytes that wait for the network. */
  get waiting(): number {
    return this.socket.bufferedAmount;
  }

  send(packet: Packet): void {
    if (this.state !== 'ended') this.socket.send(encode(packet));
  }

  /** Ends it without a word to the owner. */
  close(): void {
    this.leave();
  }

  private receive(data: unknown): void {
    if (this.state === 'ended') return;
    this.received += 1;
    try {
      if (!(data instanceof ArrayBuffer)) throw new PacketError('a message of text');
      this.handle(decode(new Uint8Array(data)));
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.fail(`the relay has sent what is not Wisp: ${error.message}`);
    }
  }

  private handle(packet: Packet): void {
    if (this.state === 'ready') return this.handleReady(packet);
    if (packet.type === 'close' && packet.stream === 0) return this.refuse(packet.reason);
    if (packet.type === 'continue' && packet.stream === 0) {
      this.options.timers.clear(this.timer);
      this.state = 'ready';
      this.events.ready({ ...this.offered, packets: packet.count });
      return;
    }
    if (packet.type !== 'info' || this.state === 'answered') throw new PacketError(`${packet.type} in the handshake`);
    this.answer(packet);
  }

  private handleReady(packet: Packet): void {
    switch (packet.type) {
      case 'continue':
        if (packet.stream !== 0) this.events.packet(packet);
        return;
      case 'close':
        if (packet.stream === 0) this.end(false, `the relay has closed the connection (${packet.reason})`);
        else this.events.packet(packet);
        return;
      case 'data':
        this.events.packet(packet);
        return;
      case 'finish':
      case 'listen':
      case 'accept':
        if (this.offered.abilities === undefined) throw new PacketError(`${packet.type} without the extension`);
        this.events.packet(packet);
        return;
      case 'connect':
      case 'info':
        throw new PacketError(`${packet.type} from a server`);
    }
  }

  private answer({ major, extensions }: Packet & { type: 'info' }): void {
    if (major < 2) throw new PacketError(`INFO of version ${major}`);
    const answers = new Map<number, Uint8Array>();
    const has = (id: number) => {
      if (!extensions.has(id)) return false;
      answers.set(id, new Uint8Array(0));
      return true;
    };
    this.offered = {
      version: 2,
      datagrams: has(EXTENSION.udp),
      confirms: has(EXTENSION.confirmation),
      abilities: undefined,
    };
    const password = extensions.get(EXTENSION.password);
    if (password !== undefined) {
      const { credentials } = this.options;
      if (credentials !== undefined) answers.set(EXTENSION.password, encodeCredentials(credentials));
      else if (decodePasswordWanted(password)) return this.refuse(REASON.noPassword);
    }
    const own = extensions.get(EXTENSION.auklet);
    if (own !== undefined) {
      this.offered.abilities = decodeServerAbilities(own);
      if (this.offered.abilities !== undefined) answers.set(EXTENSION.auklet, encodeClientCredit(this.options.credit));
    }
    this.state = 'answered';
    this.send({ type: 'info', major: 2, minor: 0, extensions: answers });
  }

  private refuse(reason: number): void {
    this.end(true, `the relay does not want us: ${REFUSALS[reason] ?? `reason ${reason}`}`);
  }

  /** The server is not what it should be. */
  fail(text: string): void {
    if (this.state !== 'connecting' && this.state !== 'ended')
      this.send({ type: 'close', stream: 0, reason: REASON.client });
    this.end(false, text);
  }

  private end(refused: boolean, text: string, early = false): void {
    if (this.state === 'ended') return;
    this.leave();
    this.events.ended({ refused, early, text });
  }

  private leave(): void {
    this.options.timers.clear(this.timer);
    this.state = 'ended';
    const { socket } = this;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    // A handler must stay: one that still connects reports being closed.
    socket.onerror = () => {};
    socket.close();
  }
}
