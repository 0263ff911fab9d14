// SPDX-License-Identifier: MIT
// Names as Node.js knows them. Addresses come from the system, with its hosts
// file and VPN; any other question goes to the resolver that the system uses.

import type * as NodeDatagramSockets from 'node:dgram';
import type * as NodeDns from 'node:dns';
import type * as NodeSockets from 'node:net';
import { nodeModule } from '../machine/platform.ts';
import { formatAddress, parseAddress } from './address.ts';
import { AnsweredNames } from './answered-names.ts';
import type { Addresses, NameBackend } from './backend.ts';
import {
  answers,
  framed,
  FramedMessage,
  isFailure,
  isTruncated,
  noSuchName,
  parseQuestion,
  setId,
  type Question,
} from './dns-message.ts';
import type { Policy } from './policy.ts';

const MOST_QUESTIONS = 64;
/** In ms: for all servers, and for each of them. */
const TIME_LIMIT = 10_000;
const SERVER_LIMIT = 3000;
/** The system does not say for how long its addresses are good. */
const GOOD_FOR = 60;
/** Addresses of one version in an answer. */
const MOST_ADDRESSES = 32;
const DNS_PORT = 53;

type Lookup = (name: string) => Promise<readonly string[]>;

export interface NodeNamesOptions {
  policy: Policy;
  /** As dns.getServers() gives them. */
  servers?: () => readonly string[];
  /** All addresses of a name, or an error with the code ENOTFOUND. */
  lookup?: Lookup;
}

interface Server {
  address: string;
  port: number;
}

/** `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]:53`. One with a zone is left out. */
function parseServer(text: string): Server | undefined {
  const parts = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text) ?? ['', text, String(DNS_PORT)];
  const address = parseAddress(parts[1]);
  return address && { address: formatAddress(address), port: Number(parts[2]) };
}

function systemLookup(): Lookup {
  const { promises } = nodeModule('node:dns') as typeof NodeDns;
  return async (name) => (await promises.lookup(name, { all: true })).map(({ address }) => address);
}

/** A new Resolver looks again: a laptop may be somewhere else now. */
function systemServers(): readonly string[] {
  const { Resolver } = nodeModule('node:dns') as typeof NodeDns;
  return new Resolver().getServers();
}

export class NodeNames implements NameBackend {
  private readonly policy: Policy;
  private readonly servers: () => readonly string[];
  private readonly lookup: Lookup;
  private readonly answered = new AnsweredNames();
  /** A guest asks for both versions of IP at a time, and the system once. */
  private readonly lookups = new Map<string, Promise<readonly string[]>>();
  /** Ends what is under way. */
  private readonly ends = new Set<() => void>();
  private questions = 0;

  constructor({ policy, servers, lookup }: NodeNamesOptions) {
    this.policy = policy;
    this.servers = servers ?? systemServers;
    this.lookup = lookup ?? systemLookup();
  }

