// SPDX-License-Identifier: MIT
// Uploads and downloads, with their progress and their questions
// (docs/transfers.md).

import { ByteReader } from '../api/byte-reader.ts';
import { downloadTaker, readDownload, type Download } from '../api/downloads.ts';
import { shownName } from '../api/file-names.ts';
import { outputStream } from '../api/output-stream.ts';
import { encodeUploads, UnreadableFile, uploadSize, type Upload } from '../api/uploads.ts';
import type { ExecResult, Machine, MachineSocket } from '../index.ts';
import type { Notice, TaskBar } from './bars.ts';
import { uploadsOfFiles, uploadsOfItems } from './dropped.ts';
import { Question } from './question.ts';
import { askPlace, save, wantsPlace } from './save.ts';
import { readable, textOf } from './texts.ts';
import type { TransfersPage } from './transfers.ts';

/** The guest's side, for whoever works at the console, where that is. */
const TRANSFER = '/sbin/transfer';

/** Status of a command that does not exist. */
const NOT_FOUND = 127;

/**
 * Milliseconds. A program's download that begins sooner after the one before is
 * asked for.
 */
const BURST = 10_000;

/** Milliseconds that the guest has to clean up after an upload. */
const PATIENCE = 5000;

const ALLOW = 'Allow';
const REFUSE = 'Refuse';
const CHOOSE = 'Choose where…';

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export class TransferTasks {
  private readonly page: TransfersPage;
  private readonly notice: Notice;
  private readonly bar: TaskBar;
  private readonly question = new Question();
  /** Takes the connection of a program that gives a file. */
  readonly accept: (socket: MachineSocket) => Promise<void>;
  /** Downloads of programs come one after the other. */
  private turn: Promise<unknown> = Promise.resolve();
  private lastEnd = -Infinity;
  /** How often the dialog was opened. */
  private dialogs = 0;
  /** What the visitor has said to the present burst. */
  private answer: string | undefined;

  constructor(page: TransfersPage, notice: Notice, bar: TaskBar) {
    this.page = page;
    this.notice = notice;
    this.bar = bar;
    this.accept = downloadTaker((download) => this.take(download));
  }

  async uploadFiles(files: readonly File[]): Promise<void> {
    await this.upload(uploadsOfFiles(files));
  }

  async uploadItems(items: readonly (FileSystemEntry | File)[]): Promise<void> {
    await this.upload(await uploadsOfItems(items));
  }

  private async upload(uploads: readonly Upload[]): Promise<void> {
    if (uploads.length === 0) return;
    const machine = this.machine();
    const total = uploadSize(uploads);
    const [first = '', ...others] = new Set(uploads.map(({ path }) => path.split('/')[0]!));
    const what = others.length === 0 ? shownName(first) : `${others.length + 1} files and folders`;
    const text = `Uploading ${what}, ${readable(total)}`;
    const kill = new AbortController();
    const names = await this.bar.run(async (report, signal) => {
      let done = 0;
      let unreadable: UnreadableFile | undefined;
      // An input that ends too early lets the guest remove what it has got. A
      // command that is killed could not.
      const input = async function* () {
        try {
          for await (const bytes of encodeUploads(uploads, signal)) {
            if (signal.aborted) return;
            report(text, total === 0 ? undefined : Math.min(1, done / total));
            yield bytes;
            done += bytes.length;
          }
        } catch (error) {
          if (!(error instanceof UnreadableFile)) throw error;
          if (!signal.aborted) unreadable = error;
        }
      };
      report(text, 0);
      let patience: ReturnType<typeof setTimeout> | undefined;
      signal.addEventListener('abort', () => (patience = setTimeout(() => kill.abort(signal.reason), PATIENCE)));
      const result = await machine
        .exec([TRANSFER, 'take'], { stdin: input(), signal: kill.signal })
        .finally(() => clearTimeout(patience));
      if (unreadable !== undefined)
        throw new Error(`${shownName(unreadable.path)} cannot be read: ${unreadable.message}`);
      check(result);
      return new TextDecoder().decode(result.stdout).split('\0');
    });
    if (names !== undefined) this.page.say(placed(names));
    else if (kill.signal.aborted) this.page.say('Upload cancelled: a hidden folder with a part of it is left');
    else this.page.say('Upload cancelled: nothing is left of it');
  }

  /** Asks for a path, and saves what is there. */
  async download(): Promise<void> {
    const machine = this.machine();
    const path = await this.askPath(machine);
    if (path === undefined) return;
    const saved = await this.bar.run(async (report, signal) => {
      report(`Downloading ${shownName(path)}`);
      const command = [TRANSFER, 'give', path];
      const stream = outputStream((words, options) => machine.exec(words, options), command, check);
      const reader = new ByteReader(stream.getReader());
      signal.addEventListener('abort', () => void reader.cancel());
      try {
        const download = await readDownload(reader);
        const { name } = download;
        await this.save(download, await this.place(download, signal), report, signal);
        return { name, trouble: await troubleOf(reader) };
      } finally {
        void reader.cancel();
      }
    });
    if (saved?.trouble !== undefined) this.notice.show(`${saved.name} is saved, but not whole: ${saved.trouble}`);
    this.page.say(saved === undefined ? 'Download cancelled' : `${shownName(saved.name)} downloaded`);
  }

  /** Takes what a program gives. Resolves to what the program is told. */
  private take(download: Download): Promise<string> {
    const result = this.turn.then(() => this.takeInTurn(download));
    this.turn = result.catch(() => {});
    return result;
  }

  private async takeInTurn(download: Download): Promise<string> {
    try {
      if (!(await this.isAllowed(download))) throw new Error('refused');
      const place = await this.place(download, download.signal);
      const saved = await this.bar.run(async (report, signal) => {
        await this.save(download, place, report, signal);
        return true;
      });
      if (!saved) throw new Error('cancelled');
      this.page.say(`${shownName(download.name)} downloaded`);
      return place === undefined ? 'downloaded' : 'saved';
    } finally {
      this.lastEnd = performance.now();
    }
  }

  /** The first one of a burst is; the answer to the second is for the rest. */
  private async isAllowed({ name, size, signal }: Download): Promise<boolean> {
    if (performance.now() - this.lastEnd >= BURST) {
      this.answer = undefined;
      return true;
    }
    this.answer ??= await this.question.ask(
      `A program wants to download another file, and more may follow: ${described(name, size)}`,
      [ALLOW, REFUSE],
      signal,
    );
    return this.answer === ALLOW;
  }

  /** Where a large file goes, which the visitor says. */
  private async place({ name, size }: Download, signal: AbortSignal): Promise<FileSystemFileHandle | undefined> {
    if (!wantsPlace(size)) return undefined;
    const answer = await this.question.ask(`Save ${described(name, size)}`, [CHOOSE, REFUSE], signal);
    if (answer !== CHOOSE) throw new Error('refused');
    return askPlace(name).catch((error: unknown) => {
      throw error instanceof DOMException && error.name === 'AbortError' ? new Error('cancelled') : error;
    });
  }

  private save(
    { name, size, content }: Download,
    place: FileSystemFileHandle | undefined,
    report: (text: string, part?: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const onProgress = (done: number) =>
      report(
        `Downloading ${described(name, size ?? done)}`,
        size === undefined ? undefined : Math.min(1, done / Math.max(1, size)),
      );
    return save(content, name, { signal, place, onProgress });
  }

  private async askPath(machine: Machine): Promise<string | undefined> {
    const dialog = element('download') as HTMLDialogElement;
    const input = element('download-path') as HTMLInputElement;
    const from = element('download-from');
    input.value = '';
    dialog.returnValue = '';
    dialog.showModal();
    input.focus();
    machine.exec([TRANSFER, 'where']).then(
      ({ status, stdout }) => {
        if (status === 0) from.textContent = shownName(new TextDecoder().decode(stdout).replace(/\n$/, ''));
      },
      () => {},
    );
    // The event of a dialog may come when the next one is open already.
    const number = ++this.dialogs;
    await new Promise<void>((resolve) => {
      const closed = () => {
        if (dialog.open) return;
        dialog.removeEventListener('close', closed);
        resolve();
      };
      dialog.addEventListener('close', closed);
    });
    return number === this.dialogs && dialog.returnValue === 'download' ? input.value : undefined;
  }

  private machine(): Machine {
    const machine = this.page.machine();
    if (machine === undefined) throw new Error('Linux does not run.');
    return machine;
  }
}

/** @throws Error if a command has failed, with what it has said. */
function check({ status, stderr }: ExecResult): void {
  if (status === 0) return;
  if (status === NOT_FOUND) throw new Error(`This system has no ${TRANSFER}, which the page needs for this.`);
  const text = new TextDecoder()
    .decode(stderr)
    .replace(/^transfer: /gm, '')
    .trim();
  throw new Error(text === '' ? 'A program of the guest has ended this.' : text);
}

/** What a command has said against what it did; undefined if nothing. */
async function troubleOf(reader: ByteReader): Promise<string | undefined> {
  try {
    while ((await reader.some()) !== undefined);
    return undefined;
  } catch (error) {
    return textOf(error);
  }
}

/** Says where files are: the folder, and pairs of an old and a new name. */
function placed([folder = '', ...names]: string[]): string {
  const [name = '', given = ''] = names;
  const moved = name !== given;
  if (names.length <= 3)
    return `${shownName(name)} → ${shownName(moved ? `${folder.replace(/\/$/, '')}/${given}` : folder)}`;
  const pairs = Math.floor(names.length / 2);
  let others = 0;
  for (let index = 0; index < 2 * pairs; index += 2) if (names[index] !== names[index + 1]) ++others;
  const note = others === 0 ? '' : `; ${others} with other names, because theirs were taken`;
  return `${pairs} files and folders → ${shownName(folder)}${note}`;
}

function described(name: string, size: number | undefined): string {
  return size === undefined ? `“${shownName(name)}”` : `“${shownName(name)}”, ${readable(size)}`;
}
