// SPDX-License-Identifier: MIT
// Root file systems in chunks in a page: from its own server and from another one, kept in OPFS, with a server that fails.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder, imageOf, serve } from '../boot/images.mjs';
import { build } from '../boot/machines.mjs';
import { BROWSER, launchPages, servePage } from './browsers.mjs';

/** In the page: boots `machine`, or returns why not. */
async function start(options) {
  await globalThis.machine?.dispose();
  globalThis.logged = [];
  try {
    globalThis.machine = new auklet.Machine({ cpus: 1, memory: 128, exec: true, ...options });
    machine.on('log', (level, message) => logged.push(`${level}: ${message}`));
    await machine.started;
    return 'started';
  } catch (error) {
    await globalThis.machine?.dispose();
    return `${error.code}: ${error.message}`;
  }
}

/** In the page: status and output of a command. */
async function run(line) {
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
  return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
}

test(`root file systems in ${BROWSER}`, async (suite) => {
  const place = folder(suite);
  const data = randomBytes(3 << 20);
  const image = imageOf(place, 'image', {
    'usr/bin/hello': '#!/bin/sh\necho hello from $(cat /etc/name)\n',
    'etc/name': 'the image\n',
    'srv/data': data,
    'srv/rest': randomBytes(8 << 20),
  });
  const { sha256 } = JSON.parse(readFileSync(join(image, 'root.json')));
  // The page's server has the image, too.
  const site = join(place, 'site');
  mkdirSync(site);
  for (const name of readdirSync(join(build, 'dist'))) symlinkSync(join(build, 'dist', name), join(site, name));
  symlinkSync(image, join(site, 'image'));
  const address = await servePage(suite, [], site);

  /** What the other server does; it keeps nothing in the browser's own cache. */
  let behave = () => false;
  const other = await serve(suite, image, (request, response) => {
    response.setHeader('cache-control', 'no-store');
    return behave(request, response);
  });
  const allow = (_, response) => {
    response.setHeader('access-control-allow-origin', '*');
    return false;
  };
  const isChunk = ({ url }) => url.startsWith('/chunks/');
  /** The chunks that were asked for since the last call. */
  const asked = () => other.requests.splice(0).filter((url) => isChunk({ url }));

  const { newPage, context } = await launchPages(suite);
  const open = async () => {
    const page = await newPage();
    await page.goto(`${address}?saving=0`);
    await page.waitForFunction(() => globalThis.auklet !== undefined);
    await page.evaluate(() => auklet.current?.dispose());
    return page;
  };
  let page = await open();
  const command = (line, where = page) => where.evaluate(run, line);
  const boot = (options, where = page) => where.evaluate(start, { root: other.address, ...options });
  /** A machine goes on to read after it has started. When it is gone, nothing more is asked for. */
  const dispose = (where = page) => where.evaluate(() => machine.dispose());
  const sum = `0 ${createHash('md5').update(data).digest('hex')}  /srv/data`;

  await suite.test('from the page’s own server, with changes on a disk', async () => {
    const options = { root: 'image', disks: [{ name: 'home', saved: true, size: '256M' }] };
    assert.equal(await boot(options), 'started');
    assert.equal(await command('hello; grep " / " /proc/mounts | cut -c1-9'), '0 hello from the image\noverlay /');
    assert.equal(await command('md5sum /srv/data'), sum);
    assert.equal(await command('echo the visitor > /etc/name; sync'), '0');
    assert.equal(await boot(options), 'started');
    assert.equal(await command('hello'), '0 hello from the visitor');
    assert.deepEqual(await page.evaluate(() => logged), []);
  });

  await suite.test('from another server, which must allow it', async () => {
    assert.match(await boot({}), /^disk: disk root: http:.*\/root\.json: /);
    behave = allow;
    assert.equal(await boot({ rootCache: false }), 'started');
    assert.equal(await command('hello; md5sum /srv/data'), `0 hello from the image\n${sum.slice(2)}`);
    const chunks = asked();
    assert(chunks.length > 12 && chunks.length < sha256.length, `${chunks.length} chunks`);
    assert.equal(new Set(chunks).size, chunks.length, 'nothing is loaded twice');
  });

  await suite.test('what was loaded is kept, also after a reload', async () => {
    // The page's own server has given them.
    assert.equal(await boot({}), 'started');
    assert.equal(await command('md5sum /srv/data'), sum);
    assert.deepEqual(asked(), []);
    assert.equal(await boot({ rootCache: false }), 'started');
    await dispose();
    await page.close();
    page = await open();
    assert(asked().length > 2);
    assert.equal(await boot({}), 'started');
    assert.equal(await command('md5sum /srv/data'), sum);
    assert.deepEqual(asked(), []);
    assert.equal(await command('md5sum /srv/rest > /dev/null'), '0');
    assert(asked().length >= 31);
  });

  await suite.test('two tabs at once', async () => {
    const second = await open();
    assert.equal(await boot({}, second), 'started');
    assert.equal(await command('md5sum /srv/data', second), sum);
    assert.equal(await command('md5sum /srv/rest > /dev/null', second), '0');
    assert.deepEqual(asked(), []);
    assert.equal(await command('hello'), '0 hello from the image');
    // A tab that is closed gives its files back some time later.
    await dispose(second);
    await second.close();
  });

  await suite.test('a cache that is torn or wrong', async () => {
    for (const change of ['cut', 'fill']) {
      await page.evaluate(async (how) => {
        await machine.dispose();
        const cache = await (await navigator.storage.getDirectory()).getDirectoryHandle('auklet-cache');
        const file = await cache.getFileHandle('chunks-1');
        const stream = await file.createWritable({ keepExistingData: true });
        const { size } = await file.getFile();
        if (how === 'cut') await stream.truncate(1_000_000);
        else
          for (let at = 65536; at < size; at += 100_000)
            await stream.write({ type: 'write', position: at, data: new TextEncoder().encode('wrong') });
        await stream.close();
      }, change);
      assert.equal(await boot({}), 'started');
      assert.equal(await command('hello; md5sum /srv/data'), `0 hello from the image\n${sum.slice(2)}`);
      await dispose();
      assert(asked().length > 0);
      assert.equal(await boot({}), 'started');
      assert.equal(await command('md5sum /srv/data'), sum);
      assert.deepEqual(asked(), []);
    }
  });

  await suite.test('a browser that gives no more room keeps no more', async (report) => {
    if (BROWSER !== 'chromium') return report.skip('only Chromium has a quota that tests can set');
    await page.evaluate(async () => {
      await machine.dispose();
      await (await navigator.storage.getDirectory()).removeEntry('auklet-cache', { recursive: true });
    });
    const protocol = await context.newCDPSession(page);
    const { origin } = new URL(address);
    await protocol.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2 << 20 });
    assert.equal(await boot({}), 'started');
    assert.equal(await command('md5sum /srv/data'), sum);
    await protocol.send('Storage.overrideQuotaForOrigin', { origin });
    assert.deepEqual(await page.evaluate(() => logged), []);
    asked();
  });

  await suite.test('a server that sends what is wrong, or fails, and then recovers', async () => {
    const wrong = new Set();
    behave = (request, response) => {
      allow(request, response);
      if (!isChunk(request) || wrong.has(request.url)) return false;
      wrong.add(request.url);
      if (wrong.size % 2 === 0) response.writeHead(503).end();
      else response.end('<!doctype html>');
      return true;
    };
    assert.equal(await boot({ rootCache: false }), 'started');
    assert.equal(await command('hello; md5sum /srv/data'), `0 hello from the image\n${sum.slice(2)}`);
    assert(wrong.size > 12);

    behave = (request, response) => {
      allow(request, response);
      if (!isChunk(request)) return false;
      response.writeHead(404).end();
      return true;
    };
    assert.match(await command('md5sum /srv/rest'), /^1 .*I\/O error/);
    assert.match(
      (await page.evaluate(() => logged))[0],
      /^error: disk root: a read has failed: http:.*\/chunks\/[0-9a-f]{64}: the server answers 404$/,
    );
    behave = allow;
    assert.equal(await command('md5sum /srv/rest > /dev/null && hello'), '0 hello from the image');
  });

  await suite.test('what cannot be a root', async () => {
    assert.match(
      await boot({ root: `${address}/none` }),
      /^disk: disk root: http:.*\/none\/root\.json: the server answers 404/,
    );
    assert.match(await boot({ rootCache: '/folder' }), /^invalid-option: only Node\.js has folders/);
    await dispose();
  });
});
