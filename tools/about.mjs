// SPDX-License-Identifier: MIT
// Writes what a site ships, in which versions, under which licences, and where
// the source is, to FOLDER/about.html, FOLDER/licenses/ and FOLDER/source/:
//
//   about.mjs FOLDER BUILD SOURCES [LINUX-TARBALL]
//
// SOURCES is where the source packages are. Linux's tarball is 150 MB, so a
// site has it only if it is asked for (./auklet dist --sources). Without it the
// page makes the written offer of section 3b of the GPL.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

const [folder, build, sources, linuxTarball] = process.argv.slice(2);
const root = resolve(import.meta.dirname, '..');
const run = (command, ...words) => execFileSync(command, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
const read = (...path) => readFileSync(join(...path), 'utf8');

const versions = new Map(
  run(join(root, 'tools/source-versions'), sources, '--list')
    .trim()
    .split('\n')
    .map((line) => line.split(' ')),
);
const installed = (name) => run('dpkg-query', '--show', '--showformat', '${source:Version}', name);

/** Who uses a package of web/package.json, if that is not the page. */
const USERS = { ws: 'the relay, which is part of the command line' };

/** The packages in web/package.json, and what these need. */
function npmPackages() {
  const found = new Map();
  const add = (name, user) => {
    if (found.has(name)) return;
    const path = join(root, 'web/node_modules', name);
    const description = JSON.parse(read(path, 'package.json'));
    const licence = readdirSync(path).find((file) => /^licen[cs]e/i.test(file));
    if (licence === undefined) throw new Error(`${path} has no licence text`);
    found.set(name, {
      name,
      version: description.version,
      licence: description.license,
      what: user,
      texts: { [`${name.replace(/^@/, '').replace('/', '-')}.txt`]: read(path, licence) },
    });
    for (const needed of Object.keys(description.dependencies ?? {})) add(needed, user);
  };
  for (const name of Object.keys(JSON.parse(read(root, 'web/package.json')).dependencies))
    add(name, USERS[name] ?? 'the page');
  return [...found.values()];
}

const GPL = { 'GPL-2.0-only.txt': read(root, 'LICENSES/GPL-2.0-only.txt') };
const libfdt = (name) => run('tar', '-xOf', join(sources, 'device-tree-compiler.tar'), '--wildcards', `*/${name}`);
const bearssl = (name) => run('tar', '-xOf', join(sources, 'bearssl.tar'), '--wildcards', `*/${name}`);
const linuxPatches = readdirSync(join(root, 'kernel/patches')).length;
const busyboxPatches = readdirSync(join(root, 'userland/busybox/patches')).length;
const muslPatches = readdirSync(join(root, 'userland/musl/patches')).length;

const parts = [
  {
    name: 'Auklet',
    version: JSON.parse(read(root, 'web/package.json')).version,
    licence: 'MIT; what is part of the kernel GPL-2.0-only',
    what: 'the machine, the page, programs of the guest',
    texts: { 'MIT.txt': read(root, 'LICENSES/MIT.txt'), ...GPL },
  },
  {
    name: 'Linux',
    version: versions.get('linux'),
    licence: 'GPL-2.0-only WITH Linux-syscall-note',
    what: `the kernel; Debian’s source with ${linuxPatches} patches of ours and the architecture wasm`,
    texts: { ...GPL, 'Linux-syscall-note.txt': read(build, 'kernel/source/LICENSES/exceptions/Linux-syscall-note') },
  },
  {
    name: 'BusyBox',
    version: versions.get('busybox'),
    licence: 'GPL-2.0-only',
    what: `the commands of the guest; Debian’s source with ${busyboxPatches} patches of ours`,
    texts: { 'BusyBox.txt': read(build, 'busybox-build/src/LICENSE') },
  },
  {
    name: 'musl',
    version: versions.get('musl'),
    licence: 'MIT',
    what: `the C library in the programs of the guest; Debian’s source with ${muslPatches} patches of ours and the architecture wasm32`,
    texts: { 'musl.txt': read(build, 'musl/src/COPYRIGHT') },
  },
  {
    name: 'picolibc',
    version: versions.get('picolibc'),
    licence: 'BSD-3-Clause and others',
    what: 'functions of long double in the programs of the guest that use them',
    texts: { 'picolibc.txt': read(build, 'musl/picolibc/COPYING.picolibc') },
  },
  {
    name: 'tzdata',
    version: versions.get('tzdata'),
    licence: 'public domain',
    what: 'the time zones of the guest',
    texts: {},
  },
  {
    name: 'ca-certificates',
    version: versions.get('ca-certificates'),
    licence: 'MPL-2.0',
    what: 'whom programs of the guest trust: Mozilla’s certificates, as Debian has them',
    texts: { 'MPL-2.0.txt': read(root, 'LICENSES/MPL-2.0.txt') },
  },
  {
    name: 'libfdt',
    version: versions.get('device-tree-compiler'),
    licence: 'BSD-2-Clause (or GPL-2.0-or-later)',
    what: 'the machine’s device tree, in the host',
    texts: { 'libfdt.txt': libfdt('BSD-2-Clause') },
  },
  {
    name: 'BearSSL',
    version: versions.get('bearssl'),
    licence: 'MIT',
    what: 'TLS of a guest whose owner lets it end in the page; loaded only then',
    texts: { 'BearSSL.txt': bearssl('LICENSE.txt') },
  },
  {
    name: 'LLVM',
    version: installed('libclang-rt-22-dev-wasm32'),
    licence: 'Apache-2.0 WITH LLVM-exception',
    what: 'parts of compiler-rt, in the kernel and in programs of the guest',
    texts: { 'Apache-2.0.txt': read('/usr/share/common-licenses/Apache-2.0') },
  },
  {
    name: 'Emscripten',
    version: installed('emscripten'),
    licence: 'MIT; its C++ library Apache-2.0 WITH LLVM-exception',
    what: 'the runtime of the host',
    texts: { 'Emscripten.txt': read('/usr/share/doc/emscripten/copyright') },
  },
  ...npmPackages(),
];

const escape = (text) => text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]);
const link = (path, text) => `<a href="${path}">${escape(text)}</a>`;

