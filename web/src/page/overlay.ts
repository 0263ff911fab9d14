// SPDX-License-Identifier: MIT
// A box over the terminal: it shows progress while a machine loads, and why a
// machine has stopped.

import type { HaltReason, MachineError, Progress } from '../index.ts';
import { STOPPED } from '../machine/protocol.ts';

const STAGES: Record<Progress['stage'], string> = {
  loading: 'Loading',
  starting: 'Loading',
  kernel: 'Loading',
  booting: 'Booting Linux',
  running: 'Running',
};

const HALTED: Record<HaltReason, [title: string, text: string]> = {
  poweroff: ['Powered off', 'The machine has shut down.'],
  restart: ['Restarting', ''],
  panic: [
    'Kernel panic',
    'The kernel has stopped. Its last words are in the console behind this message: close it to read and copy them.',
  ],
};

const ERRORS: Partial<Record<MachineError['code'], string>> = {
  'not-isolated': 'This page cannot start a machine here',
  'no-shared-memory': 'This browser cannot run a machine',
  download: 'Download failed',
  disk: 'The disk cannot be opened',
  'out-of-memory': 'Out of memory',
  'invalid-option': 'Wrong option',
};

/** A button of a question, and what it does. */
export interface Choice {
  label: string;
  choose: () => void;
}

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

function mebibytes(bytes: number): string {
  return (bytes / 1048576).toFixed(1);
}

export class Overlay {
  private readonly overlay = element('overlay');
  private readonly title = element('overlay-title');
  private readonly text = element('overlay-text');
  private readonly actions = element('overlay-actions');
  private readonly choices = element('overlay-choices');
  private readonly bar = element('progress') as HTMLProgressElement;
  private readonly status = element('status');

  /**
   * `closed` is called when somebody closes the box of a machine that has ended
   * or that does not respond.
   */
  constructor(restart: () => void, closed: () => void) {
    for (const id of ['restart', 'restart-again']) element(id).addEventListener('click', restart);
    const close = () => {
      this.overlay.hidden = true;
      element('restart-again').hidden = false;
      closed();
    };
    element('overlay-close').addEventListener('click', close);
    this.overlay.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !this.actions.hidden) close();
    });
  }

  /** Asks what to do. The first choice has the focus. */
  ask(title: string, text: string, choices: Choice[]): void {
    this.status.textContent = title;
    this.show('question', title, text);
    const buttons = choices.map(({ label, choose }) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', () => {
        this.hide();
        choose();
      });
      return button;
    });
    this.choices.replaceChildren(...buttons);
    this.choices.hidden = false;
    buttons[0]?.focus();
  }

  progress({ stage, loaded, total }: Progress): void {
    const loading = STAGES[stage] === 'Loading';
    const amount = total > 0 ? `${mebibytes(loaded)} of ${mebibytes(total)} MiB` : `${mebibytes(loaded)} MiB`;
    this.status.textContent = loading ? `${STAGES[stage]}, ${amount}` : STAGES[stage];
    if (!loading) {
      this.hide();
      return;
    }
    this.show('loading', 'Loading Linux', amount);
    this.bar.hidden = false;
    if (total > 0) {
      this.bar.max = total;
      this.bar.value = loaded;
    } else this.bar.removeAttribute('value');
  }

  /**
   * Shows a text in the status line, until the machine has something to say
   * there.
   */
  say(text: string): void {
    this.status.textContent = text;
  }

  halted(reason: HaltReason): void {
    const [title, text] = HALTED[reason];
    this.status.textContent = title;
    this.show(reason === 'panic' ? 'failed' : 'halted', title, text);
  }

  failed(error: MachineError): void {
    const title = ERRORS[error.code] ?? 'The machine has failed';
    const advice =
      error.code === 'out-of-memory'
        ? '\nClose other tabs, or give the machine less memory: add ?memory=256 to the address.'
        : '';
    this.status.textContent = title;
    this.show('failed', title, error.message + advice);
  }

  /**
   * Shows a warning of the machine. Its first line is for people, the rest for
   * diagnostics.
   */
  warn(message: string): void {
    const [line = ''] = message.split('\n');
    this.status.textContent = line;
    if (message.startsWith(STOPPED))
      this.show('stopped', 'The machine does not respond', `${line}.\nIt may go on by itself, or be restarted.`);
  }

  /** The machine responds again: closes the box that said it does not. */
  resume(): void {
    if (this.overlay.className !== 'stopped') return;
    this.status.textContent = STAGES.running;
    this.hide();
  }

  hide(): void {
    this.overlay.hidden = true;
    element('restart-again').hidden = true;
  }

  private show(kind: 'loading' | 'question' | 'stopped' | 'halted' | 'failed', title: string, text: string): void {
    this.overlay.className = kind;
    this.title.textContent = title;
    this.text.textContent = text;
    this.bar.hidden = true;
    this.choices.hidden = true;
    this.actions.hidden = kind === 'loading' || kind === 'question';
    // Progress is no dialog. A screen reader should not stop for it.
    this.overlay.setAttribute('role', kind === 'loading' ? 'group' : 'alertdialog');
    const appeared = this.overlay.hidden;
    this.overlay.hidden = false;
    if (appeared && !this.actions.hidden) element('restart').focus();
  }
}
