// SPDX-License-Identifier: MIT
// A tab or a browser that is killed loses nothing that was synced, on a disk that the browser keeps.
//
// In each round a guest runs tests/programs/crashwriter on ext4, and is killed in one of six ways. Then the disk's file is taken from
// the browser's folder, and e2fsprogs and crashwriter check a copy of it. The next round's guest mounts the disk and checks it,
// too. An acknowledgement counts if it has come to this program before the kill.
//
// AUKLET_KILLS is the number of rounds (10), AUKLET_KILLS_SEED the seed of all that is random; it is printed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { build } from '../boot/machines.mjs';
import { faultOf } from '../crash/check-image.mjs';
import { randomNumbers } from '../crash/crash-images.mjs';
import { BROWSER, launchPages, makeProfile, servePage } from './browsers.mjs';
import { descendants, killAll, killBrowser, mainProcesses, processes } from './processes.mjs';

const ROUNDS = Number(process.env.AUKLET_KILLS ?? 10);
const SEED = Number(process.env.AUKLET_KILLS_SEED ?? Date.now() % 1e6);
/** Acknowledgements before a kill. */
const LEAST_STEPS = 50;
const SIZE = 64 << 20;
const DISK = '/dev/disk/by-id/virtio-crash';
/** Of the superblock of ext4, and where it is. */
const MAGIC = 0xef53;
const MAGIC_PLACE = 1080;

const crashwriter = readFileSync(join(build, 'tests/programs/crashwriter')).toString('base64');

/** In the page: a machine with the disk. `acknowledged` is what the round before has printed. */
async function boot([program, acknowledged, image]) {
  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const machine = new auklet.Machine({
    cpus: 2,
    memory: 128,
    exec: true,
    disks: [{ name: 'crash', saved: true, format: 'raw', size: 64 << 20, whenInUse: 'fail' }],
    files: [
      { path: '/bin/crashwriter', mode: 0o755, content: bytes(program) },
      { path: '/acknowledged', mode: 0o644, content: acknowledged },
    ],
  });
  globalThis.machine = machine;
  await machine.started;
  if (image === undefined) return;
  const stream = new Blob([bytes(image)]).stream().pipeThrough(new DecompressionStream('gzip'));
  await machine.disk('crash').import(stream);
  await machine.dispose();
}

/** In the page: a command's status and output. */
async function command(line) {
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
  const text = (bytes) => new TextDecoder().decode(bytes);
  return { status, output: text(stdout) + text(stderr) };
}

/** In the page: begins to write, and tells each piece of output to `acknowledge`. */
function begin(line) {
  const decoder = new TextDecoder();
  machine
    .exec(['sh', '-c', line], { onStdout: (bytes) => acknowledge(decoder.decode(bytes, { stream: true })) })
    .catch(() => {});
}

/** Runs before the page's scripts: keeps the workers that are started. */
function keepWorkers() {
  globalThis.startedWorkers = [];
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(url, options);
      startedWorkers.push({ url: String(url), worker: this });
    }
  };
}

/** The browser, its pages, and how they end. */
class Victim {
  #test;
  #profile;
  #address;
  #browser;
  page;

  constructor(test, profile, address) {
    this.#test = test;
    this.#profile = profile;
    this.#address = address;
  }

  async open() {
    this.#browser ??= await launchPages(this.#test, this.#profile);
    this.page ??= await this.#newPage();
    await this.page.goto(`${this.#address}?saving=0`);
    await this.page.waitForFunction(() => globalThis.auklet !== undefined);
    await this.page.evaluate(() => auklet.current?.dispose());
    return this.page;
  }

  async #newPage() {
    const page = await this.#browser.newPage();
    if (BROWSER === 'firefox') await page.evaluateOnNewDocument(keepWorkers);
    else await page.addInitScript(keepWorkers);
    return page;
  }

  get kinds() {
    const kinds = {
      'the tab is killed': () => this.#killTab(),
      'the browser is killed': () => this.#killBrowser(),
      'the tab is closed': () => this.#close(),
      'the page is loaded again': () => this.#reload(),
      'the storage worker is terminated': () => this.#terminate(),
    };
    if (BROWSER === 'chromium') kinds['the tab crashes'] = () => this.#crash();
    return kinds;
  }

  async #crash() {
    const { page } = this;
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    const session = await this.#browser.context.newCDPSession(page);
    session.send('Page.crash').catch(() => {});
    await crashed;
    await this.#close();
  }

  async #killTab() {
    const { page } = this;
    if (BROWSER === 'firefox') {
      const own = descendants(mainProcesses(this.#profile));
      // The kind is the last word; a process of the fork server has blanks between them.
      const isTab = (pid) => /\btab\0*$/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
      killAll(processes(['-contentproc']).filter((pid) => own.has(pid) && isTab(pid)));
      this.page = undefined;
      return;
    }
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    killAll(processes(['--type=renderer', this.#profile]));
    await crashed;
    await this.#close();
  }

  async #killBrowser() {
    await killBrowser(this.#browser, this.#profile);
    this.#browser = undefined;
    this.page = undefined;
  }

  async #close() {
    await this.page.close();
    this.page = undefined;
  }

  async #reload() {
    await this.page.reload();
  }

  async #terminate() {
    const count = await this.page.evaluate(() => {
      const workers = startedWorkers.filter(({ url }) => url.includes('storage-worker'));
      for (const { worker } of workers) worker.terminate();
      return workers.length;
    });
    assert(count > 0, 'there is no storage worker');
    await this.#close();
  }
}

