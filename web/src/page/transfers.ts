// SPDX-License-Identifier: MIT
// Files between the visitor and the guest, as far as the page needs it from its
// start: the menu's entries, drops, and an ear for downloads. What they do is
// in transfer-tasks.ts, which is loaded when it is first needed.

import { DOWNLOAD_PORT } from '../api/sockets.ts';
import type { Machine } from '../index.ts';
import type { Notice, TaskBar } from './bars.ts';
import type { MenuEntry } from './files-menu.ts';
import { pick } from './pick.ts';
import { textOf } from './texts.ts';
import type { TransferTasks } from './transfer-tasks.ts';

export interface TransfersPage {
  machine: () => Machine | undefined;
  /** Shows a text in the status line. */
  say: (text: string) => void;
}

export class Transfers {
  private readonly page: TransfersPage;
  private readonly notice: Notice;
  private readonly bar: TaskBar;
  private loading: Promise<TransferTasks> | undefined;

  constructor(page: TransfersPage, notice: Notice, bar: TaskBar) {
    this.page = page;
    this.notice = notice;
    this.bar = bar;
    this.takeDrops(document.querySelector('main')!);
  }

  /** Of the menu. */
  entries(): MenuEntry[] {
    const upload = async (files: Promise<File[]>) => (await this.tasks()).uploadFiles(await files);
    return [
      { label: 'Upload files…', act: () => upload(pick({ multiple: true })) },
      { label: 'Upload a folder…', act: () => upload(pick({ folder: true })) },
      { label: 'Download…', act: async () => (await this.tasks()).download() },
    ];
  }

  /** Takes what programs of the machine give by `download`. */
  serve(machine: Machine): void {
    machine.listen(DOWNLOAD_PORT, async (socket) => {
      const tasks = await this.tasks().catch((error: unknown) => this.notice.show(textOf(error)));
      // The program would wait for ever.
      if (tasks === undefined) socket.reset();
      else await tasks.accept(socket);
    });
  }

  /**
   * A drop anywhere is for the guest. The browser would leave the page for the
   * file.
   */
  private takeDrops(place: HTMLElement): void {
    const listen = (type: 'dragover' | 'dragleave' | 'drop', handle: (event: DragEvent) => void) =>
      document.addEventListener(
        type,
        (event) => {
          if (event.dataTransfer?.types.includes('Files')) handle(event);
        },
        { capture: true },
      );
    listen('dragover', (event) => {
      event.preventDefault();
      event.dataTransfer!.dropEffect = 'copy';
      place.classList.add('dropping');
    });
    listen('dragleave', ({ relatedTarget }) => {
      if (relatedTarget === null) place.classList.remove('dropping');
    });
    listen('drop', (event) => {
      event.preventDefault();
      event.stopPropagation();
      place.classList.remove('dropping');
      // What was dropped can be asked for only now.
      const items = droppedItems(event.dataTransfer!);
      this.tasks()
        .then((tasks) => tasks.uploadItems(items))
        .catch((error: unknown) => this.notice.show(textOf(error)));
    });
  }

  private tasks(): Promise<TransferTasks> {
    this.loading ??= import('./transfer-tasks.ts')
      .then(({ TransferTasks }) => new TransferTasks(this.page, this.notice, this.bar))
      .catch((error: unknown) => {
        // The network may be back the next time.
        this.loading = undefined;
        throw error;
      });
    return this.loading;
  }
}

function droppedItems(transfer: DataTransfer): (FileSystemEntry | File)[] {
  const items: (FileSystemEntry | File)[] = [];
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const given = item.webkitGetAsEntry() ?? item.getAsFile();
    if (given !== null) items.push(given);
  }
  return items;
}
