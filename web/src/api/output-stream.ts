// SPDX-License-Identifier: MIT
// The standard output of a command as a stream, which is as fast as its reader.

import type { ExecOptions, ExecResult } from './types.ts';

export type Exec = (command: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

/**
 * Runs a command. The stream fails with the exec's error, or with what `check`
 * throws when the command has ended. Cancelling the stream kills the command.
 */
export function outputStream(
  exec: Exec,
  command: readonly string[],
  check: (result: ExecResult) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  let controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  let wanted = () => {};
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start: (given) => void (controller = given),
      pull: () => wanted(),
      cancel: (reason) => {
        wanted();
        abort.abort(reason);
      },
    },
    { highWaterMark: 0 },
  );
  const onStdout = (bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      wanted = resolve;
      if (abort.signal.aborted) resolve();
      else controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
    });
  exec(command, { onStdout, signal: abort.signal })
    .then((result) => {
      check(result);
      controller.close();
    })
    .catch((error: unknown) => {
      if (!abort.signal.aborted) controller.error(error);
    });
  return stream;
}
