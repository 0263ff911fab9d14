// SPDX-License-Identifier: MIT
// Runs commands in the guest over the ports of its exec agent. Framing: docs/exec.md.

import { EXEC_PORTS } from '../machine/protocol.ts';
import { isPromise, reportException } from './handlers.ts';
import { MachineError, type ExecOptions, type ExecResult, type Signal } from './types.ts';

/** Port numbers in the order of EXEC_PORTS; 0 is the console. */
const [COMMAND, STDIN, STDOUT, STDERR, STATUS, SIGNALS] = EXEC_PORTS.map((_, index) => index + 1) as [
  number,
  number,
  number,
  number,
  number,
  number,
];

/** Bytes of standard input on the way to the guest before the sender has to wait. */
const MOST_INPUT_ON_THE_WAY = 256 * 1024;
/** Less than what the host hands on of a port's output without an answer (virtio::ConsoleDevice::output_limit). */
const OUTPUT_WITHOUT_FLUSH = 64 * 1024;
/** One message's worth, so that a large array does not sit in the queue twice. */
const INPUT_PIECE = 64 * 1024;

const DEFAULT_ENVIRONMENT: Record<string, string> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  USER: 'root',
  SHELL: '/bin/sh',
  LANG: 'C.UTF-8',
  TERM: 'xterm-256color',
};

/** Linux's numbers. */
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

export function signalNumber(signal: Signal): number {
  const number = typeof signal === 'number' ? signal : SIGNAL_NUMBERS[signal];
  if (!Number.isInteger(number) || number < 1 || number > MOST_SIGNAL)
    throw new MachineError(
      'invalid-option',
      `${String(signal)} is no signal; use 1 to ${MOST_SIGNAL} or ${Object.keys(SIGNAL_NUMBERS).join(', ')}`,
    );
  return number;
}

/** The way to the ports of a machine. */
export interface Ports {
  send(port: number, bytes: Uint8Array): void;
  close(port: number): void;
  /** Added to the environment of every command. */
  environment?: Record<string, string>;
  /** Resolves when all output has come that the guest has written to the port before. */
  flush(port: number): Promise<void>;
}

export function encodeCommand(command: readonly string[], directory: string, environment: Record<string, string>) {
  const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  for (const word of [...command, directory, ...words])
    if (word.includes('\0')) throw new MachineError('invalid-option', 'arguments may not contain NUL characters');
  const terminated = (texts: readonly string[]) => texts.map((text) => `${text}\0`).join('');
  return new TextEncoder().encode(
    `${command.length}\n${terminated(command)}${terminated([directory])}${words.length}\n${terminated(words)}`,
  );
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}

async function* pieces(stdin: ExecOptions['stdin']): AsyncIterable<Uint8Array> {
  if (stdin === undefined) return;
  if (typeof stdin === 'string') yield new TextEncoder().encode(stdin);
  else if (stdin instanceof Uint8Array) yield stdin;
  else yield* stdin;
}

/** The commands of one machine, one after the other: the agent has one set of ports. */
export class ExecClient {
  private last: Promise<unknown> = Promise.resolve();
  private receive: ((port: number, bytes: Uint8Array) => unknown) | undefined;
  private onWay = 0;
  private inputEnded = false;
  private inputTaken: (() => void) | undefined;
  /** Commands that were sent to the agent, which counts them too. */
  private started = 0;
  private end: MachineError | undefined;
  private reject: ((error: MachineError) => void) | undefined;

  constructor(private readonly ports: Ports) {}

  run(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const result = this.last.then(() => this.start(command, options));
    this.last = result.catch(() => {});
    return result;
  }

  /** Sends a signal to the process group of the command that runs; false if none does. */
  kill(signal: Signal): boolean {
    const number = signalNumber(signal);
    if (this.receive === undefined || this.end !== undefined) return false;
    this.ports.send(SIGNALS, new TextEncoder().encode(`${this.started} ${number}\n`));
    return true;
  }

