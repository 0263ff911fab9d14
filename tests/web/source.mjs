// SPDX-License-Identifier: MIT
// Modules of web/src in tests: Node.js strips the types itself, and this does what Vite does for "?raw".

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

registerHooks({
  load(url, context, next) {
    if (!url.endsWith('?raw')) return next(url, context);
    const text = readFileSync(fileURLToPath(url.slice(0, -'?raw'.length)), 'utf8');
    return { format: 'module', shortCircuit: true, source: `export default ${JSON.stringify(text)};` };
  },
});

export const source = (path) => import(new URL(`../../web/src/${path}`, import.meta.url).href);
