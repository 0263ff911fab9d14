// SPDX-License-Identifier: MIT
// A stream of bytes over a MessagePort: the reader asks for each piece. Not all
// engines can transfer a stream, and a service worker's end may go away.

import type { Untrusted } from './protocol.ts';

type Bytes = Uint8Array<ArrayBuffer>;

type ToWriter = { type: 'pull' } | { type: 'cancel' };
type ToReader = { type: 'bytes'; bytes: Bytes } | { type: 'end' } | { type: 'error'; message: string };

/** Bytes of one message. */
const LARGEST = 1 << 20;

/** Sends what the other side asks for. The port is closed at the end. */
export function sendPieces(port: MessagePort, stream: ReadableStream<Uint8Array>, onEnd = (): void => {}): void {
  const reader = stream.getReader();
  let rest: Uint8Array = new Uint8Array(0);
  let isReading = false;
  const post = (message: ToReader, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const end = () => {
    port.close();
    onEnd();
  };
  const next = async () => {
    while (rest.length === 0) {
      const { done, value } = await reader.read();
      if (done) {
        post({ type: 'end' });
        return end();
      }
      rest = value;
    }
    // A copy, which slice() of a Buffer would not make: others may look at it.
    const bytes = new Uint8Array(rest.subarray(0, LARGEST));
    rest = rest.subarray(bytes.length);
    post({ type: 'bytes', bytes }, [bytes.buffer]);
  };
  port.onmessage = ({ data }: MessageEvent<Untrusted<ToWriter>>) => {
    if (data?.type === 'cancel') {
      end();
      void reader.cancel().catch(() => {});
    } else if (data?.type === 'pull' && !isReading) {
      isReading = true;
      next()
        .catch((error: unknown) => {
          post({ type: 'error', message: String(error) });
          end();
        })
        .finally(() => (isReading = false));
    }
  };
}

/** Reads what the other side sends. `signal` says that it is gone. */
export function receivePieces(port: MessagePort, signal?: AbortSignal, onEnd = (): void => {}): ReadableStream<Bytes> {
  let heard: (message: Untrusted<ToReader>) => void = () => {};
  const gone = (): Untrusted<ToReader> => ({ type: 'error', message: String(signal?.reason) });
  port.onmessage = ({ data }: MessageEvent<Untrusted<ToReader>>) => heard(data);
  const abort = () => heard(gone());
  const end = () => {
    port.close();
    signal?.removeEventListener('abort', abort);
    onEnd();
  };
  signal?.addEventListener('abort', abort);
  return new ReadableStream<Bytes>(
    {
      pull: async (controller) => {
        const message = await new Promise<Untrusted<ToReader>>((resolve) => {
          heard = resolve;
          if (signal?.aborted === true) resolve(gone());
          else port.postMessage({ type: 'pull' } satisfies ToWriter);
        });
        heard = () => {};
        if (message?.type === 'bytes' && message.bytes instanceof Uint8Array) {
          // A piece of none would ask for no other.
          if (message.bytes.length > 0) return controller.enqueue(message.bytes as Bytes);
        }
        end();
        if (message?.type === 'end') controller.close();
        else controller.error(new Error(message?.type === 'error' ? String(message.message) : 'that is no piece'));
      },
      cancel: () => {
        port.postMessage({ type: 'cancel' } satisfies ToWriter);
        end();
      },
    },
    { highWaterMark: 0 },
  );
}
