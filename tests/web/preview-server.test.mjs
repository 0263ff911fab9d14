// SPDX-License-Identifier: MIT
// `auklet serve` as the origin of previews: it looks at Host.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { source } from './source.mjs';

const { serve } = await source('node/serve-command.ts');

test('which files are whose', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-site-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'preview-origin'));
  writeFileSync(join(folder, 'index.html'), 'the page');
  writeFileSync(join(folder, 'secret.txt'), 'of the page');
  for (const name of ['auklet-preview.html', 'auklet-preview-worker.js'])
    writeFileSync(join(folder, 'preview-origin', name), name);
  const { port, close } = await serve({ folder, port: 0, host: '127.0.0.1' });
  suite.after(close);
  const get = (path, host) =>
    new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path, headers: { host } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      })
        .on('error', reject)
        .end();
    });

  const preview = `8080.localhost:${port}`;
  for (const host of [preview, '8080-12.LOCALHOST:9000', '1.localhost'])
    for (const path of [
      '/',
      '/any/path',
      '/secret.txt',
      '/index.html',
      '/preview-origin/auklet-preview-worker.js',
      '/preview.json',
    ]) {
      const { status, headers, text } = await get(path, host);
      assert.deepEqual([status, text], [200, 'auklet-preview.html'], `${host}${path}`);
      assert.equal(headers['cross-origin-resource-policy'], 'cross-origin');
      assert.equal(headers['cross-origin-embedder-policy'], 'require-corp');
      assert.equal(headers['cross-origin-opener-policy'], undefined);
    }
  const worker = await get('/auklet-preview-worker.js', preview);
  assert.equal(worker.text, 'auklet-preview-worker.js');
  assert.match(worker.headers['content-type'], /javascript/);
  const pages = [`http://localhost:${port}`, `http://127.0.0.1:${port}`];
  const settings = await get('/auklet-preview.json', preview);
  assert.deepEqual(JSON.parse(settings.text), { pages });
  assert.equal(settings.headers['content-security-policy'], `frame-ancestors ${pages.join(' ')}`);

  // The page is at other names, and as isolated as ever.
  for (const host of [
    `localhost:${port}`,
    'example.org',
    'x.localhost',
    '8080.localhost.example.org',
    '123456.localhost',
    '8080.localhost:x',
  ]) {
    const { headers, text } = await get('/', host);
    assert.equal(text, 'the page', host);
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal((await get('/auklet-preview.json', host)).status, 404);
  }
  // Whoever has led a name of theirs here learns of no previews.
  for (const host of ['localhost:9000', '127.0.0.1:9000'])
    assert.deepEqual(JSON.parse((await get('/preview.json', host)).text), { origin: 'http://{port}.localhost:9000' });
  for (const host of ['example.org', 'localhost.example.org', '192.168.0.1:8000'])
    assert.equal((await get('/preview.json', host)).status, 404, host);
});
