// SPDX-License-Identifier: MIT
// Questions to the resolver of a relay, each by a stream of its own.

import type { FlowKind } from './backend.ts';
import { framed, FramedMessage } from './dns-message.ts';
import type { Exchange } from './dns-names.ts';
import { WispFlow } from './wisp-flow.ts';
import type { WispLine } from './wisp-line.ts';

/** In ms: a question by UDP is asked again after so long. */
const ASK_AGAIN = 2000;
const RESOLVER = '10.0.2.3';
const DNS_PORT = 53;

/**
 * Asks by UDP or by TCP. One stream for each question: the relay's ports cannot
 * be guessed.
 */
export function askByFlow(line: WispLine, kind: FlowKind): Exchange {
  return (message, isAnswer, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const received = kind === 'stream' ? new FramedMessage() : undefined;
      let timer: unknown;
      const end = (act: () => void) => {
        line.timers.clear(timer);
        signal.removeEventListener('abort', stop);
        flow.closed(false);
        act();
      };
      const stop = () => end(() => reject(signal.reason as Error));
      const fail = () => end(() => reject(new Error('the relay does not reach the resolver')));
      const flow = new WispFlow(kind, {
        opened: () => {
          if (received !== undefined) flow.send(framed(message));
        },
        failed: fail,
        data: (bytes) => {
          const answer = received === undefined ? bytes : received.add(bytes);
          if (answer !== undefined && isAnswer(answer)) end(() => resolve(answer));
          // By UDP, what is no answer is somebody's who would like it to be.
          else if (answer !== undefined && received !== undefined) fail();
          return bytes.length;
        },
        writable: () => {},
        finished: fail,
        aborted: fail,
      });
      const ask = () => {
        flow.send(message);
        timer = line.timers.set(ask, ASK_AGAIN);
      };
      signal.addEventListener('abort', stop);
      if (received === undefined) ask();
      line.start(flow, RESOLVER, DNS_PORT);
    });
}