/** Files of a folder, with those of its folders. */
function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The file that has the disk's only segment. */
async function segmentOf(profile) {
  const found = [];
  for (const path of filesOf(profile)) {
    const file = await openFile(path).catch(() => undefined);
    const bytes = Buffer.alloc(2);
    const { bytesRead } = (await file?.read(bytes, 0, 2, MAGIC_PLACE)) ?? {};
    await file?.close();
    if (bytesRead === 2 && bytes.readUInt16LE() === MAGIC) found.push(path);
  }
  assert.equal(found.length, 1, `files with a superblock: ${found.join(', ')}`);
  return found[0];
}

/** Whether the files have something of a step that was not acknowledged. */
function isInFlight(files, last) {
  if (existsSync(join(files, 'config.tmp'))) return true;
  const logs = readdirSync(files).filter((name) => /^log-\d+$/.test(name));
  const newest = Math.max(...logs.map((name) => Number(name.slice(4))));
  const bytes = readFileSync(join(files, `log-${newest}`));
  for (let place = 0; place < bytes.length;) {
    const length = 16 + (place + 16 <= bytes.length ? bytes.readUInt32LE(place + 8) : Infinity);
    if (place + length > bytes.length || bytes.readUInt32LE(place + 4) > last[0]) return true;
    place += length;
  }
  return false;
}

/** The last number of each process that was acknowledged. */
function lastOf(acknowledged) {
  const last = [0, 0, 0, 0];
  for (const [, process, number] of acknowledged.matchAll(/^ACK (\d) (\d+)\n/gm)) last[process] = Number(number);
  return last;
}

test(`${ROUNDS} kills in ${BROWSER} lose nothing that was synced, seed ${SEED}`, async (suite) => {
  const random = randomNumbers(SEED);
  const folder = mkdtempSync(join(tmpdir(), 'auklet-kills-'));
  const profile = makeProfile(suite);
  const victim = new Victim(suite, profile, await servePage(suite));
  const kinds = Object.keys(victim.kinds);
  const image = join(folder, 'made');
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', image, '64M']);
  execFileSync('gzip', [image]);
  await (await victim.open()).evaluate(boot, [crashwriter, '', readFileSync(`${image}.gz`).toString('base64')]);

  let output = '';
  let heard = () => {};
  const acknowledge = (text) => {
    output += text;
    heard();
  };
  /** Resolves when that many steps are acknowledged. */
  const steps = async (count) => {
    while ((output.match(/^ACK /gm)?.length ?? 0) < count) await new Promise((resolve) => (heard = resolve));
  };
  let acknowledged = '';
  let directory;
  let inFlight = 0;
  let exposed;
  for (let round = 0; round < ROUNDS; ++round) {
    const kind = kinds[round % kinds.length];
    const page = await victim.open();
    if (exposed !== page) await page.exposeFunction('acknowledge', acknowledge);
    exposed = page;
    await page.evaluate(boot, [crashwriter, acknowledged]);
    const check =
      directory === undefined ? 'true' : `crashwriter check /mnt/${directory} /acknowledged && rm -r /mnt/${directory}`;
    const mounted = await page.evaluate(
      command,
      `mount -t ext4 ${DISK} /mnt && ${check}; status=$?; dmesg | grep EXT4; exit $status`,
    );
    assert.equal(mounted.status, 0, `round ${round}, after ${kind}: ${mounted.output}`);
    assert.doesNotMatch(mounted.output, /EXT4-fs error|EXT4-fs warning/);

    directory = `round${round}`;
    output = '';
    await page.evaluate(
      begin,
      `mkdir /mnt/${directory} && sync && exec crashwriter write /mnt/${directory} ${SEED + round}`,
    );
    const aimed = random() < 0.5;
    await steps(LEAST_STEPS + Math.floor(random() * 50));
    // When an acknowledgement comes, the next flush has begun or will soon.
    await pause(aimed ? random() * 5 : 100 + random() * 1900);
    await victim.kinds[kind]();
    // What is cut off does not count.
    acknowledged = `SEED ${SEED + round}\n${output.slice(0, output.lastIndexOf('\n') + 1)}`;

    const copy = join(folder, 'disk');
    copyFileSync(await segmentOf(profile), copy);
    truncateSync(copy, SIZE);
    const fault = await faultOf(copy, acknowledged, folder, `/${directory}`);
    assert.equal(fault, undefined, `round ${round}: ${kind}; files of ${folder}`);
    if (isInFlight(join(folder, 'files', directory), lastOf(acknowledged))) ++inFlight;
    suite.diagnostic(`${kind}${aimed ? ', aimed' : ''}: ${lastOf(acknowledged)} acknowledged`);
  }
  suite.diagnostic(`${inFlight} of ${ROUNDS} kills came in the middle of a step`);
  assert(inFlight >= ROUNDS * 0.3, 'too few kills came in the middle of a step');
  rmSync(folder, { recursive: true });
});
