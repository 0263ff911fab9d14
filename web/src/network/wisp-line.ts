// SPDX-License-Identifier: MIT
// What the streams of Wisp share, as a client: one WebSocket, which is made
// anew when it ends. Its streams are reset then.

import { parseAddress } from './address.ts';
import type { FlowError } from './backend.ts';
import { isResolver } from './policy.ts';
import { checkRelayAddress } from './relay-address.ts';
import { RelayWatch } from './relay-watch.ts';
import { systemTimers, type Timers } from './timers.ts';
import { encodeCredentials, type Credentials } from './wisp-extensions.ts';
import { WispContact, type Known } from './wisp-contact.ts';
import { FIRST_CREDIT, type Line, type WispFlow } from './wisp-flow.ts';
import type { LinkEnd, MakeWebSocket, ServerTraits, WebSocketLike } from './wisp-link.ts';
import { RelayListener, type Acceptor } from './wisp-listener.ts';
import { FIRST_SERVER_STREAM, REASON, type Packet } from './wisp-packets.ts';

/** What the relay is at the moment. */
export type RelayState = 'connecting' | 'connected' | 'waiting' | 'refused' | 'closed';

export interface LineOptions {
  /** ws: or wss:, with a path that ends in "/". */
  url: string;
  credentials?: Credentials | undefined;
  /**
   * An address for the guest's questions to 10.0.2.3 and fd00::3, unless the
   * relay answers them itself.
   */
  resolver: string;
  /** Told of each state, with a sentence for people if something is wrong. */
  onState?(state: RelayState, text: string): void;
  /** For tests, and for engines without WebSocket. */
  makeWebSocket?: MakeWebSocket;
  timers?: Timers;
  /** Tells when this computer is "online" again. Default: the engine. */
  world?: Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;
}

/** Streams of all kinds, also of those that are not yet connected. */
const MOST_FLOWS = 2048;
const MOST_LISTENERS = 64;
/** Bytes in all queues together. */
const MOST_HELD = 128 * 1024 * 1024;
/** Bytes of a stream that may be on their way to us, and of all together. */
const MOST_WINDOW = 1024 * 1024;
const ALL_WINDOWS = 64 * 1024 * 1024;
/** A WebSocket is full with this many bytes, and has room again with fewer. */
const FULL = 4 * 1024 * 1024;
const ROOM_AGAIN = 2 * 1024 * 1024;
/** A WebSocket does not tell when it has sent, so a full one is looked at. */
const LOOK_AGAIN = 4;
/** Milliseconds between attempts: the first, doubled up to the last. */
const FIRST_WAIT = 250;
const LAST_WAIT = 10_000;
/** Milliseconds until the relay is asked again for a port that it had given. */
const LISTEN_AGAIN = 5000;
/** Bytes for a relay that asks and does not read, with which it is given up. */
const MOST_SENDING = 64 * 1024 * 1024;

const DNS_PORT = 53;

function isResolverLiteral(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && isResolver(address);
}

export function globalWebSocket(url: string, protocols: string[]): WebSocketLike {
  if (typeof WebSocket === 'undefined') throw new TypeError('this engine has no WebSocket');
  return new WebSocket(url, protocols) as unknown as WebSocketLike;
}

interface Waiting {
  flow: WispFlow;
  host: string;
  port: number;
}

export class WispLine implements Line {
  readonly timers: Timers;
  private readonly options: LineOptions;
  /** By their numbers at the relay. */
  private readonly streams = new Map<number, WispFlow>();
  private readonly listeners = new Map<number, RelayListener>();
  /** What came while there was no link. */
  private waiting: Waiting[] = [];
  private readonly wantRoom = new Set<WispFlow>();
  private link: WispContact | undefined;
  private known: ServerTraits | undefined;
  private state: RelayState = 'waiting';
  private reason = '';
  private readonly contacts: Known = { speaks2: false, isBare: false };
  private wait = FIRST_WAIT;
  private retry: unknown;
  private lookAgain: unknown;
  private isFull = false;
  private nextStream = 1;
  private held = 0;
  private readonly whenReady = new Set<() => void>();
  private readonly watch: RelayWatch;
  private readonly world: LineOptions['world'];

  /** @throws TypeError or RangeError if an option is wrong. */
  constructor(options: LineOptions) {
    checkRelayAddress(options.url);
    if (options.credentials !== undefined) encodeCredentials(options.credentials);
    this.options = options;
    this.timers = options.timers ?? systemTimers;
    this.watch = new RelayWatch(this.timers, {
      received: () => this.link?.received ?? 0,
      waiting: () => this.link?.waiting ?? 0,
      ask: () => this.send({ type: 'continue', stream: 0, count: 0 }),
      gone: () => this.link?.fail('the relay no longer answers'),
    });
    // Node.js has no such events.
    this.world = options.world ?? ('addEventListener' in globalThis ? globalThis : undefined);
    // It throws if the engine does not take the address.
    this.attempt();
    this.world?.addEventListener('online', this.isOnline);
  }