  /** A promise if who gets the bytes needs time for them. */
  output(port: number, bytes: Uint8Array): unknown {
    return this.receive?.(port, bytes);
  }

  consumed(port: number, bytes: number): void {
    if (port !== STDIN) return;
    this.onWay -= bytes;
    if (this.onWay < MOST_INPUT_ON_THE_WAY) this.inputTaken?.();
  }

  /** The machine has ended: what runs now and later fails. */
  ended(error: MachineError): void {
    this.end = error;
    this.inputTaken?.();
    this.reject?.(error);
  }

  private start(command: readonly string[], options: ExecOptions): Promise<ExecResult> {
    if (this.end !== undefined) return Promise.reject(this.end);
    if (this.inputEnded && options.stdin !== undefined)
      return Promise.reject(
        new MachineError(
          'failed',
          'only the first command of a machine can have standard input: its end cannot be taken back',
        ),
      );
    const message = encodeCommand(command, options.directory ?? '/root', {
      ...DEFAULT_ENVIRONMENT,
      ...this.ports.environment,
      ...options.environment,
    });
    return new Promise((resolve, reject) => {
      const collected = new Map<number, Uint8Array[]>([
        [STDOUT, []],
        [STDERR, []],
      ]);
      const sizes = new Map<number, number>();
      /** Settles when all handlers have taken all output. */
      let taken: Promise<unknown> = Promise.resolve();
      let status = '';
      const done = () => {
        this.receive = undefined;
        this.reject = undefined;
      };
      this.reject = (error) => {
        done();
        reject(error);
      };
      const finish = async () => {
        // The agent writes the status last, and ports keep their order: all output is here, but for what the host keeps back.
        for (const [port, size] of sizes) if (size > OUTPUT_WITHOUT_FLUSH) await this.ports.flush(port);
        await taken;
        done();
        const number = Number.parseInt(status, 10);
        if (Number.isNaN(number)) reject(new MachineError('failed', `the guest's agent answered ${status.trim()}`));
        else
          resolve({
            status: number,
            stdout: concatenate(collected.get(STDOUT) ?? []),
            stderr: concatenate(collected.get(STDERR) ?? []),
          });
      };
      this.receive = (port, bytes) => {
        if (port === STDOUT || port === STDERR) {
          sizes.set(port, (sizes.get(port) ?? 0) + bytes.length);
          const handler = port === STDOUT ? options.onStdout : options.onStderr;
          if (handler === undefined) return void collected.get(port)?.push(bytes);
          try {
            const result = handler(bytes);
            if (isPromise(result)) taken = Promise.allSettled([taken, result]);
            return result;
          } catch (error) {
            return reportException(error);
          }
        }
        if (port !== STATUS) return;
        status += new TextDecoder().decode(bytes);
        if (status.includes('\n')) void finish();
      };
      ++this.started;
      this.ports.send(COMMAND, message);
      this.feed(pieces(options.stdin)).catch((error: unknown) =>
        this.reject?.(new MachineError('failed', `standard input could not be read: ${error}`)),
      );
    });
  }

  private async feed(input: AsyncIterable<Uint8Array>): Promise<void> {
    const running = this.receive;
    this.onWay = 0;
    for await (const bytes of input) {
      for (let offset = 0; offset < bytes.length; offset += INPUT_PIECE) {
        while (this.onWay >= MOST_INPUT_ON_THE_WAY && this.receive === running && this.end === undefined)
          await new Promise<void>((resolve) => (this.inputTaken = resolve));
        if (this.receive !== running || this.end !== undefined) return;
        const piece = bytes.slice(offset, offset + INPUT_PIECE);
        this.onWay += piece.length;
        this.ports.send(STDIN, piece);
      }
    }
    if (this.receive !== running || this.inputEnded) return;
    this.inputEnded = true;
    this.ports.close(STDIN);
  }
}