  async resolve(name: string, ipv6: boolean): Promise<Addresses | undefined> {
    if (!this.policy.answers(name)) return undefined;
    const version = ipv6 ? 6 : 4;
    const all = await this.within(TIME_LIMIT, this.lookUp(name)).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 'ENOTFOUND') return undefined;
      throw error;
    });
    if (all === undefined) return undefined;
    const addresses = all
      .map(parseAddress)
      .filter((address) => address?.version === version)
      .slice(0, MOST_ADDRESSES)
      .map((address) => formatAddress(address!));
    this.answered.add(name, addresses);
    return { addresses, seconds: GOOD_FOR };
  }

  async ask(message: Uint8Array): Promise<Uint8Array> {
    // The caller's bytes are good during the call only.
    const question = parseQuestion(new Uint8Array(message));
    if (!this.policy.answers(question.name)) return noSuchName(question);
    return this.counted(() => this.within(TIME_LIMIT, this.askServers(question)));
  }

  /** The names that were answered with an address. */
  namesOf(address: string): readonly string[] {
    return this.answered.of(address);
  }

  close(): void {
    for (const end of this.ends) end();
  }

  /** One lookup for all who ask for a name at a time. */
  private lookUp(name: string): Promise<readonly string[]> {
    const key = name.toLowerCase();
    let pending = this.lookups.get(key);
    if (pending === undefined) {
      // One that takes too long cannot be ended, and goes on to count.
      pending = this.counted(() => this.lookup(name)).finally(() => this.lookups.delete(key));
      this.lookups.set(key, pending);
    }
    return pending;
  }

  private async counted<T>(ask: () => Promise<T>): Promise<T> {
    if (this.questions >= MOST_QUESTIONS) throw new Error('there are too many questions');
    this.questions += 1;
    try {
      return await ask();
    } finally {
      this.questions -= 1;
    }
  }

  private async within<T>(limit: number, promise: Promise<T>): Promise<T> {
    let end!: () => void;
    const over = new Promise<never>((_, reject) => (end = () => reject(new Error('there is no answer'))));
    const timer = setTimeout(end, limit);
    this.ends.add(end);
    try {
      return await Promise.race([promise, over]);
    } finally {
      clearTimeout(timer);
      this.ends.delete(end);
    }
  }

  private async askServers(question: Question): Promise<Uint8Array> {
    let failure: Uint8Array | undefined;
    let fault: unknown = new Error('the system has no resolver');
    const until = performance.now() + TIME_LIMIT;
    for (const text of this.servers()) {
      const server = parseServer(text);
      if (server === undefined) continue;
      if (performance.now() >= until) break;
      try {
        const answer = await this.askServer(question, server);
        if (!isFailure(answer)) return answer;
        failure = answer;
      } catch (error) {
        fault = error;
      }
    }
    if (failure === undefined) throw fault;
    return failure;
  }

  private async askServer(question: Question, server: Server): Promise<Uint8Array> {
    // Nobody but the server can guess this number and the port.
    const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const message = new Uint8Array(question.message);
    setId(message, id);
    const isAnswer = (answer: Uint8Array): boolean => answers(answer, question, id);
    let answer = await this.exchange((done, failed) => askByDatagram(server, message, isAnswer, done, failed));
    if (isTruncated(answer))
      answer = await this.exchange((done, failed) => askByStream(server, message, isAnswer, done, failed));
    const copy = new Uint8Array(answer);
    copy.set(question.message.subarray(0, 2));
    return copy;
  }

  /** `start` returns a function that ends it, which is called in any case. */
  private async exchange(start: Exchange): Promise<Uint8Array> {
    let end: (() => void) | undefined;
    const answer = new Promise<Uint8Array>((resolve, reject) => (end = start(resolve, reject)));
    try {
      return await this.within(SERVER_LIMIT, answer);
    } finally {
      end?.();
    }
  }
}

type Exchange = (done: (answer: Uint8Array) => void, failed: (error: Error) => void) => () => void;
type ExchangeWith = (
  server: Server,
  message: Uint8Array,
  isAnswer: (answer: Uint8Array) => boolean,
  ...outcome: Parameters<Exchange>
) => () => void;

const askByDatagram: ExchangeWith = ({ address, port }, message, isAnswer, done, failed) => {
  const { createSocket } = nodeModule('node:dgram') as typeof NodeDatagramSockets;
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', failed);
  // What is no answer is somebody's who would like it to be one.
  socket.on('message', (answer) => {
    if (isAnswer(answer)) done(answer);
  });
  // A connected socket hears the server only, and its refusal.
  socket.once('connect', () =>
    socket.send(message, (error) => {
      if (error) failed(error);
    }),
  );
  socket.connect(port, address);
  return () => socket.close();
};

const askByStream: ExchangeWith = ({ address, port }, message, isAnswer, done, failed) => {
  const { connect } = nodeModule('node:net') as typeof NodeSockets;
  const socket = connect({ host: address, port, noDelay: true });
  const received = new FramedMessage();
  socket.on('error', failed);
  socket.on('close', () => failed(new Error('the resolver has closed the connection')));
  socket.on('data', (bytes: Uint8Array) => {
    const answer = received.add(bytes);
    if (answer === undefined) return;
    if (isAnswer(answer)) done(answer);
    else failed(new Error('the resolver answers something else'));
    socket.destroy();
  });
  socket.write(framed(message));
  return () => socket.destroy();
};