for (const name of ['licenses', 'source']) {
  rmSync(join(folder, name), { recursive: true, force: true });
  mkdirSync(join(folder, name));
}
const rows = parts.map(({ name, version, licence, what, texts }) => {
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(folder, 'licenses', file), text);
  const links = Object.keys(texts).map((file) => link(`licenses/${file}`, file.replace(/\.txt$/, '')));
  const cells = [escape(name), escape(version), escape(what), escape(licence), links.join(', ')];
  return `        <tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
});

// The recipe: this tree as it is, changes that are not committed included.
const tree = join(folder, 'source/auklet.tar.gz');
const packed = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--transform=s,^,auklet/,'];
const listed = existsSync(join(root, '.git'))
  ? `git -C "$0" ls-files -z --cached --others --exclude-standard | (cd "$0" && xargs -0 ls -d 2>/dev/null) | tar -C "$0" -T -`
  : `tar -C "$0" --exclude=./build --exclude=./dist --exclude=node_modules .`;
run('sh', '-c', `${listed} "$@" -c | gzip -9n > "$OUT"`.replace('$OUT', tree), root, ...packed);

const files = ['busybox.dsc', 'musl.dsc'].flatMap((dsc) => {
  const text = read(sources, dsc);
  const names = text
    .match(/^Checksums-Sha256:\n((?: .*\n)*)/m)[1]
    .trim()
    .split('\n');
  const version = versions.get(dsc.replace('.dsc', '')).replace(/^\d+:/, '');
  const own = `${dsc.replace('.dsc', '')}_${version}.dsc`;
  copyFileSync(join(sources, dsc), join(folder, 'source', own));
  return [own, ...names.map((line) => line.trim().split(' ')[2])];
});
for (const file of files)
  if (existsSync(join(sources, file))) copyFileSync(join(sources, file), join(folder, 'source', file));
if (linuxTarball !== undefined) {
  files.push(basename(linuxTarball));
  copyFileSync(linuxTarball, join(folder, 'source', basename(linuxTarball)));
}

const linuxSource = `linux-source-6.12 (version ${versions.get('linux')})`;
const source =
  linuxTarball !== undefined
    ? `<p>All of it is here, in the folder ${link(`source/${basename(linuxTarball)}`, 'source')}.</p>`
    : `<p>Linux’s own source is the file <code>linux-source-6.12.tar.xz</code> of Debian’s package ${escape(linuxSource)}, unchanged:
      <code>apt-get download linux-source-6.12=${escape(versions.get('linux'))}</code>. Written offer: whoever publishes this site gives
      any third party, for at least three years from the day of the download, a complete copy of the corresponding source of
      the programs under the GPL, for no more than the cost of giving it.</p>`;

writeFileSync(
  join(folder, 'about.html'),
  `<!doctype html>
<!-- SPDX-License-Identifier: MIT -->
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="dark light" />
    <title>About Auklet</title>
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 0 auto; padding: 1em; }
      table { border-collapse: collapse; }
      th, td { text-align: left; vertical-align: top; padding: 0.25em 1em 0.25em 0; border-bottom: 1px solid #8884; }
      .wide { overflow-x: auto; }
    </style>
  </head>
  <body>
    <h1>About Auklet</h1>
    <p>Linux as a native WebAssembly program. ${link('./', 'Start it')}.</p>
    <h2>What is in it</h2>
    <div class="wide">
      <table>
        <tr><th>Part</th><th>Version</th><th>What it is here</th><th>Licence</th><th>Text</th></tr>
${rows.join('\n')}
      </table>
    </div>
    <p>It comes without any warranty, as each licence says.</p>
    <h2>Source</h2>
    <p>The programs under the GPL are built from Debian’s source packages of these versions, with the patches, files and
      configurations of this tree, by its scripts: ${link('source/auklet.tar.gz', 'auklet.tar.gz')} (its README says how: <code>./auklet dist</code>).</p>
    <ul>
${files.map((file) => `      <li>${link(`source/${encodeURIComponent(file)}`, file)}</li>`).join('\n')}
    </ul>
    ${source}
  </body>
</html>
`,
);
