// SPDX-License-Identifier: MIT
// The visitor's files, which the browser keeps: what to do where it does not,
// or where another tab has them, and the menu for them.

import type { DiskOptions, Machine, MachineError } from '../index.ts';
import type { Notice, TaskBar } from './bars.ts';
import type { Overlay } from './overlay.ts';

/** The guest mounts the disk of this name on /home and /root. */
const NAME = 'home';

/** Of the disk; what it takes is what was written. */
const SIZE = '4G';

/** No question: there is nothing to choose. */
const CANNOT_SAVE = 'This browser cannot keep files: what you make here ends with this tab.';

/** Set in sessionStorage of a tab whose visitor has chosen not to save. */
const UNSAVED = 'auklet.unsaved';

export interface SavingPage {
  /** Boots a machine anew. */
  start: () => Promise<void>;
  machine: () => Machine | undefined;
}

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export class Saving {
  private readonly page: SavingPage;
  private readonly overlay: Overlay;
  private readonly notice: Notice;
  private readonly tasks: TaskBar;
  private readonly menu = element('files-menu');
  private readonly button = element('files');
  private mode: 'saved' | 'copy' | 'none' = 'saved';
  private whenInUse: 'fail' | 'wait' = 'fail';
  /** Whether it asks something. No progress of the machine is shown then. */
  asking = false;

  constructor(page: SavingPage, overlay: Overlay, notice: Notice, tasks: TaskBar) {
    this.page = page;
    this.overlay = overlay;
    this.notice = notice;
    this.tasks = tasks;
    this.button.addEventListener('click', () => this.open(this.menu.hidden !== false));
    this.menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      this.open(false);
      this.button.focus();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!this.menu.contains(target as Node) && target !== this.button) this.open(false);
    });
    const item = (id: string, act: () => Promise<void>) =>
      element(id).addEventListener('click', () => {
        this.open(false);
        act().catch((error: unknown) => this.notice.show(textOf(error)));
      });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') void this.sync();
    });
    item('disk-export', () => this.exportDisk());
    item('disk-import', () => this.importDisk());
    item('disk-reset', async () => this.askReset());
  }

  /** `allowed` is false if the address says that nothing is to be kept. */
  disks(allowed: boolean): DiskOptions[] {
    this.asking = false;
    if (!allowed || choiceOfTab()) this.mode = 'none';
    if (this.mode !== 'none' && navigator.storage?.getDirectory === undefined) {
      this.mode = 'none';
      this.notice.show(CANNOT_SAVE);
    }
    if (this.mode === 'none') return [];
    const whenInUse = this.mode === 'copy' ? 'copy' : this.whenInUse;
    return [{ name: NAME, saved: true, size: SIZE, whenInUse }];
  }

  /** Whether it deals with the error: by a question if there is a choice. */
  handles(error: MachineError): boolean {
    if (error.code === 'disk-in-use') this.askInUse(error);
    else if (error.code === 'no-storage' && error.detail === 'unsupported') {
      this.startUnsaved('none');
      this.notice.show(CANNOT_SAVE);
      return true;
    } else if (error.code === 'no-storage')
      this.overlay.ask('Files cannot be kept here', `${capital(reasonOf(error.message))}.`, [
        { label: 'Start without saving', choose: () => this.startUnsaved('none') },
      ]);
    else if (error.code === 'disk')
      this.overlay.ask('The disk cannot be opened', error.message, [
        { label: 'Try again', choose: () => this.start() },
        { label: 'Start without saving', choose: () => this.startUnsaved('none') },
      ]);
    else return false;
    this.asking = true;
    return true;
  }

  /** The machine waits for a disk that another tab has. */
  showWait(message: string): void {
    this.asking = true;
    this.overlay.ask(
      'Waiting for the other tab',
      `${capital(reasonOf(message))}. Linux starts here when that tab is closed.`,
      [{ label: 'Start without saving', choose: () => this.startUnsaved('copy') }],
    );
  }

  /**
   * Writes what programs have not synced. A page that is hidden may be
   * discarded, and one that is left gets no time for it.
   */
  private async sync(): Promise<void> {
    if (this.mode !== 'saved') return;
    try {
      await this.page.machine()?.exec(['sync']);
    } catch {
      // The machine has ended, or has not begun.
    }
  }

  private askInUse({ message, detail }: MachineError): void {
    this.overlay.ask(
      'Your files are open in another tab',
      `${capital(reasonOf(message))}.\nOnly one tab at a time can change them.`,
      [
        {
          label: 'Wait for it',
          choose: () => {
            this.whenInUse = 'wait';
            this.start();
          },
        },
        {
          label: 'Start without saving',
          choose: () => this.startUnsaved(detail === 'answers' ? 'copy' : 'none'),
        },
      ],
    );
  }

  private startUnsaved(mode: 'copy' | 'none'): void {
    this.mode = mode;
    this.whenInUse = 'fail';
    if (mode === 'none') rememberChoice();
    this.start();
  }

  private start(): void {
    void this.page.start();
  }

  private open(open: boolean): void {
    this.menu.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (open) void this.describe();
  }

  private async describe(): Promise<void> {
    const saved = this.mode === 'saved';
    for (const id of ['disk-import', 'disk-reset']) (element(id) as HTMLButtonElement).disabled = !saved;
    (element('disk-export') as HTMLButtonElement).disabled = this.mode === 'none';
    const text = element('saving');
    text.textContent = {
      saved: 'This browser keeps the files of /home and /root.',
      copy: 'This is a copy of the files of another tab. Nothing is kept.',
      none: 'Nothing is kept: files end with this tab.',
    }[this.mode];
    if (!saved) return;
    try {
      const disk = this.page.machine()!.disk(NAME);
      const [usage, size] = await Promise.all([disk.usage(), disk.size()]);
      text.textContent += ` They take ${readable(usage)} of at most ${readable(size)}.`;
    } catch {
      // The machine has ended meanwhile.
    }
  }

  private async exportDisk(): Promise<void> {
    await this.sync();
    const disk = this.page.machine()!.disk(NAME);
    const blob = await this.tasks.run((report, signal) => {
      const image = disk.export({ onProgress: (done, total) => report('Exporting the disk', done / total) });
      return new Response(image.pipeThrough(new TransformStream(), { signal })).blob();
    });
    if (blob !== undefined) download(blob, `auklet-${NAME}-${new Date().toISOString().slice(0, 10)}.raw.gz`);
  }

  private async importDisk(): Promise<void> {
    const file = await pick();
    if (file === undefined) return;
    const disk = this.page.machine()!.disk(NAME);
    const done = await this.tasks.run(async (report, signal) => {
      const onProgress = (bytes: number) => report(`Importing ${file.name}: ${readable(bytes)}`);
      await disk.import(file, { onProgress, signal });
      return true;
    });
    // The files change under the machine's feet only now.
    if (done) await this.page.start();
  }

  private askReset(): void {
    this.overlay.ask('Delete all files?', 'All that is in /home and /root is deleted, and Linux starts again.', [
      { label: 'Keep them', choose: () => {} },
      {
        label: 'Delete and restart',
        choose: () => {
          this.page
            .machine()!
            .disk(NAME)
            .reset()
            .then(() => this.page.start())
            .catch((error: unknown) => this.notice.show(textOf(error)));
        },
      },
    ]);
  }
}

function choiceOfTab(): boolean {
  try {
    return sessionStorage.getItem(UNSAVED) === '1';
  } catch {
    return false;
  }
}

function rememberChoice(): void {
  try {
    sessionStorage.setItem(UNSAVED, '1');
  } catch {
    // It asks again after a reload.
  }
}

/** A message without what it is about. */
function reasonOf(message: string): string {
  return message.replace(/^[\w ]*disk [\w-]+: /, '');
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function readable(bytes: number): string {
  const unit = bytes >= 2 ** 30 ? 30 : 20;
  return `${Number((bytes / 2 ** unit).toFixed(1))} ${unit === 30 ? 'GiB' : 'MiB'}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has the blob by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A file that the visitor picks; undefined if none. */
function pick(): Promise<File | undefined> {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = '.gz,.raw,.img';
  return new Promise((resolve) => {
    input.addEventListener('change', () => resolve(input.files?.[0]));
    input.addEventListener('cancel', () => resolve(undefined));
    input.click();
  });
}
