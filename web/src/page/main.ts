// SPDX-License-Identifier: MIT
// The page: a terminal, and the machine behind it.

import { engineTimeZone } from '../api/time-zone.ts';
import { createLink, Machine, MachineError, type Progress } from '../index.ts';
import { readAddress, type Address } from './address.ts';
import type { Console } from './terminal-console.ts';
import { becomeIsolated } from './isolation.ts';
import { KeyBar } from './key-bar.ts';
import { Notice, TaskBar } from './bars.ts';
import { makeFilesMenu } from './files-menu.ts';
import { PageNetwork } from './network.ts';
import { Overlay } from './overlay.ts';
import { Ports } from './ports.ts';
import { Saving } from './saving.ts';
import { Transfers } from './transfers.ts';
import { RESUMED } from '../machine/protocol.ts';
import { DISK_TROUBLE, DISK_WAIT } from '../storage/protocol.ts';

/** Milliseconds that a load may take before the page shows it. */
const PATIENCE = 400;

/** Milliseconds for what programs have written to get to the disk. */
const SYNC_PATIENCE = 30_000;

/** The name in localStorage. The value is "1" or "0". */
const SCREEN_READER = 'auklet.screen-reader';

class Page {
  private console: Console | undefined;
  /** Output of the machine that no console has shown yet. */
  private output: { bytes: Uint8Array; taken: (when: Promise<void>) => void }[] = [];
  /**
   * While true, nothing is shown. A load that ends within PATIENCE is shown
   * when it has ended, because each frame before would take time from it.
   */
  private quiet = true;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private latest: Progress | undefined;
  private opening = false;
  private resolveOpened!: () => void;
  /** Resolves when there is a terminal, or when there can be none. */
  readonly opened = new Promise<void>((resolve) => (this.resolveOpened = resolve));
  private readonly overlay = new Overlay(
    () => void this.restart(),
    () => this.terminal?.focus(),
  );
  private readonly notice = new Notice();
  private readonly tasks = new TaskBar();
  private readonly saving = new Saving(
    { start: () => this.startAgain(), machine: () => this.machine },
    this.overlay,
    this.notice,
    this.tasks,
  );
  private readonly transfers = new Transfers(
    { machine: () => this.machine, say: (text) => this.overlay.say(text) },
    this.notice,
    this.tasks,
  );
  private readonly network = new PageNetwork(
    {
      restart: async () => {
        if (this.isUsed) await this.saving.sync(AbortSignal.timeout(SYNC_PATIENCE));
        await this.startAgain();
      },
      isUsed: () => this.isUsed,
      focus: () => this.terminal?.focus(),
    },
    this.overlay,
    this.notice,
  );
  private readonly keys = new KeyBar(document.getElementById('keys')!, {
    type: (input) => {
      if (this.console !== undefined) this.console.used = true;
      this.machine?.write(input);
    },
    copy: () => this.console?.copy(),
    paste: () => void this.console?.paste(),
  });
  readonly ports = new Ports(() => this.machine);
  private machine: Machine | undefined;
  private failure: MachineError | undefined;
  private running = false;
  private screenReader = remembered();

  constructor() {
    makeFilesMenu(this.notice, [...this.transfers.entries(), ...this.saving.entries()], () => this.saving.describe());
    const tabMoves = document.getElementById('tab-moves')!;
    tabMoves.addEventListener('click', () => this.console?.toggleTabMode());
    document.getElementById('screen-reader')!.addEventListener('click', () => this.setScreenReader(!this.screenReader));
    // What was typed is lost with the page, so the browser asks first.
    addEventListener('beforeunload', (event) => {
      if (this.isUsed) event.preventDefault();
    });
    for (const id of ['diagnostics', 'overlay-diagnostics'])
      document
        .getElementById(id)!
        .addEventListener('click', (event) => void this.copyDiagnostics(event.currentTarget as HTMLElement));
  }

  /**
   * `auklet` in the browser's console is this object. Tests and the curious use
   * its members Machine, createLink, current and terminal.
   */
  readonly Machine = Machine;
  readonly createLink = createLink;

  get current(): Machine | undefined {
    return this.machine;
  }

  get terminal(): Console['terminal'] | undefined {
    return this.console?.terminal;
  }

  /** Whether somebody has typed into a machine that runs. */
  private get isUsed(): boolean {
    return this.running && this.console?.used === true;
  }

  /**
   * Opens the terminal. The terminal is most of the page's script. To open it
   * keeps this thread from handing the kernel on. So it is opened when the
   * machine has all its parts, or when these take long to come. Any later, and
   * the shell would be told of the terminal's size while it runs.
   */
  private openConsole(): void {
    if (this.opening) return;
    this.opening = true;
    void this.createConsole().then(this.resolveOpened);
  }

