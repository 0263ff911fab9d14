// SPDX-License-Identifier: MIT
// The package as its users have it: packed, installed in an empty folder, checked by tsc, run in Node.js and with Vite in Chromium.
// What runs is the example of README.md.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { pathToFileURL } from 'node:url';
import { build, root } from '../boot/machines.mjs';
import { launchChromium } from '../browser/browsers.mjs';

const run = promisify(execFile);
const require = createRequire(join(root, 'web/package.json'));

const blocks = (name) =>
  [...readFileSync(join(root, name), 'utf8').matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code);
const [example] = blocks('README.md');
const [packageExample, viteConfiguration] = blocks('web/package-readme.md');
/** What the example prints. */
const PRINTED = /^0 Linux auklet 6\.12\.\S+ .* wasm GNU\/Linux\n/;

const folder = mkdtempSync(join(tmpdir(), 'auklet-package-'));
const app = join(folder, 'app');
test.after(() => rmSync(folder, { recursive: true }));

test('the package', async (suite) => {
  await suite.test('the README of the package has the same example', () => assert.equal(packageExample, example));

  await suite.test('it is packed, and installs in an empty folder without a network', async () => {
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder, join(build, 'package')]);
    const [tarball] = readdirSync(folder).filter((name) => /^auklet-.*\.tgz$/.test(name));
    assert.equal(stdout.trim(), tarball);
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), '{ "private": true, "type": "module" }\n');
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `../${tarball}`], { cwd: app });
    assert.deepEqual(
      readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.')),
      ['auklet'],
    );
    const installed = join(app, 'node_modules/auklet');
    const {
      private: isPrivate,
      dependencies,
      exports,
    } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    assert.deepEqual([isPrivate, dependencies], [undefined, undefined]);
    for (const path of [
      ...Object.values(exports['.']),
      './LICENSES/MIT.txt',
      './LICENSES/GPL-2.0-only.txt',
      './README.md',
    ])
      assert(existsSync(join(installed, path)), path);
  });

  await suite.test('a strict program is checked', async () => {
    writeFileSync(
      join(app, 'consumer.ts'),
      `${example}
import { Machine, MachineError, type BootOptions, type ExecResult, type MachineErrorCode } from 'auklet';
const options: BootOptions = { cpus: 1, files: [{ path: '/a', content: new Uint8Array() }, { path: '/b', link: 'a' }] };
const other: Machine = await boot(options);
const off: () => void = other.on('output', (bytes: Uint8Array) => console.log(bytes.length));
other.on('error', (error: MachineError) => console.log(error.code satisfies MachineErrorCode, error.message));
const result: ExecResult = await new Machine({ exec: true }).exec(['true'], { stdin: 'text' });
off();
console.log(result.status);
// @ts-expect-error: no such option
void boot({ cpuss: 2 });
// @ts-expect-error: a number
void boot({ cpus: '2' });
`,
    );
    const compiler = join(require.resolve('typescript/package.json'), '../bin/tsc');
    for (const options of [
      ['--module', 'nodenext'],
      ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ]) {
      const words = ['--strict', '--noEmit', '--target', 'es2022', '--exactOptionalPropertyTypes', ...options];
      const { stdout } = await run(process.execPath, [compiler, ...words, 'consumer.ts'], { cwd: app }).catch(
        (error) => error,
      );
      assert.equal(stdout, '');
    }
  });

  // Debian's Node.js is the oldest that the package names.
  for (const node of [process.execPath, '/usr/bin/node'])
    await suite.test(`it boots in ${node}`, async () => {
      writeFileSync(join(app, 'example.mjs'), example);
      const { stdout, stderr } = await run(node, ['example.mjs'], { cwd: app });
      assert.match(stdout, PRINTED);
      assert.equal(stderr, '');
    });

  await suite.test('one class of machines', async () => {
    writeFileSync(
      join(app, 'class.mjs'),
      `import * as auklet from 'auklet';
      const booted = await auklet.boot({ cpus: 1 });
      const made = new auklet.Machine({ cpus: 1 });
      await made.started;
      console.log(booted instanceof auklet.Machine, made.constructor === booted.constructor);
      await Promise.all([booted.dispose(), made.dispose()]);
      const error = await auklet.boot({ memory: 1 }).catch((error) => error);
      console.log(error instanceof auklet.MachineError);
      process.exit();`,
    );
    const { stdout } = await run(process.execPath, ['class.mjs'], { cwd: app });
    assert.equal(stdout, 'true true\ntrue\n');
  });

  await suite.test('a part that is missing is named', async () => {
    writeFileSync(
      join(app, 'missing.mjs'),
      `import { boot } from 'auklet';
      const error = await boot({ assets: { kernel: 'file:///no/such/vmlinux.wasm', initramfs: new Uint8Array(), host: 'file:///no/host.wasm' } })
        .catch((error) => error);
      console.log(error.name, error.code, error.message);
      process.exit();`,
    );
    const { stdout } = await run(process.execPath, ['missing.mjs'], { cwd: app });
    assert.match(stdout, /^MachineError download \S+\.wasm could not be read\n$/);
  });

  await suite.test('in a page made by Vite', async (suite) => {
    writeFileSync(join(app, 'index.html'), '<!doctype html><script type="module" src="./page.js"></script>');
    writeFileSync(
      join(app, 'page.js'),
      `import { Machine } from 'auklet';
      const print = console.log;
      console.log = (...words) => { globalThis.printed = words.join(' '); print(...words); };
      const { machine } = await import('./example.js');
      globalThis.isMachine = machine instanceof Machine;
      globalThis.finished = true;`,
    );
    writeFileSync(join(app, 'example.js'), `${example}\nexport { machine };\n`);
    writeFileSync(join(app, 'vite.config.js'), viteConfiguration);
    const vite = await import(pathToFileURL(require.resolve('vite')));
    const browser = await launchChromium(suite);
    const options = { root: app, logLevel: 'error', build: { target: 'es2022' } };
    const listen = { host: '127.0.0.1', port: 0, strictPort: false };

    const boots = async (address) => {
      const page = await browser.newPage();
      const errors = [];
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('requestfailed', (request) => errors.push(`${request.url()} failed`));
      await page.goto(address);
      const finished = page.waitForFunction(() => globalThis.finished, undefined, { timeout: 120_000 });
      await finished.catch((error) => assert.fail(`${error.message}\n${errors.join('\n')}`));
      assert.equal(await page.evaluate(() => globalThis.isMachine), true);
      assert.match(await page.evaluate(() => globalThis.printed), PRINTED);
      assert.deepEqual(errors, []);
      await page.close();
    };

    await suite.test('its development server', async (suite) => {
      const server = await vite.createServer({ ...options, server: listen });
      suite.after(() => server.close());
      await server.listen();
      await boots(server.resolvedUrls.local[0]);
    });

    await suite.test('a build', async (suite) => {
      await vite.build(options);
      const { headers } = (await import(pathToFileURL(join(app, 'vite.config.js')))).default.server;
      const server = await vite.preview({ ...options, preview: { ...listen, headers } });
      suite.after(() => server.close());
      await boots(server.resolvedUrls.local[0]);
    });
  });
});