  // ---- the link

  private attempt(): void {
    const { url, credentials } = this.options;
    this.setState('connecting', '');
    this.link = new WispContact(
      {
        url,
        makeWebSocket: this.options.makeWebSocket ?? globalWebSocket,
        credentials,
        credit: FIRST_CREDIT,
        timers: this.timers,
      },
      this.contacts,
      {
        ready: (traits) => this.ready(traits),
        packet: (packet) => this.handle(packet),
        ended: (end) => this.ended(end),
      },
    );
  }

  private ready(traits: ServerTraits): void {
    this.known = traits;
    this.wait = FIRST_WAIT;
    this.setState('connected', '');
    if (traits.abilities?.answers === true) this.watch.start();
    const { waiting } = this;
    this.waiting = [];
    for (const { flow, host, port } of waiting) if (!flow.isGone) this.connect(flow, host, port);
    for (const [number, listener] of [...this.listeners]) this.listenAgain(number, listener);
    this.wake();
  }

  private ended(end: LinkEnd): void {
    this.link = undefined;
    this.known = undefined;
    this.watch.stop();
    this.timers.clear(this.lookAgain);
    this.lookAgain = undefined;
    this.isFull = false;
    this.wantRoom.clear();
    const { waiting } = this;
    this.waiting = [];
    const streams = [...this.streams.values()];
    this.streams.clear();
    this.setState(end.refused ? 'refused' : 'waiting', end.text);
    if (!end.refused) {
      this.retry = this.timers.set(() => this.attempt(), this.wait);
      this.wait = Math.min(this.wait * 2, LAST_WAIT);
    }
    for (const { flow } of waiting) flow.fail(this.whyNot());
    for (const flow of streams) flow.lost();
    for (const listener of [...this.listeners.values()]) if (end.refused) listener.refused(end.text);
    this.wake();
  }

  private readonly isOnline = (): void => {
    if (this.known?.abilities?.answers === true) this.watch.doubt();
    if (this.state !== 'waiting') return;
    this.timers.clear(this.retry);
    this.wait = FIRST_WAIT;
    this.attempt();
  };

  private whyNot(): FlowError {
    return this.state === 'refused' ? 'prohibited' : 'unreachable';
  }

  private wake(): void {
    const waiting = [...this.whenReady];
    this.whenReady.clear();
    for (const act of waiting) act();
  }

  private setState(state: RelayState, text: string): void {
    if (this.state === 'closed') return;
    this.state = state;
    this.reason = text;
    this.options.onState?.(state, text);
  }

  /** What the relay does. Undefined: it is not there, and is not awaited. */
  async settled(): Promise<ServerTraits | undefined> {
    if (this.state === 'connecting') await new Promise<void>((resolve) => this.whenReady.add(resolve));
    return this.known;
  }

  // ---- for flows

  get traits(): ServerTraits {
    // Only a flow that has ended is asked for without a link.
    return this.known ?? { version: 1, datagrams: false, confirms: false, abilities: undefined, packets: 0 };
  }

  get full(): boolean {
    return this.isFull;
  }

  get window(): number {
    return Math.max(FIRST_CREDIT, Math.min(MOST_WINDOW, Math.floor(ALL_WINDOWS / Math.max(1, this.streams.size))));
  }

  send(packet: Packet): void {
    if (this.link === undefined) return;
    this.link.send(packet);
    const { link } = this;
    // This may be a call of the guest's, in which it hears nothing.
    if (link.waiting > MOST_SENDING) queueMicrotask(() => link.fail('the relay does not read what is sent to it'));
    if (this.isFull || packet.type !== 'data' || this.link.waiting < FULL) return;
    this.isFull = true;
    this.lookAgain = this.timers.set(() => this.look(), LOOK_AGAIN);
  }

  private look(): void {
    if (this.link === undefined) return;
    if (this.link.waiting > ROOM_AGAIN) {
      this.lookAgain = this.timers.set(() => this.look(), LOOK_AGAIN);
      return;
    }
    this.isFull = false;
    const flows = [...this.wantRoom];
    this.wantRoom.clear();
    for (const flow of flows) flow.roomAgain();
  }

  waitForRoom(flow: WispFlow): void {
    this.wantRoom.add(flow);
  }

  hold(count: number): boolean {
    if (count > 0 && this.held + count > MOST_HELD) return false;
    this.held += count;
    return true;
  }

  release(flow: WispFlow): void {
    this.wantRoom.delete(flow);
    if (this.streams.get(flow.number) === flow) this.streams.delete(flow.number);
  }

