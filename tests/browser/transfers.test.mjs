// SPDX-License-Identifier: MIT
// Files between the visitor and the guest: dropped, picked, given by `download`, and fetched by the menu.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSER, launchPages, servePage } from './browsers.mjs';
import { adapted, atPrompt, press, type } from './page-tools.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Waits until the text of an element that is shown matches. */
const says = (page, id, pattern) =>
  page.waitForFunction(
    ([place, source]) => {
      const element = document.getElementById(place);
      return element.closest('[hidden]') === null && new RegExp(source, 'u').test(element.textContent);
    },
    {},
    [id, pattern.source],
  );
const status = (page, pattern) => says(page, 'status', pattern);
const notice = async (page, pattern) => {
  await says(page, 'notice-text', pattern);
  await page.evaluate(() => document.getElementById('notice-close').click());
};
const click = (page, id) => page.evaluate((place) => document.getElementById(place).click(), id);

/** Drops files, [name, text], on the terminal; returns whether the browser would still leave the page for them. */
const drop = (page, files) =>
  page.evaluate((given) => {
    const dataTransfer = new DataTransfer();
    for (const [name, text] of given) dataTransfer.items.add(new File([text], name, { lastModified: 1e12 }));
    const options = { dataTransfer, bubbles: true, cancelable: true };
    const place = document.querySelector('.xterm-screen');
    return ['dragover', 'drop'].map((event) => place.dispatchEvent(new DragEvent(event, options)));
  }, files);

/** Lets the test have what the page gives to the browser as a download. */
const catchDownloads = (page) =>
  page.evaluate(() => {
    globalThis.downloads = [];
    const { click } = HTMLAnchorElement.prototype;
    HTMLAnchorElement.prototype.click = function () {
      if (this.download === '') return click.call(this);
      downloads.push(fetch(this.href).then(async (answer) => [this.download, await answer.blob()]));
    };
  });

/** The next download: its name and its bytes. */
async function downloaded(page) {
  await page.waitForFunction(() => downloads.length > 0);
  const [name, text] = await page.evaluate(async () => {
    const [name, blob] = await downloads.shift();
    const reader = new FileReader();
    await new Promise((resolve) => {
      reader.onload = resolve;
      reader.readAsDataURL(blob);
    });
    return [name, reader.result.slice(reader.result.indexOf(',') + 1)];
  });
  return { name, bytes: Buffer.from(text, 'base64') };
}

