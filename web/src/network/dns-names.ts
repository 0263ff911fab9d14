// SPDX-License-Identifier: MIT
// Names by questions to a resolver, whatever way they go to it.

import { AnsweredNames } from './answered-names.ts';
import type { Addresses, NameBackend } from './backend.ts';
import { addressesIn, addressQuestion } from './dns-addresses.ts';
import { answers, parseQuestion, setId } from './dns-message.ts';

/**
 * Sends a message of DNS to a resolver. `isAnswer` tells whether a message that
 * comes is the answer. The signal ends it.
 */
export type Exchange = (
  message: Uint8Array<ArrayBuffer>,
  isAnswer: (message: Uint8Array) => boolean,
  signal: AbortSignal,
) => Promise<Uint8Array>;

const MOST_QUESTIONS = 64;
/** In ms. The host waits for 10 s. */
const TIME_LIMIT = 9000;

export class DnsNames implements NameBackend {
  private readonly exchange: Exchange;
  private readonly answered = new AnsweredNames();
  private readonly ending = new AbortController();
  private questions = 0;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  async resolve(name: string, ipv6: boolean): Promise<Addresses | undefined> {
    const version = ipv6 ? 6 : 4;
    const found = addressesIn(await this.ask(addressQuestion(name, version)), version);
    if (found !== undefined) this.answered.add(name, found.addresses);
    return found;
  }

  async ask(message: Uint8Array): Promise<Uint8Array> {
    // The caller's bytes are good during the call only.
    const question = parseQuestion(new Uint8Array(message));
    if (this.questions >= MOST_QUESTIONS) throw new Error('there are too many questions');
    this.questions += 1;
    try {
      // Nobody but the resolver can guess this number.
      const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
      const sent = new Uint8Array(question.message);
      setId(sent, id);
      const signal = AbortSignal.any([this.ending.signal, AbortSignal.timeout(TIME_LIMIT)]);
      const isAnswer = (bytes: Uint8Array) => answers(bytes, question, id);
      const answer = new Uint8Array(await this.exchange(sent, isAnswer, signal));
      answer.set(question.message.subarray(0, 2));
      return answer;
    } finally {
      this.questions -= 1;
    }
  }

  /** The name that was answered with an address last. */
  nameOf(address: string): string | undefined {
    return this.answered.of(address).at(-1);
  }

  close(): void {
    this.ending.abort(new Error('the network has been closed'));
  }
}