  /** Opens a flow, for a guest or for its questions for names. */
  start(flow: WispFlow, host: string, port: number): void {
    if (this.streams.size + this.waiting.length >= MOST_FLOWS) queueMicrotask(() => flow.fail('unreachable'));
    else if (this.known !== undefined) this.connect(flow, host, port);
    else if (this.state === 'connecting') {
      this.waiting = this.waiting.filter((each) => !each.flow.isGone);
      this.waiting.push({ flow, host, port });
    } else {
      const error = this.whyNot();
      queueMicrotask(() => flow.fail(error));
    }
  }

  private connect(flow: WispFlow, host: string, port: number): void {
    const { datagrams, abilities } = this.known!;
    if (flow.kind === 'datagrams' && !datagrams) {
      queueMicrotask(() => flow.fail('prohibited'));
      return;
    }
    const asked = port === DNS_PORT && isResolverLiteral(host) && abilities?.resolves !== true;
    const number = this.freeNumber();
    this.streams.set(number, flow);
    flow.connect(this, number, asked ? this.options.resolver : host, port);
  }

  private freeNumber(): number {
    // Numbers of the last link are not used at once, either: flows of that may
    // still be read.
    do {
      this.nextStream = this.nextStream + 1 < FIRST_SERVER_STREAM ? this.nextStream + 1 : 1;
    } while (this.streams.has(this.nextStream) || this.listeners.has(this.nextStream));
    return this.nextStream;
  }

  private handle(packet: Packet): void {
    // WispLink gives nothing that belongs to no stream.
    if (packet.type === 'info') return;
    if (packet.type === 'accept') return this.accepted(packet);
    const listener = this.listeners.get(packet.stream);
    if (listener === undefined) {
      // Packets for streams that have just been closed are as they should be.
      this.streams.get(packet.stream)?.handle(packet);
    } else if (packet.type === 'listen') listener.listens(packet.port);
    else if (packet.type === 'close') this.notListening(packet.stream, listener, packet.reason);
  }

  // ---- for ports of the relay's

  /**
   * Asks for a port of the relay's. 0: any that is free. Connections there go
   * to `accept`. When the relay comes back, it is asked for the same port.
   *
   * @throws RangeError if the port is none, Error if the relay does not listen.
   */
  async listen(port: number, accept: Acceptor): Promise<RelayListener> {
    if (!Number.isInteger(port) || port < 0 || port > 65535)
      throw new RangeError(`a relay listens on ports from 0 to 65535, not on ${port}`);
    const traits = await this.settled();
    if (traits === undefined) throw new Error(`the relay cannot listen: ${this.reason}`);
    if (traits.abilities?.listens !== true) throw new Error('this relay does not listen for others');
    if (this.listeners.size >= MOST_LISTENERS) throw new Error(`more than ${MOST_LISTENERS} ports of the relay`);
    const number = this.freeNumber();
    const listener = new RelayListener(port, accept, () => {
      if (this.listeners.delete(number)) this.send({ type: 'close', stream: number, reason: REASON.voluntary });
    });
    this.listeners.set(number, listener);
    this.send({ type: 'listen', stream: number, port });
    return listener.begun();
  }

  private listenAgain(number: number, listener: RelayListener): void {
    if (this.listeners.get(number) !== listener) return;
    if (this.known?.abilities?.listens === true) this.send({ type: 'listen', stream: number, port: listener.port });
    else if (this.known !== undefined && !listener.hasListened) listener.refused('this relay does not listen');
  }

  /** The relay may not know yet that its last link with us has ended. */
  private notListening(number: number, listener: RelayListener, reason: number): void {
    if (!listener.hasListened) return listener.refused(`the relay does not listen (reason ${reason})`);
    const { link } = this;
    listener.waits(
      this.timers,
      this.timers.set(() => {
        // A new link asks by itself.
        if (link === this.link) this.listenAgain(number, listener);
      }, LISTEN_AGAIN),
    );
  }

  private accepted({ stream, listener: number }: Packet & { type: 'accept' }): void {
    let isTaken = false;
    if (!this.streams.has(stream) && this.streams.size < MOST_FLOWS)
      this.listeners.get(number)?.accept((flow) => {
        isTaken = true;
        this.streams.set(stream, flow);
        flow.accept(this, stream);
      });
    if (!isTaken) this.send({ type: 'close', stream, reason: REASON.client });
  }

  /** Ends it all. Listeners of flows hear nothing of it. */
  close(): void {
    this.setState('closed', '');
    this.watch.stop();
    this.world?.removeEventListener('online', this.isOnline);
    this.timers.clear(this.retry);
    this.timers.clear(this.lookAgain);
    this.link?.close();
    this.link = undefined;
    this.known = undefined;
    for (const flow of this.streams.values()) flow.closed(true);
    for (const { flow } of this.waiting) flow.closed(true);
    this.waiting = [];
    for (const listener of [...this.listeners.values()]) listener.refused('the network has been closed');
    this.wake();
  }
}
