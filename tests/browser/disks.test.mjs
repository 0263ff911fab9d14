// SPDX-License-Identifier: MIT
// Disks that the browser keeps, as an embedder uses them: made, found again, in use, copied, exported, imported, reset.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSER, launchPages, servePage } from './browsers.mjs';

/** In the page: a machine with the saved disk `work`; what a command prints there, or the error. */
async function run([command, disk, name = 'machine']) {
  const machine = new auklet.Machine({
    cpus: 1,
    memory: 128,
    exec: true,
    disks: [{ name: 'work', saved: true, size: '256M', ...disk }],
  });
  globalThis[name] = machine;
  const text = (bytes) => new TextDecoder().decode(bytes);
  globalThis.logged ??= [];
  machine.on('log', (level, message) => logged.push(`${level}: ${message}`));
  try {
    const { stdout, stderr, status } = await machine.exec(['sh', '-c', command]);
    return `${status} ${text(stdout)}${text(stderr)}`.trim();
  } catch (error) {
    await machine.dispose();
    return `${error.code}: ${error.message}`;
  }
}

/** In the page: a further command there. */
async function command(line) {
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', line], { directory: '/mnt' });
  return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
}

const MOUNT = 'mount /dev/disk/by-id/virtio-work /mnt && cd /mnt';