test(`transfers of the page in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const { newPage } = await launchPages(suite);
  const folder = mkdtempSync(join(tmpdir(), 'auklet-transfers-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const page = adapted(await newPage());
  // One of them writes 256 MiB, on a computer that may have other work.
  page.setDefaultTimeout(200_000);
  await page.goto(address);
  await atPrompt(page);
  await catchDownloads(page);
  const run = (line) => type(page, line);

  await suite.test('dropped files come to the working directory', async () => {
    await run('mkdir -p /root/w; cd /root/w');
    const first = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .map(({ name }) => name)
        .join('\n'),
    );
    assert.doesNotMatch(first, /transfer-tasks/, 'what only transfers need is loaded when they begin');
    assert.deepEqual(await drop(page, [['notes.txt', 'one\n']]), [false, false]);
    await status(page, /^notes\.txt → \/root\/w$/);
    assert.equal(await run('cat notes.txt; stat -c "%U %a %Y" notes.txt'), 'one\nroot 644 1000000000\n');
  });

  await suite.test('a name that is taken stays what it is', async () => {
    await drop(page, [['notes.txt', 'two\n']]);
    await status(page, /^notes\.txt → \/root\/w\/notes \(1\)\.txt$/);
    await drop(page, [
      ['notes.txt', 'three\n'],
      ['x.tar.gz', 'x'],
      ['.rc', 'r'],
    ]);
    await status(page, /^3 files and folders → \/root\/w; 1 with other names, because theirs were taken$/);
    await drop(page, [
      ['x.tar.gz', 'y'],
      ['.rc', 's'],
    ]);
    await status(page, /^2 files and folders → \/root\/w; 2 with/);
    assert.equal(
      await run('cat notes*; ls -A | cat'),
      'two\nthree\none\n.rc\n.rc (1)\nnotes (1).txt\nnotes (2).txt\nnotes.txt\nx (1).tar.gz\nx.tar.gz\n',
    );
    await run('rm -r /root/w/* /root/w/.rc*');
  });

  await suite.test('names of all kinds', async () => {
    const names = ['a b', 'é 日本 🙂', '"\'`$(x)', 'line\nbreak', '-rf', '\\', '*'];
    await drop(
      page,
      names.map((name) => [name, name]),
    );
    await status(page, /^7 files and folders → \/root\/w$/);
    const given = await run('for f in *; do printf "%s" "$f" | od -An -tx1 | tr -d " \\n"; echo; done');
    const expected = names.map((name) => Buffer.from(name).toString('hex'));
    assert.deepEqual(given.trim().split('\n').sort(), expected.sort());
    await run('rm -r /root/w/*');
  });

  await suite.test('a folder, with what is in it', async () => {
    if (BROWSER === 'chromium') {
      mkdirSync(join(folder, 'tree/deep/empty'), { recursive: true });
      writeFileSync(join(folder, 'tree/a'), 'in a\n');
      writeFileSync(join(folder, 'tree/deep/b'), 'in b\n');
      const session = await page.context().newCDPSession(page);
      const data = { items: [], files: [join(folder, 'tree')], dragOperationsMask: 1 };
      for (const event of ['dragEnter', 'dragOver'])
        await session.send('Input.dispatchDragEvent', { type: event, x: 200, y: 200, data });
      assert.equal(await page.evaluate(() => document.querySelector('main').className), 'dropping');
      await session.send('Input.dispatchDragEvent', { type: 'drop', x: 200, y: 200, data });
    } else {
      // BiDi drags no files: entries as the browser would give them.
      await page.evaluate(() => {
        const file = (name, text) => ({ name, isFile: true, file: (resolve) => resolve(new File([text], name)) });
        const tree = (name, ...all) => ({
          name,
          isFile: false,
          createReader: () => ({ readEntries: (resolve) => resolve(all.splice(0, 1)) }),
        });
        const entry = tree('tree', file('a', 'in a\n'), tree('deep', file('b', 'in b\n'), tree('empty')));
        const event = new Event('drop', { bubbles: true, cancelable: true });
        const items = [{ kind: 'file', webkitGetAsEntry: () => entry }];
        Object.assign(event, { dataTransfer: { types: ['Files'], items } });
        document.getElementById('terminal').dispatchEvent(event);
      });
    }
    await status(page, /^tree → \/root\/w$/);
    assert.equal(await page.evaluate(() => document.querySelector('main').className), '');
    assert.equal(
      await run('find tree | sort; cat tree/a tree/deep/b'),
      'tree\ntree/a\ntree/deep\ntree/deep/b\ntree/deep/empty\nin a\nin b\n',
    );
  });

  await suite.test('a folder is downloaded as a tar', async () => {
    assert.equal(await run('download tree; echo $?'), 'tree: downloaded\n0\n');
    const { name, bytes } = await downloaded(page);
    assert.equal(name, 'tree.tar');
    assert.equal(
      execFileSync('tar', ['-xOf', '-', 'tree/a', 'tree/deep/b'], { input: bytes }).toString(),
      'in a\nin b\n',
    );
    await run('rm -r tree');
  });

  await suite.test('20 MB there and back', async () => {
    const sum = await page.evaluate(async () => {
      const bytes = new Uint8Array(20_000_000);
      for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], 'big.bin'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    });
    await status(page, /^big\.bin → \/root\/w$/);
    assert.equal(await run('sha256sum big.bin'), `${sum}  big.bin\n`);
    // Another burst would ask; the menu does not.
    await press(page, 'Files');
    await press(page, 'Download…');
    await says(page, 'download-from', /^\/root\/w$/);
    await page.evaluate(() => {
      document.getElementById('download-path').value = '../w/big.bin';
      document.querySelector('#download button').click();
    });
    const { name, bytes } = await downloaded(page);
    await status(page, /^big\.bin downloaded$/);
    assert.equal(name, 'big.bin');
    assert.equal(sha256(bytes), sum);
    await run('rm big.bin');
  });

  await suite.test('a cancelled upload leaves nothing', async () => {
    await page.evaluate(() => {
      globalThis.realStream = File.prototype.stream;
      File.prototype.stream = function () {
        if (this.size === 0) return realStream.call(this);
        const begin = realStream.call(this.slice(0, 1000)).getReader();
        return new ReadableStream({
          pull: async (controller) => {
            const { value } = await begin.read();
            if (value !== undefined) controller.enqueue(value);
            // It never goes on.
            else await new Promise(() => {});
          },
        });
      };
    });
    await drop(page, [
      ['whole', ''],
      ['slow', 'x'.repeat(5000)],
    ]);
    await says(page, 'task-text', /^Uploading 2 files and folders, 4\.9 KiB$/);
    await run('until [ -e .auklet-upload-*/slow ]; do :; done');
    await click(page, 'task-cancel');
    await status(page, /^Upload cancelled: nothing is left of it$/);
    assert.equal(await run('ls -A | cat'), '');
    // A guest that does not do its part.
    await drop(page, [['slow', 'x'.repeat(5000)]]);
    await says(page, 'task-text', /^Uploading slow, 4\.9 KiB$/);
    await run('until [ -e .auklet-upload-*/slow ]; do :; done; kill -STOP $(pidof transfer)');
    await click(page, 'task-cancel');
    await status(page, /^Upload cancelled: a hidden folder with a part of it is left$/);
    assert.match(await run('ls -A | cat; rm -r .auklet-upload-*'), /^\.auklet-upload-\w{6}\n$/);
    await page.evaluate(() => (File.prototype.stream = realStream));
  });

  await suite.test('a file that cannot be read leaves nothing', async () => {
    await page.evaluate(() => {
      File.prototype.stream = () =>
        new ReadableStream({
          pull: (controller) => controller.error(new DOMException('it was changed', 'NotReadableError')),
        });
    });
    await drop(page, [['gone', 'x']]);
    await notice(page, /^gone cannot be read: it was changed$/);
    await page.evaluate(() => (File.prototype.stream = realStream));
    assert.equal(await run('ls -A | cat'), '');
  });

  await suite.test('where there is no room', async () => {
    await run('mkdir -p /tmp/small; mount -t tmpfs -o size=1m none /tmp/small; cd /tmp/small; echo here > a');
    await drop(page, [['large', 'x'.repeat(3 << 20)]]);
    await notice(page, /^large: no room is left there$/);
    assert.equal(await run('ls -A | cat; cat a'), 'a\nhere\n');
    await run('mount -o remount,ro /tmp/small');
    await drop(page, [['b', 'x']]);
    await notice(page, /^\/tmp\/small: nothing can be written there$/);
    await run('cd /root/w; umount /tmp/small');
  });

  await suite.test('for the user of the foreground, where that is', async () => {
    await run('mkdir -p /tmp/n; chown nobody /tmp/n');
    await page.evaluate(() => auklet.current.write('su -s /bin/sh nobody\r'));
    const atUserPrompt = () => page.waitForFunction(String.raw`/\$ (\x1b\[J)?$/.test(auklet.current.transcript)`);
    await atUserPrompt();
    assert.equal(await run('cd /tmp/n; id -un'), 'nobody\n');
    await drop(page, [['mine', 'x']]);
    await status(page, /^mine → \/tmp\/n$/);
    assert.equal(await run('stat -c %U mine'), 'nobody\n');
    await run('cd /etc');
    await drop(page, [['theirs', 'x']]);
    await notice(page, /^\/etc: this user is not allowed to$/);
    // A program is where it was started.
    await page.evaluate(() => auklet.current.write('cd /tmp/n; (cd /var/tmp; cat)\r'));
    await page.waitForFunction(() => auklet.current.transcript.includes('(cd /var/tmp; cat)\r\n'));
    await page.evaluate(() => auklet.current.write('typed\r'));
    await page.waitForFunction(() => auklet.current.transcript.includes('typed\r\ntyped\r\n'));
    await drop(page, [['there', 'x']]);
    await status(page, /^there → \/var\/tmp$/);
    await page.evaluate(() => auklet.current.write('\x03'));
    await atUserPrompt();
    await page.evaluate(() => auklet.current.write('exit\r'));
    await atPrompt(page);
    await run('cd /root/w');
  });

  await suite.test('downloads that cannot be', async () => {
    assert.equal(
      await run('download nope /dev/null; echo $?'),
      'download: nope: there is no such file or folder\ndownload: /dev/null: this is neither a file nor a folder\n1\n',
    );
    assert.match(await run('download; echo $?'), /^usage: download FILE/);
    for (const [path, answer] of [
      ['nope', /^nope: there is no such file or folder$/],
      ['/dev/hvc0', /^\/dev\/hvc0: this is neither a file nor a folder$/],
    ]) {
      await press(page, 'Files');
      await press(page, 'Download…');
      await page.evaluate((text) => {
        document.getElementById('download-path').value = text;
        document.querySelector('#download button').click();
      }, path);
      await notice(page, answer);
    }
    assert.equal(await page.evaluate(() => downloads.length), 0);
  });

  await suite.test('more than one download at once is asked for', async () => {
    await run('echo a > a; echo b > b; echo c > c');
    const start = (line) => page.evaluate((text) => auklet.current.write(text), `${line}\r`);
    await start('download a b c; echo "ended $?"');
    await says(page, 'offer-text', /^A program wants to download another file, and more may follow: “.”, 2 bytes$/);
    await press(page, 'Allow');
    await page.waitForFunction(() => auklet.current.transcript.includes('ended 0\r\n'));
    assert.deepEqual([(await downloaded(page)).name, (await downloaded(page)).name], ['a', 'b']);
    assert.equal((await downloaded(page)).bytes.toString(), 'c\n');
  });

  await suite.test('a download that is cancelled, or refused', async () => {
    const start = (line) => page.evaluate((text) => auklet.current.write(text), `${line}\r`);
    const ended = (text) =>
      page.waitForFunction((end) => auklet.current.transcript.includes(end), {}, text.replaceAll('\n', '\r\n'));
    await page.evaluate(() => (globalThis.showSaveFilePicker = undefined));
    await run('truncate -s 1G sparse');
    await start('download sparse; echo "1st $?"');
    await says(page, 'task-text', /^Downloading “sparse”, 1 GiB$/);
    await click(page, 'task-cancel');
    await ended('download: sparse: cancelled\n1st 1\n');
    // By the guest.
    await start('download sparse; echo "2nd $?"');
    await says(page, 'task-text', /^Downloading “sparse”, 1 GiB$/);
    await page.evaluate(() => auklet.current.write('\x03'));
    await page.waitForFunction(() => document.getElementById('task').hidden);
    // A place that the visitor is asked for.
    await page.evaluate(() => {
      globalThis.showSaveFilePicker = async ({ suggestedName }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
    });
    await start('download sparse; echo "3rd $?"');
    await says(page, 'offer-text', /^Save “sparse”, 1 GiB$/);
    await press(page, 'Refuse');
    await ended('download: sparse: refused\n3rd 1\n');
    await run('truncate -s 256M sparse');
    await start('download sparse; echo "4th $?"');
    await says(page, 'offer-text', /^Save “sparse”, 256 MiB$/);
    await press(page, 'Choose where…');
    await ended('sparse: saved\n4th 0\n');
    const size = await page.evaluate(async () => {
      const top = await navigator.storage.getDirectory();
      const { size } = await (await top.getFileHandle('sparse')).getFile();
      await top.removeEntry('sparse');
      return size;
    });
    assert.equal(size, 256 << 20);
    assert.equal(await page.evaluate(() => downloads.length), 0);
    await run('rm sparse');
  });

  await suite.test('the files of the disk as a tar', async () => {
    await run('mkdir -p /home/u1; echo mine > /home/u1/b; echo "a b" > "/root/a b"');
    await press(page, 'Files');
    await press(page, 'Export the files as a tar');
    const { name, bytes } = await downloaded(page);
    assert.match(name, /^auklet-home-\d{4}-\d\d-\d\d\.tar$/);
    const read = (path) => execFileSync('tar', ['-xOf', '-', path], { input: bytes }).toString();
    assert.equal(read('./home/u1/b'), 'mine\n');
    assert.equal(read('./root/a b'), 'a b\n');
    assert.equal(read('./root/w/c'), 'c\n');
    const list = execFileSync('tar', ['-tf', '-'], { input: bytes }).toString();
    assert.doesNotMatch(list, /lost\+found/);
    // Nothing of it is left in the guest.
    assert.equal(await run('grep -c " /mnt " /proc/mounts; ls /mnt'), '0\n');
  });

  await suite.test('a large export goes where the visitor wants it', async () => {
    await page.evaluate(() => {
      const disk = Object.getPrototypeOf(auklet.current.disk('home'));
      disk.usage = async () => 256 << 20;
      globalThis.showSaveFilePicker = async ({ suggestedName }) => {
        const { readable, writable } = new TransformStream();
        globalThis.exported = new Response(readable)
          .arrayBuffer()
          .then((bytes) => [suggestedName, ...new Uint8Array(bytes, 0, 2)]);
        return { createWritable: async () => writable };
      };
    });
    await press(page, 'Files');
    await press(page, 'Export the disk');
    await page.waitForFunction(() => globalThis.exported !== undefined);
    const [name, ...magic] = await page.evaluate(() => exported);
    assert.match(name, /^auklet-home-\d{4}-\d\d-\d\d\.raw\.gz$/);
    assert.deepEqual(magic, [0x1f, 0x8b]);
    assert.equal(await page.evaluate(() => downloads.length), 0);
  });

  await suite.test('by the keyboard alone', async () => {
    if (BROWSER !== 'chromium') return;
    await page.locator('#files').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Upload files…');
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'files');
    await page.keyboard.press('Enter');
    for (let count = 0; count < 3; ++count) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.id === 'download-path');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.activeElement.id === 'files');
    await page.keyboard.press('Enter');
    for (let count = 0; count < 3; ++count) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.id === 'download-path');
    await page.keyboard.type('/root/a b');
    await page.keyboard.press('Enter');
    assert.equal((await downloaded(page)).bytes.toString(), 'a b\n');
    // The picker, and a real download of the browser.
    writeFileSync(join(folder, 'picked'), 'picked\n');
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Files' }).click();
    await page.getByRole('button', { name: 'Upload files…' }).click();
    await (await chooser).setFiles(join(folder, 'picked'));
    await status(page, /^picked → \/root\/w$/);
    const folders = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Files' }).click();
    await page.getByRole('button', { name: 'Upload a folder…' }).click();
    await (await folders).setFiles(join(folder, 'tree'));
    await status(page, /^tree → \/root\/w$/);
    assert.equal(await run('cat picked tree/deep/b'), 'picked\nin b\n');
  });

  await suite.test('the browser saves it', async () => {
    if (BROWSER !== 'chromium') return;
    const tab = adapted(await newPage());
    await tab.goto(`${address}?saving=0`);
    await atPrompt(tab);
    const coming = tab.waitForEvent('download');
    await tab.evaluate(() => auklet.current.write('cd /etc; download passwd\r'));
    const download = await coming;
    assert.equal(download.suggestedFilename(), 'passwd');
    await download.saveAs(join(folder, 'passwd'));
    assert.match(readFileSync(join(folder, 'passwd'), 'utf8'), /^root:/);
    await tab.close();
  });
});
