// SPDX-License-Identifier: MIT
// The page keeps its visitor's files: after a reload, with a second tab, in a private window, by export and import.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSER, launchFirefox, launchPages, launchTabs, makeProfile, servePage } from './browsers.mjs';
import { adapted, atPrompt, press, type } from './page-tools.mjs';
import { killBrowser } from './processes.mjs';

const heading = (page) => page.evaluate(() => document.getElementById('overlay-title').textContent);
const shown = (page, title) =>
  page.waitForFunction(
    (text) =>
      !document.getElementById('overlay').hidden && document.getElementById('overlay-title').textContent === text,
    {},
    title,
  );
const menuText = async (page, pattern) => {
  await press(page, 'Files');
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.getElementById('saving').textContent),
    {},
    pattern,
  );
  const text = await page.evaluate(() => document.getElementById('saving').textContent);
  await press(page, 'Files');
  return text;
};

test(`files of the page in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const { newPage } = await launchPages(suite);
  const open = async (query = '') => {
    const page = adapted(await newPage());
    await page.goto(address + query);
    return page;
  };
  const page = await open();
  await atPrompt(page);

  await suite.test('a file is there after a reload', async () => {
    await type(page, 'echo kept > /root/a; mkdir -p /home/u1; echo mine > /home/u1/b; sync');
    await page.reload();
    await atPrompt(page);
    assert.equal(await type(page, 'cat /root/a /home/u1/b'), 'kept\nmine\n');
    assert.match(
      await menuText(page, 'They take'),
      /^This browser keeps the files of \/home and \/root\. They take \d+(\.\d)? MiB of at most 4 GiB\.$/,
    );
  });

  await suite.test('a second tab starts with a copy', async () => {
    const second = await open();
    await shown(second, 'Your files are open in another tab');
    const text = await second.evaluate(() => document.getElementById('overlay-text').textContent);
    assert.match(text, /In use by another tab: “.+”, since .+\nOnly one tab/);
    await press(second, 'Start without saving');
    await atPrompt(second);
    assert.equal(await type(second, 'cat /root/a; echo other > /root/a; sync'), 'kept\n');
    assert.match(await menuText(second, 'copy'), /Nothing is kept/);
    await second.close();
    assert.equal(await type(page, 'cat /root/a'), 'kept\n');
  });

  await suite.test('a second tab waits for the first', async () => {
    const second = await open();
    await shown(second, 'Your files are open in another tab');
    await press(second, 'Wait for it');
    await shown(second, 'Waiting for the other tab');
    await type(page, 'echo last > /root/c; sync');
    await page.close();
    await atPrompt(second);
    assert.equal(await type(second, 'cat /root/a /root/c'), 'kept\nlast\n');
    await second.close();
  });

  await suite.test('what the address says not to keep is not kept', async () => {
    const other = await open('?saving=0');
    await atPrompt(other);
    assert.match(await menuText(other, 'Nothing'), /files end with this tab/);
    assert.equal(await type(other, 'ls /root'), '');
    await other.close();
  });

  await suite.test('the disk is made larger from the menu', async () => {
    const tab = await open();
    await atPrompt(tab);
    await press(tab, 'Files');
    await press(tab, 'Make it larger…');
    await shown(tab, 'Make the disk larger?');
    await press(tab, 'Make it 8 GiB');
    await tab.waitForFunction(() => document.getElementById('overlay').hidden);
    // The dialog does not wait for the file system.
    const room = "df -m /home | awk 'END { print $2 }'";
    // The kernel's own lines come in between.
    assert.match(await type(tab, `while [ $(${room}) -lt 7000 ]; do usleep 50000; done; cat /root/a`), /kept\n/);
    assert.match(await menuText(tab, 'They take'), /of at most 8 GiB\.$/);
    await tab.close();
  });

  await suite.test('export, reset and import: the same files', async (report) => {
    if (BROWSER !== 'chromium') return report.skip('BiDi gives no downloads');
    const folder = mkdtempSync(join(tmpdir(), 'auklet-saving-'));
    suite.after(() => rmSync(folder, { recursive: true }));
    const tab = await open();
    await atPrompt(tab);
    const sums = await type(
      tab,
      'dd if=/dev/urandom of=/home/u1/r bs=1M count=3 2> /dev/null; sync; sha256sum /home/u1/* /root/*',
    );
    const coming = tab.waitForEvent('download');
    await tab.getByRole('button', { name: 'Files' }).click();
    await tab.getByRole('button', { name: 'Export the disk' }).click();
    const download = await coming;
    assert.match(download.suggestedFilename(), /^auklet-home-\d{4}-\d\d-\d\d\.raw\.gz$/);
    const path = join(folder, download.suggestedFilename());
    await download.saveAs(path);

    const machine = () => tab.evaluateHandle(() => auklet.current);
    const restarted = async (old) => {
      await tab.waitForFunction((before) => auklet.current !== undefined && auklet.current !== before, {}, old);
      await atPrompt(tab);
    };
    let old = await machine();
    await tab.getByRole('button', { name: 'Files' }).click();
    await tab.getByRole('button', { name: 'Delete all files…' }).click();
    await tab.getByRole('button', { name: 'Delete and restart' }).click();
    await restarted(old);
    assert.equal(await type(tab, 'ls /home /root'), '/home:\n\n/root:\n');

    const choose = async (file) => {
      const chooser = tab.waitForEvent('filechooser');
      await tab.getByRole('button', { name: 'Files' }).click();
      await tab.getByRole('button', { name: 'Import a disk…' }).click();
      await (await chooser).setFiles(file);
    };
    const bad = join(folder, 'bad.raw');
    writeFileSync(bad, 'no image');
    await choose(bad);
    await tab.getByText('the image cannot be read: its length is no multiple of 512 bytes').waitFor();
    await tab.locator('#notice-close').click();
    assert.equal(await type(tab, 'echo still here'), 'still here\n');

    old = await machine();
    await choose(path);
    await restarted(old);
    assert.equal(await type(tab, 'sha256sum /home/u1/* /root/*'), sums);
    // It is the raw image of an ext4 file system.
    const image = execFileSync('sh', ['-c', 'gunzip < "$1" | head -c 2048', 'sh', path], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.equal(image.readUInt16LE(1080), 0xef53);
    await tab.close();
  });
});

test(`what programs have not synced is written when ${BROWSER} hides the page`, async (suite) => {
  const address = await servePage(suite);
  const profile = makeProfile(suite);
  let browser;
  const open = async () => {
    browser = await launchTabs(suite, profile);
    const page = await browser.newPage();
    await page.goto(address);
    await atPrompt(page);
    // Nothing is written by itself for an hour.
    await type(
      page,
      'echo 360000 > /proc/sys/vm/dirty_expire_centisecs; echo 0 > /proc/sys/vm/dirty_writeback_centisecs; mount -o remount,commit=3600 /root; sync',
    );
    return page;
  };
  let page = await open();
  await type(page, 'echo seen > /root/seen');
  await killBrowser({ browser }, profile);

  page = await open();
  assert.equal(await type(page, 'ls /root'), '');
  await type(page, 'echo hidden > /root/hidden');
  await page.evaluate(() => {
    const machine = auklet.current;
    const run = machine.exec.bind(machine);
    globalThis.commands = [];
    machine.exec = (command, options) => {
      const done = run(command, options);
      commands.push({ command, done });
      return done;
    };
    // Behind the page's own listener.
    globalThis.hidden = new Promise((resolve) =>
      document.addEventListener('visibilitychange', () => resolve(document.visibilityState)),
    );
  });
  await (await browser.newPage()).bringToFront();
  assert.equal(await page.evaluate(() => hidden), 'hidden');
  assert.deepEqual(
    await page.evaluate(() =>
      Promise.all(commands.map(async ({ command, done }) => [...command, (await done).status])),
    ),
    [['sync', 0]],
  );
  await killBrowser({ browser }, profile);

  page = await open();
  assert.equal(await type(page, 'cat /root/*'), 'hidden\n');
});

test('a private window of Firefox starts without saving', { skip: BROWSER !== 'firefox' }, async (suite) => {
  const address = await servePage(suite);
  const browser = await launchFirefox(suite, { extraPrefsFirefox: { 'browser.privatebrowsing.autostart': true } });
  const page = await browser.newPage();
  await page.goto(address);
  await shown(page, 'Files cannot be kept here');
  assert.equal(await heading(page), 'Files cannot be kept here');
  await press(page, 'Start without saving');
  await atPrompt(page);
  assert.equal(await type(page, 'echo in memory > a; cat a'), 'in memory\n');
  assert.match(await menuText(page, 'Nothing'), /Nothing is kept/);
  // A reload does not ask again.
  await page.reload();
  await atPrompt(page);
});