test(`saved disks in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const { newPage, context } = await launchPages(suite);
  /** A tab whose own machine is gone. */
  const ready = async (page) => {
    await page.waitForFunction(() => globalThis.auklet !== undefined);
    await page.evaluate(() => auklet.current?.dispose());
    return page;
  };
  const open = async () => {
    const page = await newPage();
    await page.goto(`${address}?saving=0`);
    return ready(page);
  };
  const first = await open();

  await suite.test('what was written is there for the next machine, and after a reload', async () => {
    assert.equal(await first.evaluate(run, [`${MOUNT} && echo kept > a && sync`]), '0');
    await first.evaluate(() => machine.dispose());
    assert.equal(await first.evaluate(run, [`${MOUNT} && cat a`]), '0 kept');
    await first.reload();
    await ready(first);
    assert.equal(await first.evaluate(run, [`${MOUNT} && cat a`]), '0 kept');
    const [size, usage] = await first.evaluate(async () => {
      const disk = machine.disk('work');
      return [await disk.size(), await disk.usage()];
    });
    assert.equal(size, 256 << 20);
    assert(usage > 1 << 17 && usage < 64 << 20, `${usage} bytes`);
  });

  await suite.test('a second tab is told who has the disk', async () => {
    const second = await open();
    await first.evaluate(() => (document.title = 'The first'));
    assert.match(
      await second.evaluate(run, [MOUNT]),
      /^disk-in-use: disk work: in use by another tab: “The first”, since \d/,
    );
    await second.close();
  });

  await suite.test('a second tab works on a copy, which ends with it', async () => {
    const second = await open();
    await first.evaluate(command, 'echo later > b; sync; dd if=/dev/urandom of=r bs=1M count=20 2> /dev/null; sync');
    assert.equal(await second.evaluate(run, [`${MOUNT} && cat a b`, { whenInUse: 'copy' }]), '0 kept\nlater');
    const sum = await first.evaluate(command, 'sha256sum r');
    assert.equal(await second.evaluate(command, 'sha256sum r; echo mine > a; sync'), sum);
    assert.equal(await first.evaluate(command, 'cat a'), '0 kept');
    await second.close();
  });

  await suite.test('a second tab waits until the first is closed', async () => {
    const second = await open();
    const done = second.evaluate(run, [`${MOUNT} && cat a b`, { whenInUse: 'wait' }]);
    await second.waitForFunction(() => logged.some((line) => line.includes('waiting for disk work: in use by')));
    await first.close();
    assert.equal(await done, '0 kept\nlater');
    await second.close();
  });

  await suite.test('export and import', async () => {
    const page = await open();
    const disk = { name: 'small', size: '32M', format: 'raw' };
    const mount = 'mount /dev/disk/by-id/virtio-small /mnt && cd /mnt';
    const made = `mke2fs /dev/disk/by-id/virtio-small > /dev/null && ${mount} && echo kept > a`;
    assert.equal(await page.evaluate(run, [made, disk]), '0');
    const sum = await page.evaluate(command, 'dd if=/dev/urandom of=r bs=1M count=9 2> /dev/null; sync; sha256sum r');
    // What is written at the same time is not in it.
    const [count, last] = await page.evaluate(async () => {
      const progress = [];
      const image = machine.disk('small').export({ onProgress: (done, total) => progress.push(done / total) });
      const write = machine.exec(['sh', '-c', 'dd if=/dev/zero of=/mnt/r bs=1M count=9 conv=notrunc; sync']);
      globalThis.image = await new Response(image).blob();
      await write;
      return [progress.length, progress.at(-1)];
    });
    assert.equal(count, 8);
    assert.equal(last, 1);
    // The present machine goes on with what it has.
    await page.evaluate(() => machine.disk('small').import(image));
    assert.notEqual(await page.evaluate(command, 'rm a; sync; sha256sum r'), sum);
    await page.evaluate(() => machine.dispose());
    assert.equal(await page.evaluate(run, [`${mount} && cat a`, disk]), '0 kept');
    assert.equal(await page.evaluate(command, 'sha256sum r'), sum);

    const failures = await page.evaluate(async () => {
      const attempt = (image, options) =>
        machine
          .disk('small')
          .import(image, options)
          .then(
            () => 'imported',
            (error) => `${error.code}: ${error.message}`,
          );
      const abort = new AbortController();
      return [
        await attempt(new Uint8Array(0)),
        await attempt(new Uint8Array(513)),
        await attempt(image.slice(0, 1000)),
        await attempt(image, { signal: AbortSignal.abort(new Error('enough')) }),
        await attempt(image, { onProgress: () => abort.abort(new Error('stop')), signal: abort.signal }),
      ];
    });
    assert.match(failures[0], /^disk: the image cannot be read: it is empty/);
    assert.match(failures[1], /^disk: .* no multiple of 512/);
    assert.match(failures[2], /^disk: the image cannot be read/);
    assert.match(failures[3], /enough/);
    assert.match(failures[4], /stop/);
    await page.evaluate(() => machine.dispose());
    assert.equal(await page.evaluate(run, [`${mount} && cat a`, disk]), '0 kept');

    await page.evaluate(() => machine.disk('small').reset());
    assert.equal(await page.evaluate(command, 'cat a'), '0 kept');
    await page.evaluate(() => machine.dispose());
    assert.match(await page.evaluate(run, [mount, disk]), /^[^0]/);
    await page.close();
  });

  await suite.test('an overlay changes nothing', async () => {
    const page = await open();
    assert.equal(await page.evaluate(run, [`${MOUNT} && echo gone > a && sync && cat a`, { overlay: true }]), '0 gone');
    await page.evaluate(() => machine.dispose());
    assert.equal(await page.evaluate(run, [`${MOUNT} && cat a`]), '0 kept');
    await page.close();
  });

  await suite.test('a disk that grows', async () => {
    const page = await open();
    const size = 'blockdev --getsize64 /dev/disk/by-id/virtio-work';
    assert.equal(await page.evaluate(run, [size, { size: '16G' }]), `0 ${16 * 2 ** 30}`);
    await page.evaluate(() => machine.dispose());
    assert.equal(await page.evaluate(run, [size]), `0 ${16 * 2 ** 30}`);
    await page.close();
  });

  await suite.test('the files of the disk home have more room while they are used', async () => {
    const page = await open();
    const room = async () => {
      const words = (await page.evaluate(command, 'df -k /home | tail -n 1')).split(/\s+/);
      return Number(words[2]) / 2 ** 20;
    };
    const home = { name: 'home', size: '512M' };
    assert.equal(await page.evaluate(run, ['echo kept > /root/a; sync', home]), '0');
    assert((await room()) < 0.5);
    const [size, refused] = await page.evaluate(async () => {
      const disk = machine.disk('home');
      const writes = machine.exec([
        'sh',
        '-c',
        'dd if=/dev/urandom of=/home/r bs=64k count=200; sha256sum /home/r > /home/sum',
      ]);
      await disk.grow('16G');
      await writes;
      return [await disk.size(), await disk.grow('1G').catch(({ code, message }) => `${code}: ${message}`)];
    });
    assert.equal(size, 16 * 2 ** 30);
    assert.match(refused, /^disk: disk home: it has 17179869184 bytes already, and a disk does not shrink$/);
    assert((await room()) > 15);
    await page.evaluate(() => machine.dispose());
    assert.equal(await page.evaluate(run, ['cat /root/a; sha256sum -c /home/sum', home]), '0 kept\n/home/r: OK');
    assert((await room()) > 15);
    assert.equal(await page.evaluate(command, 'dmesg | grep -c "EXT4-fs error" || true'), '0 0');
    await page.evaluate(() => machine.dispose());
    await page.close();
  });

  await suite.test('a browser that gives no more room is an error of the guest, and old files stay', async (report) => {
    if (BROWSER !== 'chromium') return report.skip('only Chromium has a quota that tests can set');
    const page = await open();
    const protocol = await context.newCDPSession(page);
    const quota = (quotaSize) =>
      protocol.send('Storage.overrideQuotaForOrigin', { origin: new URL(address).origin, quotaSize });
    assert.equal(
      await page.evaluate(run, [`${MOUNT.replace('work', 'full')} && echo old > old && sync`, { name: 'full' }]),
      '0',
    );
    await quota(40 << 20);
    assert.match(
      await page.evaluate(command, 'dd if=/dev/urandom of=big bs=1M count=100 conv=fsync 2>&1'),
      /^1 [^]*(I\/O error|No space left|Read-only)/,
    );
    const logs = await page.evaluate(() => logged);
    assert(
      logs.some((line) => /error: disk full: a write has failed: the browser gives this site no more room/.test(line)),
      logs.join('\n'),
    );
    assert.equal(await page.evaluate(command, 'cat old'), '0 old');
    await quota(undefined);
    await page.evaluate(() => machine.dispose());
    assert.equal(
      await page.evaluate(run, [
        `${MOUNT.replace('work', 'full')} && rm -f big && cat old && echo more > new && sync`,
        { name: 'full' },
      ]),
      '0 old',
    );
    await page.close();
  });

  await suite.test('a tab that crashes leaves the disk to the next', async (report) => {
    if (BROWSER !== 'chromium') return report.skip('only Chromium can be told to crash');
    const page = await open();
    assert.equal(await page.evaluate(run, [`${MOUNT} && echo safe > s && sync`]), '0');
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    await page.goto('chrome://crash').catch(() => {});
    await crashed;
    await page.close();
    const next = await open();
    assert.equal(await next.evaluate(run, [`${MOUNT} && cat s`]), '0 safe');
    await next.close();
  });
});
