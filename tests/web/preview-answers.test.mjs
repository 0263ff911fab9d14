// SPDX-License-Identifier: MIT
// Previews: what becomes of a server's answers and cookies, and streams over ports.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { source } from './source.mjs';

const { answerFields, decodedBody, isHtml, textPage, withScript } = await source('preview/answers.ts');
const { CookieJar } = await source('preview/cookies.ts');
const { receivePieces, sendPieces } = await source('preview/pieces.ts');

const PAGE = { origin: 'https://example.org', credentialless: true };
const bytes = (text) => new Uint8Array(Buffer.from(text, 'latin1'));
const streamOf = (...parts) =>
  ReadableStream.from(parts.map((part) => (typeof part === 'string' ? bytes(part) : part)));
const textOf = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString('latin1');
};
const fieldsOf = (fields, port = 8080, page = PAGE) => {
  const all = answerFields(fields, port, page);
  assert.deepEqual(all.splice(-3), [
    ['cross-origin-embedder-policy', page.credentialless ? 'credentialless' : 'require-corp'],
    ['cross-origin-resource-policy', 'cross-origin'],
    ['content-security-policy', "frame-ancestors 'self' https://example.org"],
  ]);
  return all;
};

test('what does not pass', () => {
  fieldsOf([], 80, { origin: 'https://example.org', credentialless: false });
  const dropped = [
    ['service-worker-allowed', '/'],
    ['clear-site-data', '"*"'],
    ['set-cookie', 'a=b'],
    ['x-frame-options', 'DENY'],
    ['cross-origin-embedder-policy', 'unsafe-none'],
    ['cross-origin-resource-policy', 'same-origin'],
    ['cross-origin-opener-policy', 'same-origin'],
    ['strict-transport-security', 'max-age=1'],
    ['content-encoding', 'gzip'],
    ['content-length', '7'],
    ['content-security-policy', "frame-ancestors 'none'"],
  ];
  const kept = [
    ['content-type', 'text/plain'],
    ['etag', '"x"'],
  ];
  assert.deepEqual(fieldsOf([...dropped, ...kept]), kept);
  assert.deepEqual(
    fieldsOf([
      ['content-security-policy', "default-src 'self'; Frame-Ancestors 'none', script-src x; frame-ancestors"],
    ]),
    [['content-security-policy', "default-src 'self', script-src x"]],
  );
});

test('redirects to the server itself stay in the preview', () => {
  const cases = [
    ['/a?b#c', '/a?b#c'],
    ['b', 'b'],
    ['http://localhost:8080/a', '/a'],
    ['https://127.0.0.1:8080', '/'],
    ['http://10.0.2.15:8080?x', '/?x'],
    ['http://localhost:80801/', 'http://localhost:80801/'],
    ['http://localhost/', 'http://localhost/'],
    ['http://localhost.example.org:8080/', 'http://localhost.example.org:8080/'],
    ['https://example.org/', 'https://example.org/'],
  ];
  for (const [value, expected] of cases)
    assert.deepEqual(fieldsOf([['location', value]]), [['location', expected]], value);
  assert.deepEqual(fieldsOf([['location', 'http://localhost/x']], 80), [['location', '/x']]);
  assert.deepEqual(fieldsOf([['location', 'http://localhost:80/x']], 80), [['location', '/x']]);
});

test('bodies are decoded, or there is an error', async () => {
  const zipped = streamOf(new Uint8Array(gzipSync('hello')));
  assert.equal(await textOf(decodedBody(zipped, [['content-encoding', 'gzip']])), 'hello');
  assert.equal(await textOf(decodedBody(streamOf('plain'), [['content-encoding', 'identity']])), 'plain');
  assert.throws(() => decodedBody(streamOf('x'), [['content-encoding', 'br']]), /coding br/);
  assert.equal(isHtml([['content-type', 'text/html; charset=utf-8']]), true);
  assert.equal(isHtml([['content-type', 'text/html5']]), false);
});

