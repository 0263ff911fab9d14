// SPDX-License-Identifier: MIT
// The page: a folder of static files with content-hashed names, in AUKLET_BUILD/dist.

import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

const build = resolve(process.env.AUKLET_BUILD ?? join(import.meta.dirname, '../build'));

/** What a machine is made of, as the superbuild makes it. */
const parts = {
  kernel: join(build, 'kernel/vmlinux.wasm'),
  initramfs: join(build, 'initramfs/initramfs.cpio.gz'),
  host: join(build, 'host/emscripten/auklet-host.wasm'),
};

const isPart = (name: string): boolean => Object.values(parts).includes(resolve(import.meta.dirname, name));

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
      handler: (_html, { bundle }) =>
        Object.values(bundle ?? {})
          .filter((output) => output.type === 'asset' && output.originalFileNames.some((name) => isPart(name)))
          .map(({ fileName }) => ({
            tag: 'link',
            attrs: { rel: 'preload', as: 'fetch', crossorigin: '', href: `./${fileName}` },
            injectTo: 'head',
          })),
    },
  };
}

export default defineConfig({
  // Works in any folder of a site.
  base: './',
  plugins: [assets(), preload()],
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
        'service-worker': join(import.meta.dirname, 'src/service-worker.ts'),
      },
      output: {
        // Its address must stay the same, and its folder is what it serves.
        entryFileNames: (chunk) => (chunk.name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
