// SPDX-License-Identifier: MIT
// The site names its parts, and has their licences and their source.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, root } from './machines.mjs';

const site = join(build, 'dist');
const about = readFileSync(join(site, 'about.html'), 'utf8');
const links = [...about.matchAll(/href="([^"]+)"/g)].map(([, link]) => decodeURIComponent(link));
const cells = [...about.matchAll(/<tr>(<td>.*?<\/td>)<\/tr>/g)].map(([, row]) =>
  [...row.matchAll(/<td>(.*?)<\/td>/g)].map(([, cell]) => cell.replace(/<[^>]*>/g, '')),
);

test('the page links to it', () => {
  assert.match(readFileSync(join(site, 'index.html'), 'utf8'), /<a [^>]*href="about.html"/);
});

test('each link of it leads to a file', () => {
  assert(links.length > 15, String(links));
  for (const link of links) assert(existsSync(join(site, link)) && statSync(join(site, link)).size > 100, link);
});

test('versions are those that were built', () => {
  const version = (name) => cells.find(([part]) => part === name)?.[1];
  for (const [name, pin] of [
    ['BusyBox', 'userland/busybox/pin'],
    ['musl', 'userland/musl/pin'],
    ['Linux', 'kernel/pin'],
    ['libfdt', 'host/pin'],
  ]) {
    const upstream = readFileSync(join(root, pin), 'utf8').match(/^version=(.*)$/m)[1];
    assert(version(name)?.replace(/^\d+:/, '').startsWith(upstream), `${name} ${version(name)}`);
  }
  assert.match(readFileSync(join(build, 'kernel/source/Makefile'), 'utf8'), /^VERSION = 6$/m);
});

test('every package of the page is there with its licence', () => {
  const names = Object.keys(JSON.parse(readFileSync(join(root, 'web/package.json'), 'utf8')).dependencies);
  for (const name of names)
    assert(
      cells.some(([part, , , licence, text]) => part === name && licence && text),
      name,
    );
  // The scripts of the site say what is in the page.
  const scripts = readdirSync(join(site, 'assets')).filter((file) => file.endsWith('.js'));
  const hasWs = scripts.some((file) => readFileSync(join(site, 'assets', file), 'utf8').includes('WebSocketServer'));
  assert.equal(cells.find(([part]) => part === 'ws')[2] === 'the page', hasWs);
});

test('licence texts', () => {
  const text = (name) => readFileSync(join(site, 'licenses', name), 'utf8');
  assert.match(text('GPL-2.0-only.txt'), /GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991/);
  assert.match(text('BusyBox.txt'), /GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991/);
  assert.match(text('Linux-syscall-note.txt'), /NOTE! This copyright does \*not\* cover user programs/);
  assert.match(text('musl.txt'), /musl as a whole is licensed under the following standard MIT license/);
  assert.match(text('libfdt.txt'), /Redistribution and use in source and binary forms/);
});

test('the source', () => {
  assert.match(about, /Written offer: .*at least three years|source\/linux-source-6\.12\.tar\.xz/s);
  const files = execFileSync('tar', ['-tzf', join(site, 'source/auklet.tar.gz')], { encoding: 'utf8' }).split('\n');
  for (const file of [
    'auklet',
    'kernel/config',
    'kernel/build.sh',
    'userland/busybox/config',
    'userland/busybox/build.sh',
  ])
    assert(files.includes(`auklet/${file}`), file);
  assert(files.some((file) => file.startsWith('auklet/kernel/patches/')));
  assert(!files.some((file) => /node_modules|^auklet\/build\//.test(file)));
  for (const pattern of [/busybox_.*\.dsc$/, /busybox_.*\.debian\.tar/, /busybox_.*\.orig\.tar/, /musl_.*\.orig\.tar/])
    assert(
      links.some((link) => pattern.test(link)),
      String(pattern),
    );
});
