// SPDX-License-Identifier: MIT
// Runs commands in the guest, many at once. Each command has connections to the
// guest's exec agent. Their protocol is in docs/exec.md.

import { FILES_NUMBER } from './agent-file-protocol.ts';
import { AgentFiles } from './agent-files.ts';
import { concatenate, isBytes, words } from './bytes.ts';
import { isPromise, reportException } from './handlers.ts';
import type { SocketClient } from './sockets.ts';
import { MachineError, type ExecOptions, type ExecResult, type MachineSocket, type Signal } from './types.ts';

/**
 * The agent listens on this port of the guest. Once it does, it connects to
 * this port of the owner.
 */
const AGENT_PORT = 1;
/**
 * Commands that run at once. More than these wait for their turn. The agent may
 * have 1,024 descriptors open, and a command takes 8 of them.
 */
const MOST_COMMANDS = 64;
/**
 * Bytes of a command's arguments, directory and environment. The agent takes no
 * more, and execve() takes about as much.
 */
const COMMAND_LIMIT = 2 * 1024 * 1024;

const DEFAULT_ENVIRONMENT: Record<string, string> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  USER: 'root',
  SHELL: '/bin/sh',
  LANG: 'C.UTF-8',
  TERM: 'xterm-256color',
};

/** Linux's numbers of the signals that have a name here. */
const SIGNAL_NUMBERS: Record<Extract<Signal, string>, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGSTOP: 19,
};
const MOST_SIGNAL = 64;

/**
 * The number of a signal.
 * @throws MachineError 'invalid-option' if there is no such signal.
 */
export function signalNumber(signal: Signal): number {
  const number = typeof signal === 'number' ? signal : SIGNAL_NUMBERS[signal];
  if (!Number.isInteger(number) || number < 1 || number > MOST_SIGNAL)
    throw new MachineError(
      'invalid-option',
      `${String(signal)} is no signal; use 1 to ${MOST_SIGNAL} or ${Object.keys(SIGNAL_NUMBERS).join(', ')}`,
    );
  return number;
}

/**
 * The bytes that a command's connection begins with. `streams` are the numbers
 * of the command's streams; 0 is /dev/null.
 * @throws MachineError 'invalid-option' if a text contains NUL, or if all texts
 *   together are too long.
 */
export function encodeCommand(
  command: readonly string[],
  directory: string,
  environment: Record<string, string>,
  streams: readonly [stdin: number, stdout: number, stderr: number],
): Uint8Array {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const all = [...command, directory, ...variables];
  if (all.some((word) => word.includes('\0')))
    throw new MachineError('invalid-option', 'arguments may not contain NUL characters');
  const strings = new TextEncoder().encode(all.map((text) => `${text}\0`).join(''));
  if (strings.length > COMMAND_LIMIT)
    throw new MachineError(
      'invalid-option',
      `a command with its environment has at most ${COMMAND_LIMIT} bytes, not ${strings.length}`,
    );
  return concatenate([words(0, strings.length, ...streams, command.length, variables.length), strings]);
}

async function* pieces(stdin: ExecOptions['stdin']): AsyncIterable<Uint8Array> {
  if (typeof stdin === 'string') yield new TextEncoder().encode(stdin);
  else if (isBytes(stdin)) yield stdin;
  else if (stdin !== undefined) yield* stdin;
}

/**
 * Reads one of a command's output streams to its end. Each piece goes to the
 * handler. Without a handler, the result is all of them.
 */
async function outputOf(socket: MachineSocket, handler: ExecOptions['onStdout']): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader = socket.readable.getReader();
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) return concatenate(chunks);
    if (handler === undefined) chunks.push(value);
    else await give(value, handler);
  }
}

async function give(bytes: Uint8Array, handler: NonNullable<ExecOptions['onStdout']>): Promise<void> {
  try {
    const result = handler(bytes);
    if (isPromise(result)) await result;
  } catch (error) {
    reportException(error);
  }
}

/** Runs the commands of one machine. */
export class ExecClient {
  /** By the same agent. */
  readonly files: AgentFiles;
  private readonly ready: Promise<void>;
  private rejectReady!: (error: MachineError) => void;
  private readonly running = new Set<(signal: number) => void>();
  private active = 0;
  private readonly waiting: (() => void)[] = [];
  private nextStream = 1;

  private readonly sockets: SocketClient;
  /** Variables for the environment of every command. */
  private readonly environment: Record<string, string>;

  constructor(sockets: SocketClient, environment: Record<string, string>) {
    this.sockets = sockets;
    this.environment = environment;
    this.ready = new Promise((resolve, reject) => {
      this.rejectReady = reject;
      const end = sockets.listen(AGENT_PORT, (socket) => {
        end();
        socket.reset();
        resolve();
      });
    });
    this.ready.catch(() => {});
    this.files = new AgentFiles(sockets, AGENT_PORT, this.ready);
  }

  async run(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const encode = (streams: readonly [number, number, number]) =>
      encodeCommand(
        command,
        options.directory ?? '/root',
        { ...DEFAULT_ENVIRONMENT, ...this.environment, ...options.environment },
        streams,
      );
    // A wrong command fails here, before anything is waited for.
    encode([0, 0, 0]);
    options.signal?.throwIfAborted();
    await this.turn(options.signal);
    try {
      options.signal?.throwIfAborted();
      return await this.start(encode, options);
    } finally {
      this.endTurn();
    }
  }