  private async createConsole(): Promise<void> {
    let Console;
    try {
      ({ Console } = await import('./terminal-console.ts'));
    } catch (error) {
      this.fail(
        new MachineError('download', 'the terminal could not be downloaded: is the network up?', String(error)),
      );
      return;
    }
    this.console = new Console(document.getElementById('terminal')!, this.screenReader);
    this.console.onTabMode((moves) => {
      document.getElementById('tab-moves')!.setAttribute('aria-pressed', String(moves));
      this.overlay.say(moves ? 'Tab leaves the terminal; Ctrl+M changes that' : 'Tab is typed; Ctrl+M changes that');
    });
    this.console.onInput((input) => this.machine?.write(typeof input === 'string' ? this.keys.filter(input) : input));
    this.console.onResize((columns, rows) => this.machine?.resize(columns, rows));
    this.show();
    const { cols, rows } = this.console.terminal;
    this.machine?.resize(cols, rows);
    // After a failure, the focus is on the failure's button.
    if (this.failure === undefined) this.console.terminal.focus();
  }

  private setScreenReader(on: boolean): void {
    this.screenReader = on;
    document.getElementById('screen-reader')!.setAttribute('aria-pressed', String(on));
    this.console?.setScreenReader(on);
    try {
      localStorage.setItem(SCREEN_READER, on ? '1' : '0');
    } catch {
      // There is no storage here. The next visit begins with the old state.
    }
  }

  start(): void {
    this.failure = undefined;
    this.output = [];
    this.latest = undefined;
    this.quiet = true;
    this.overlay.hide();
    try {
      const address = readAddress(location.search);
      const link = { choice: address.network, kernelArguments: address.options.kernelArguments };
      if (this.network.asks(link, () => this.start())) return;
      this.boot(address);
    } catch (error) {
      this.fail(error instanceof MachineError ? error : new MachineError('failed', String(error)));
    }
  }

  /** @throws MachineError */
  private boot({ options, screenReader = this.screenReader, saving = true }: Address): void {
    this.patience = setTimeout(() => this.speak(), PATIENCE);
    const terminal = this.terminal;
    this.setScreenReader(screenReader);
    const timeZone = engineTimeZone();
    const machine = new Machine({
      ...(timeZone === undefined ? {} : { timeZone }),
      ...options,
      // Beside the login: what the page itself does in the guest.
      exec: true,
      login: true,
      disks: this.saving.disks(saving),
      ...this.network.options(),
      ...(terminal === undefined ? {} : { columns: terminal.cols, rows: terminal.rows }),
      onProgress: (progress) => {
        this.latest = progress;
        if (progress.stage === 'booting') {
          this.saving.asking = false;
          this.openConsole();
        }
        this.running = progress.stage === 'running';
        if (this.running) this.speak();
        else this.show();
      },
    });
    this.machine = machine;
    this.transfers.serve(machine);
    this.network.use(machine);
    void this.ports.serve(machine);
    // Programs wait until the terminal has read what they have written.
    machine.on('output', (bytes) => {
      const reading = new Promise<void>((taken) => this.output.push({ bytes, taken }));
      this.show();
      return reading;
    });
    machine.on('log', (level, message) => {
      if (machine !== this.machine) return;
      if (message.startsWith(DISK_WAIT)) {
        this.speak();
        this.saving.showWait(message);
      } else if (message.startsWith(DISK_TROUBLE)) {
        this.speak();
        this.notice.show(message);
      } else if (level !== 'information') {
        this.speak();
        this.overlay.warn(message);
      } else if (message.startsWith(RESUMED)) this.overlay.resume();
    });
    machine.on('error', (error) => {
      if (machine !== this.machine) return;
      this.speak();
      if (!this.saving.handles(error)) this.fail(error);
    });
    machine.on('halted', (reason) => {
      this.running = false;
      this.speak();
      this.overlay.halted(reason);
      if (reason === 'restart') void this.restart();
    });
    terminal?.focus();
  }

  async restart(): Promise<void> {
    if (this.console === undefined) {
      // A browser does not try again to load a module that has failed, until
      // the page is loaded again.
      location.reload();
      return;
    }
    await this.startAgain();
  }

  private async startAgain(): Promise<void> {
    const old = this.machine;
    this.machine = undefined;
    this.running = false;
    await old?.dispose();
    this.console?.reset();
    this.start();
  }

  /** Ends the quiet: shows what has come so far, and all that comes. */
  private speak(): void {
    clearTimeout(this.patience);
    this.quiet = false;
    this.show();
    this.openConsole();
  }

  private show(): void {
    if (this.quiet) return;
    if (this.latest !== undefined && this.failure === undefined && !this.saving.asking)
      this.overlay.progress(this.latest);
    this.latest = undefined;
    if (this.console !== undefined)
      for (const { bytes, taken } of this.output.splice(0)) taken(this.console.write(bytes));
  }

  private fail(error: MachineError): void {
    this.running = false;
    this.failure = error;
    this.speak();
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
      // The text comes later than the click. An item with a promise keeps the
      // permission that the click gives.
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

function remembered(): boolean {
  try {
    return localStorage.getItem(SCREEN_READER) === '1';
  } catch {
    return false;
  }
}

/**
 * The module itself waits for nothing: so what later parts share with it stays
 * in its file, and needs no files of its own that the start would load.
 */
async function open(): Promise<void> {
  if (await becomeIsolated()) return;
  const page = new Page();
  page.start();
  await page.opened;
  Object.assign(globalThis, { auklet: page });
}

void open();
