// SPDX-License-Identifier: MIT
// The command line program and the scripts of its workers, in AUKLET_BUILD/cli: no packages, no other files.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig } from 'vite';

const build = resolve(process.env.AUKLET_BUILD ?? join(import.meta.dirname, '../build'));
const source = (path: string) => join(import.meta.dirname, 'src', path);

export default defineConfig({
  resolve: { alias: { bufferutil: source('relay/buffer-util.ts') } },
  build: {
    ssr: true,
    outDir: join(build, 'cli'),
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    rollupOptions: {
      input: Object.fromEntries(
        [
          ['auklet', source('node/main.ts')],
          // For tests: machines as objects, in Node.js.
          ['machine', source('node/machine.ts')],
          ['host-worker', source('machine/host-worker.ts')],
          ['guest-worker', source('guest/guest-worker.ts')],
          ['storage-worker', source('storage/storage-worker.ts')],
        ].filter(([, path]) => existsSync(path!)),
      ),
      output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
    },
  },
  ssr: { noExternal: true },
});
