// SPDX-License-Identifier: MIT
// The page: a folder of static files with content-hashed names, in AUKLET_BUILD/dist.

import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build as bundle, defineConfig, type Plugin, type Rolldown } from 'vite';

const build = resolve(process.env.AUKLET_BUILD ?? join(import.meta.dirname, '../build'));

/** What a machine is made of, as the superbuild makes it. */
const parts = {
  kernel: join(build, 'kernel/vmlinux.wasm'),
  initramfs: join(build, 'initramfs/initramfs.cpio.gz'),
  host: join(build, 'host/emscripten/auklet-host.wasm'),
  tls: join(build, 'tls/auklet-tls.wasm'),
};

/** Those that each machine needs. */
const isPreloaded = (name: string): boolean =>
  [parts.kernel, parts.initramfs, parts.host].includes(resolve(import.meta.dirname, name));

/** The module auklet:assets: where the parts are in the output, and how large. */
function assets(): Plugin {
  const id = '\0auklet:assets';
  return {
    name: 'auklet-assets',
    resolveId: (source) => (source === 'auklet:assets' ? id : undefined),
    load(source) {
      if (source !== id) return undefined;
      const names = Object.keys(parts) as (keyof typeof parts)[];
      const imports = names.map((name) => `import ${name} from ${JSON.stringify(`${parts[name]}?url`)};`);
      const entries = names.map((name) => `${name}: { url: ${name}, size: ${statSync(parts[name]).size} }`);
      return `${imports.join('\n')}\nexport default { ${entries.join(', ')} };`;
    },
  };
}

/** Lets the browser download the parts while it still loads the script that asks for them. */
function preload(): Plugin {
  return {
    name: 'auklet-preload',
    transformIndexHtml: {
      order: 'post',
      handler: (_html, { bundle, path }) =>
        Object.values(path === '/index.html' ? (bundle ?? {}) : {})
          .filter((output) => output.type === 'asset' && output.originalFileNames.some((name) => isPreloaded(name)))
          .map(({ fileName }) => ({
            tag: 'link',
            attrs: { rel: 'preload', as: 'fetch', crossorigin: '', href: `./${fileName}` },
            injectTo: 'head',
          })),
    },
  };
}

/** As those of web/src/node/preview-origin.ts. */
const PREVIEW_HEADERS = `/*
  Cross-Origin-Embedder-Policy: require-corp
  Cross-Origin-Resource-Policy: cross-origin
  X-Content-Type-Options: nosniff
  Cache-Control: no-cache
`;

/** The folder for the origins of previews. Each script is one file, whose address stays. */
function previewOrigin(): Plugin {
  const source = (name: string) => join(import.meta.dirname, 'src/preview', name);
  const scripts = { worker: 'worker.ts', keeper: 'keeper.ts', socket: 'socket-script.ts' };
  return {
    name: 'auklet-preview-origin',
    async generateBundle() {
      const emit = (name: string, content: string) =>
        this.emitFile({ type: 'asset', fileName: `preview-origin/${name}`, source: content });
      const page = readFileSync(source('keeper.html'), 'utf8');
      for (const name of ['auklet-preview.html', 'index.html', '404.html']) emit(name, page);
      emit('_headers', PREVIEW_HEADERS);
      for (const [name, path] of Object.entries(scripts)) {
        const made = (await bundle({
          configFile: false,
          logLevel: 'warn',
          build: {
            write: false,
            target: 'es2022',
            rollupOptions: { input: source(path), output: { format: 'iife' } },
          },
        })) as Rolldown.RolldownOutput;
        emit(`auklet-preview-${name}.js`, made.output[0].code);
      }
    },
  };
}

export default defineConfig({
  // Works in any folder of a site.
  base: './',
  plugins: [assets(), preload(), previewOrigin()],
  worker: { format: 'es' },
  build: {
    outDir: join(build, 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: {
        main: join(import.meta.dirname, 'index.html'),
        port: join(import.meta.dirname, 'port.html'),
        'service-worker': join(import.meta.dirname, 'src/service-worker.ts'),
      },
      output: {
        // Its address must stay the same, and its folder is what it serves.
        entryFileNames: (chunk) => (chunk.name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
