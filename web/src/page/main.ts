// SPDX-License-Identifier: MIT
// The page: a terminal and the machine behind it.

import { Machine, MachineError, type BootOptions } from '../index.ts';
import type { Console } from './console.ts';
import { becomeIsolated } from './isolation.ts';
import { KeyBar } from './key-bar.ts';
import { Overlay } from './overlay.ts';

/** ?cpus=4&memory=256&arguments=quiet in the page's address. */
function optionsFromAddress(): BootOptions {
  const address = new URLSearchParams(location.search);
  const options: BootOptions = {};
  for (const name of ['cpus', 'memory'] as const) {
    const value = Number(address.get(name) ?? Number.NaN);
    if (Number.isInteger(value)) options[name] = value;
  }
  const kernelArguments = address.get('arguments');
  if (kernelArguments !== null) options.kernelArguments = kernelArguments;
  return options;
}

class Page {
  private console: Console | undefined;
  /** What the machine has said before there is a console. */
  private readonly early: Uint8Array[] = [];
  private readonly overlay = new Overlay(() => void this.restart());
  private readonly keys = new KeyBar(document.getElementById('keys')!, (input) => this.machine?.write(input));
  private machine: Machine | undefined;
  private failure: MachineError | undefined;

  constructor() {
    for (const id of ['diagnostics', 'overlay-diagnostics'])
      document
        .getElementById(id)!
        .addEventListener('click', (event) => void this.copyDiagnostics(event.currentTarget as HTMLElement));
  }

  /** For tests and for the curious, as `auklet` in the browser's console. */
  readonly Machine = Machine;

  /** The page's machine. */
  get current(): Machine | undefined {
    return this.machine;
  }

  get terminal(): Console['terminal'] | undefined {
    return this.console?.terminal;
  }

  /** The terminal is most of the page's script, so it comes while the machine already starts. */
  async openConsole(): Promise<void> {
    let Console;
    try {
      ({ Console } = await import('./console.ts'));
    } catch (error) {
      this.fail(
        new MachineError('download', 'the terminal could not be downloaded: is the network up?', String(error)),
      );
      return;
    }
    this.console = new Console(document.getElementById('terminal')!);
    this.console.onInput((input) => this.machine?.write(typeof input === 'string' ? this.keys.filter(input) : input));
    this.console.onResize((columns, rows) => this.machine?.resize(columns, rows));
    for (const bytes of this.early.splice(0)) this.console.write(bytes);
    const { cols, rows } = this.console.terminal;
    this.machine?.resize(cols, rows);
    // A failure has its button focused.
    if (this.failure === undefined) this.console.terminal.focus();
  }

  start(): void {
    this.failure = undefined;
    const terminal = this.terminal;
    try {
      const machine = new Machine({
        ...optionsFromAddress(),
        ...(terminal === undefined ? {} : { columns: terminal.cols, rows: terminal.rows }),
        onProgress: (progress) => {
          if (this.failure === undefined) this.overlay.progress(progress);
        },
      });
      this.machine = machine;
      machine.on('output', (bytes) => {
        if (this.console === undefined) this.early.push(bytes);
        else this.console.write(bytes);
      });
      machine.on('error', (error) => this.fail(error));
      machine.on('halted', (reason) => {
        this.overlay.halted(reason);
        if (reason === 'restart') void this.restart();
      });
    } catch (error) {
      this.fail(error instanceof MachineError ? error : new MachineError('failed', String(error)));
      return;
    }
    terminal?.focus();
  }

  async restart(): Promise<void> {
    if (this.console === undefined) {
      // A module that could not be loaded is not tried again before the page is.
      location.reload();
      return;
    }
    const old = this.machine;
    this.machine = undefined;
    await old?.dispose();
    this.console.terminal.reset();
    this.start();
  }

  private fail(error: MachineError): void {
    this.failure = error;
    this.overlay.failed(error);
  }

  private async diagnostics(): Promise<string> {
    const failure =
      this.failure === undefined ? '' : `failure: ${this.failure.message}\n${this.failure.detail ?? ''}\n`;
    const machine =
      this.machine === undefined ? `engine: ${navigator.userAgent}\nno machine\n` : await this.machine.diagnostics();
    return `Auklet diagnostics, ${new Date().toISOString()}\n${failure}${machine}`;
  }

  private async copyDiagnostics(button: HTMLElement): Promise<void> {
    const label = button.textContent;
    const text = this.diagnostics();
    try {
      // The text comes later than the click; an item with a promise keeps the click's permission.
      await navigator.clipboard.write([
        new ClipboardItem({ 'text/plain': text.then((content) => new Blob([content], { type: 'text/plain' })) }),
      ]);
      button.textContent = 'Copied';
    } catch {
      console.log(await text);
      button.textContent = 'Not allowed: see the browser’s console';
    }
    setTimeout(() => (button.textContent = label), 2000);
  }
}

if (!(await becomeIsolated())) {
  const page = new Page();
  page.start();
  await page.openConsole();
  Object.assign(globalThis, { auklet: page });
}