  /**
   * Sends a signal to the process groups of all commands that run. Returns
   * false if no command runs.
   */
  kill(signal: Signal): boolean {
    const number = signalNumber(signal);
    for (const send of this.running) send(number);
    return this.running.size > 0;
  }

  /**
   * The machine has ended: commands that wait for the agent fail. Those that
   * run fail by their connections.
   */
  ended(error: MachineError): void {
    this.rejectReady(error);
  }

  /** Waits for the agent and for a turn, or rejects when the signal aborts. */
  private async turn(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const failures = signal === undefined ? [] : [abortOf(signal, over.signal)];
    let take!: () => void;
    const taken = new Promise<void>((resolve) => (take = resolve));
    try {
      await Promise.race([this.ready, ...failures]);
      if (this.active < MOST_COMMANDS) ++this.active;
      else {
        this.waiting.push(take);
        await Promise.race([taken, ...failures]).catch((error: unknown) => {
          const place = this.waiting.indexOf(take);
          if (place >= 0) this.waiting.splice(place, 1);
          // It came after the abort.
          else this.endTurn();
          throw error;
        });
      }
    } finally {
      over.abort();
    }
  }

  /**
   * The turn goes to the command that has waited longest. A command that comes
   * now cannot take it.
   */
  private endTurn(): void {
    const next = this.waiting.shift();
    if (next === undefined) --this.active;
    else next();
  }

  private async start(
    encode: (streams: readonly [number, number, number]) => Uint8Array,
    options: ExecOptions,
  ): Promise<ExecResult> {
    // All of this is sent at once. Nothing waits for the agent to accept it.
    const stdin = options.stdin === undefined ? undefined : this.stream();
    const stdout = this.stream();
    const stderr = this.stream();
    const control = this.sockets.open(AGENT_PORT);
    const sockets = [control, stdout, stderr, ...(stdin === undefined ? [] : [stdin])];
    const writer = control.socket.writable.getWriter();
    writer.write(encode([stdin?.number ?? 0, stdout.number, stderr.number])).catch(() => {});
    const send = (signal: number) => void writer.write(Uint8Array.of(signal)).catch(() => {});
    this.running.add(send);
    const over = new AbortController();
    try {
      // The streams end when the command ends, after all that it wrote.
      const ended = Promise.all([
        statusOf(control.socket),
        outputOf(stdout.socket, options.onStdout),
        outputOf(stderr.socket, options.onStderr),
      ]);
      const failures = sockets.map(({ opened }) => failureOf(opened));
      if (stdin !== undefined) failures.push(failureOf(feed(stdin.socket, options.stdin)));
      if (options.signal !== undefined) failures.push(failureOf(abortOf(options.signal, over.signal)));
      const [status, ...outputs] = await Promise.race([ended, ...failures]);
      return { status, stdout: outputs[0], stderr: outputs[1] };
    } catch (error) {
      // The agent kills a command that has lost its connection.
      for (const { socket } of sockets) socket.reset();
      throw error;
    } finally {
      over.abort();
      this.running.delete(send);
    }
  }

  /**
   * Opens a stream: a connection with a number, by which the command's
   * connection names it.
   */
  private stream(): { number: number; socket: MachineSocket; opened: Promise<void> } {
    const number = this.nextStream;
    this.nextStream = (number % (FILES_NUMBER - 1)) + 1;
    const { socket, opened } = this.sockets.open(AGENT_PORT);
    const writer = socket.writable.getWriter();
    writer.write(words(number)).catch(() => {});
    writer.releaseLock();
    return { number, socket, opened };
  }
}

/**
 * Reads a command's status, which the agent sends when the command has ended.
 */
async function statusOf(control: MachineSocket): Promise<number> {
  let text = '';
  const decoder = new TextDecoder();
  const reader = control.readable.getReader();
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) break;
    text += decoder.decode(value, { stream: true });
  }
  if (!/^\d+\n$/.test(text)) throw new MachineError('failed', `the guest's agent answered ${JSON.stringify(text)}`);
  return Number(text);
}

/**
 * Rejects when the promise does. It never resolves, so that it can take part in
 * a race of failures.
 */
function failureOf(promise: Promise<unknown>): Promise<never> {
  return promise.then(() => new Promise<never>(() => {}));
}

/** Rejects with the signal's reason, unless the command is over before. */
function abortOf(signal: AbortSignal, over: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: over }),
  );
}

/**
 * Sends the input to a command's standard input. Rejects if the input cannot be
 * read. A command that does not read all of it is no failure.
 */
async function feed(socket: MachineSocket, stdin: ExecOptions['stdin']): Promise<void> {
  const writer = socket.writable.getWriter();
  const input = pieces(stdin)[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await input.next();
    } catch (error) {
      throw new MachineError('failed', `standard input could not be read: ${error}`);
    }
    try {
      if (next.done === true) return await writer.close();
      await writer.write(next.value);
    } catch {
      // The command has closed its standard input, or it has ended.
      await input.return?.();
      return;
    }
  }
}
