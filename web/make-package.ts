// SPDX-License-Identifier: MIT
// The package for npm, as a folder: make-package.ts FOLDER. Scripts, types, the parts of a machine, licences; no dependencies.
//
// Each script is one file that needs no other, so that a worker starts with one request and the order of its imports cannot be
// changed by a bundler. They find each other and the parts by `new URL(..., import.meta.url)`, which bundlers recognise.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'vite';

const folder = resolve(process.argv[2] ?? 'package');
const web = import.meta.dirname;
const root = join(web, '..');
const built = resolve(process.env.AUKLET_BUILD ?? join(root, 'build'));

const PARTS = {
  kernel: join(built, 'kernel/vmlinux.wasm'),
  initramfs: join(built, 'initramfs/initramfs.cpio.gz'),
  host: join(built, 'host/emscripten/auklet-host.wasm'),
  tls: join(built, 'tls/auklet-tls.wasm'),
};
const SCRIPTS = {
  browser: 'index.ts',
  node: 'node/index.ts',
  'host-worker': 'machine/host-worker.ts',
  'relayed-host-worker': 'api/relayed-host-worker.ts',
  'guest-worker': 'guest/guest-worker.ts',
  'storage-worker': 'storage/storage-worker.ts',
};

const nameOf = (path: string) => path.split('/').at(-1)!;

/** auklet:assets: the parts beside the scripts. */
function assets(): Plugin {
  const id = '\0auklet:assets';
  const entries = Object.entries(PARTS).map(
    ([name, path]) => `${name}: { url: new URL('./${nameOf(path)}', import.meta.url), size: ${statSync(path).size} }`,
  );
  return {
    name: 'auklet-package-assets',
    resolveId: (source) => (source === 'auklet:assets' ? id : undefined),
    load: (source) => (source === id ? `export default { ${entries.join(', ')} };` : undefined),
  };
}

/** Scripts of workers have other names in the package than in the sources. */
function workers(): Plugin {
  const address = /new URL\(\s*(['"])[^'"]*\/([a-z-]+)\.ts\1,\s*import\.meta\.url\s*\)/g;
  return {
    name: 'auklet-package-workers',
    transform: (code) => code.replace(address, (_, _quote, name) => `new URL('./${name}.js', import.meta.url)`),
    renderChunk(code) {
      const left = code.match(/new URL\([^)]*\.ts['"]/);
      if (left !== null) throw new Error(`${left[0]}: a worker whose script is not in the package`);
    },
  };
}

/** Vite's own steps for pages are those of the program that uses the package: these are left as they are by an SSR build. */
async function makeScript(name: string, source: string): Promise<void> {
  await build({
    configFile: false,
    root: web,
    logLevel: 'warn',
    plugins: [assets(), workers()],
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: false,
      target: 'es2022',
      minify: false,
      rollupOptions: {
        input: { [name]: join(web, 'src', source) },
        output: { entryFileNames: '[name].js', codeSplitting: false },
      },
    },
    ssr: { noExternal: true },
  });
}

/** The compiler leaves the sources' names in declarations. */
function makeTypes(): void {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const types = join(folder, 'types');
  const options = [
    '--declaration',
    '--emitDeclarationOnly',
    '--noEmit',
    'false',
    '--rootDir',
    'src',
    '--outDir',
    types,
  ];
  execFileSync(process.execPath, [join(compiler, '../bin/tsc'), '--project', 'tsconfig.package.json', ...options], {
    cwd: web,
    stdio: 'inherit',
  });
  for (const entry of readdirSync(types, { recursive: true, encoding: 'utf8' })) {
    const path = join(types, entry);
    if (statSync(path).isFile())
      writeFileSync(path, readFileSync(path, 'utf8').replace(/((?:from |import\()'\.[^']*)\.ts'/g, "$1.js'"));
  }
}

function makeDescription(): void {
  const { name, version, description, license, type, engines } = JSON.parse(
    readFileSync(join(web, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  const parts = Object.values(PARTS).map((path) => `./${nameOf(path)}`);
  const contents = {
    name,
    version,
    description,
    license,
    type,
    engines,
    types: './types/index.d.ts',
    exports: {
      '.': {
        types: './types/index.d.ts',
        browser: './browser.js',
        node: './node.js',
        default: './browser.js',
      },
      ...Object.fromEntries([...parts, './package.json'].map((path) => [path, path])),
    },
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(contents, undefined, 2)}\n`);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [name, source] of Object.entries(SCRIPTS)) await makeScript(name, source);
makeTypes();
makeDescription();
for (const path of Object.values(PARTS)) cpSync(path, join(folder, nameOf(path)));
cpSync(join(root, 'LICENSES'), join(folder, 'LICENSES'), { recursive: true });
cpSync(join(web, 'package-readme.md'), join(folder, 'README.md'));