test('the script stands before all others', async () => {
  const script = '<script src="/auklet-preview-socket.js"></script>';
  const mark = (text) => text.replace('|', script);
  const cases = [
    '<!DOCTYPE html>|<html><head>',
    ' <!-- a > comment --> <!doctype html>|x',
    '|<html><!doctype html>',
    '\xef\xbb\xbf<!doctype html>|x',
    '\xef\xbb\xbf|<p>',
    '|text',
    '|<',
    '|<!-- no end',
    '|<!doctype',
  ];
  for (const each of cases) {
    const plain = each.replace('|', '');
    for (const size of [1, 2, 5, 1000]) {
      const parts = plain.match(new RegExp(`[^]{1,${size}}`, 'g'));
      assert.equal(await textOf(withScript(streamOf(...parts))), mark(each), `${each} by ${size}`);
    }
  }
  assert.equal(await textOf(withScript(streamOf())), '');
  assert.equal(await textOf(withScript(streamOf('\xff\xfe<\0'))), '\xff\xfe<\0');
  const long = `<!--${'-'.repeat(10_000)}`;
  assert.equal(await textOf(withScript(streamOf(...long.match(/[^]{1,100}/g)))), script + long);
});

test('a page of text shows what it is told as text', () => {
  assert.match(textPage('<b>', '"&'), /<h1>&lt;b&gt;<\/h1>\n<p>&quot;&amp;<\/p>/);
});

test('cookies', () => {
  let now = 1_000_000;
  const jar = new CookieJar(() => now);
  jar.set('a=1', '/dir/page?x');
  jar.set('b=2; Path=/; HttpOnly', '/dir/page');
  jar.set('c=3; path=/dir/sub', '/');
  assert.equal(jar.get('/dir/other'), 'a=1; b=2');
  assert.equal(jar.get('/directory'), 'b=2');
  assert.equal(jar.get('/dir/sub/x?y'), 'c=3; a=1; b=2');
  jar.set('b=4; Path=/', '/x');
  assert.equal(jar.get('/'), 'b=4');
  jar.set('b=; Path=/; Max-Age=0', '/x');
  assert.equal(jar.get('/'), undefined);
  jar.set('d=5; Path=/; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT', '/');
  assert.equal(jar.get('/'), 'd=5');
  now += 10_001;
  assert.equal(jar.get('/'), undefined);
  for (const line of ['', '=x', 'novalue', `${'n'.repeat(5000)}=1`]) jar.set(line, '/');
  assert.equal(jar.get('/'), undefined);
  for (let index = 0; index < 1000; ++index) jar.set(`n${index}=x; Path=/`, '/');
  assert.equal(jar.get('/').split('; ').length, 180);
  assert.match(jar.get('/'), /n999=x$/);
});

test('a stream over a port', async (suite) => {
  const open = (stream, signal) => {
    const { port1, port2 } = new MessageChannel();
    suite.after(() => (port1.close(), port2.close()));
    let hasEnded = false;
    sendPieces(port1, stream, () => (hasEnded = true));
    return { stream: receivePieces(port2, signal), port1, port2, hasEnded: () => hasEnded };
  };
  const large = 'x'.repeat(3_000_000);
  const all = open(streamOf('one', '', large));
  assert.equal(await textOf(all.stream), `one${large}`);
  assert(all.hasEnded());

  const failing = open(
    new ReadableStream({
      pull: () => {
        throw new Error('broken');
      },
    }),
  );
  await assert.rejects(textOf(failing.stream), /broken/);

  // Nothing is read before it is asked for, and a cancel arrives.
  let pulled = 0;
  let cancelled;
  const wasCancelled = new Promise((resolve) => (cancelled = resolve));
  const idle = new ReadableStream(
    { pull: (controller) => (++pulled, controller.enqueue(bytes('x'))), cancel: cancelled },
    { highWaterMark: 0 },
  );
  const reader = open(idle).stream.getReader();
  await reader.read();
  assert.equal(pulled, 1);
  await reader.cancel();
  await wasCancelled;

  const gone = new AbortController();
  const stuck = open(new ReadableStream({}), gone.signal);
  const reading = textOf(stuck.stream);
  gone.abort(new Error('gone'));
  await assert.rejects(reading, /gone/);

  // The other side lies.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => port1.postMessage({ type: 'bytes', bytes: 'text' });
  await assert.rejects(textOf(receivePieces(port2)), /no piece/);
  port1.close();
});
