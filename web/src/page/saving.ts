// SPDX-License-Identifier: MIT
// The visitor's files, which the browser keeps: what to do where it does not,
// or where another tab has them, and the menu for them.

import type { DiskOptions, Machine, MachineError } from '../index.ts';
import type { Notice, TaskBar } from './bars.ts';
import type { MenuEntry } from './files-menu.ts';
import type { Overlay } from './overlay.ts';
import { pick } from './pick.ts';
import { readable, textOf } from './texts.ts';

/** The guest mounts the disk of this name on /home and /root. */
const NAME = 'home';

/** Of the disk; what it takes is what was written. */
const SIZE = '4G';

/** No question: there is nothing to choose. */
const CANNOT_SAVE = 'This browser cannot keep files: what you make here ends with this tab.';

/** Files that are named which changed while they were exported. */
const MOST_CHANGED = 5;
const CHANGES = { gone: 'removed', changed: 'written to', cut: 'made shorter' };

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
  private mode: 'saved' | 'copy' | 'none' = 'saved';
  private whenInUse: 'fail' | 'wait' = 'fail';
  /** Whether it asks something. No progress of the machine is shown then. */
  asking = false;

  constructor(page: SavingPage, overlay: Overlay, notice: Notice, tasks: TaskBar) {
    this.page = page;
    this.overlay = overlay;
    this.notice = notice;
    this.tasks = tasks;
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') void this.sync();
    });
  }

  /** Of the menu. */
  entries(): MenuEntry[] {
    const isThere = () => this.mode !== 'none';
    const isSaved = () => this.mode === 'saved';
    return [
      { label: 'Export the files as a tar', act: () => this.exportDisk('tar'), isEnabled: isThere },
      { label: 'Export the disk', act: () => this.exportDisk('raw.gz'), isEnabled: isThere },
      { label: 'Import a disk…', act: () => this.importDisk(), isEnabled: isSaved },
      { label: 'Make it larger…', act: () => this.askGrow(), isEnabled: isSaved },
      { label: 'Delete all files…', act: () => this.askReset(), isEnabled: isSaved },
    ];
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
  async sync(signal?: AbortSignal): Promise<void> {
    if (this.mode !== 'saved') return;
    try {
      await this.page.machine()?.exec(['sync'], signal === undefined ? {} : { signal });
    } catch {
      // The machine has ended, or has not begun; or nobody waits any more.
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

  /** Says in the menu what is kept. */
  async describe(): Promise<void> {
    const text = element('saving');
    text.textContent = {
      saved: 'This browser keeps the files of /home and /root.',
      copy: 'This is a copy of the files of another tab. Nothing is kept.',
      none: 'Nothing is kept: files end with this tab.',
    }[this.mode];
    if (this.mode !== 'saved') return;
    try {
      const disk = this.page.machine()!.disk(NAME);
      const [usage, size] = await Promise.all([disk.usage(), disk.size()]);
      text.textContent += ` They take ${readable(usage)} of at most ${readable(size)}.`;
    } catch {
      // The machine has ended meanwhile.
    }
  }

  private async exportDisk(format: 'tar' | 'raw.gz'): Promise<void> {
    const disk = this.page.machine()!.disk(NAME);
    const [{ askPlace, save, wantsPlace }, { shownName }, usage] = await Promise.all([
      import('./save.ts'),
      import('../api/file-names.ts'),
      disk.usage(),
    ]);
    const text = format === 'tar' ? 'Exporting the files' : 'Exporting the disk';
    const name = `auklet-${NAME}-${new Date().toISOString().slice(0, 10)}.${format}`;
    let place: FileSystemFileHandle | undefined;
    try {
      // The click still counts for a browser.
      if (wantsPlace(usage)) place = await askPlace(name);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return;
      throw error;
    }
    await this.tasks.run(async (report, signal) => {
      report(text);
      await this.sync(signal);
      signal.throwIfAborted();
      const changed: string[] = [];
      const content = disk.export({
        format,
        onProgress: (done, total) => report(text, done / total),
        onChanged: (path, change) => changed.push(`${shownName(path)} (${CHANGES[change]})`),
      });
      await save(content, name, { signal, place });
      if (changed.length === 0) return;
      const others = changed.length - MOST_CHANGED;
      this.notice.show(
        `Programs used these files meanwhile: ${changed.slice(0, MOST_CHANGED).join(', ')}` +
          (others > 0 ? `, and ${others} more` : ''),
      );
    });
  }

  private async importDisk(): Promise<void> {
    const [file] = await pick({ accept: '.gz,.raw,.img' });
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

  private async askGrow(): Promise<void> {
    const disk = this.page.machine()!.disk(NAME);
    const size = await disk.size();
    const choice = (bytes: number) => ({
      label: `Make it ${readable(bytes)}`,
      choose: () => {
        disk.grow(bytes).catch((error: unknown) => this.notice.show(textOf(error)));
      },
    });
    const text = `It has room for ${readable(size)}. More takes nothing until files fill it, and cannot be taken back.`;
    const leave = { label: 'Leave it', choose: () => {} };
    this.overlay.ask('Make the disk larger?', text, [leave, choice(2 * size), choice(4 * size)]);
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
