// SPDX-License-Identifier: MIT
// Finishes the site that Vite made: finish-dist.mjs FOLDER
// Writes _headers, and compressed copies of the files that get smaller by it.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const folder = process.argv[2];

// The format that Netlify, Cloudflare Pages and others read.
writeFileSync(
  join(folder, '_headers'),
  `/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
  Cross-Origin-Resource-Policy: same-origin
  X-Content-Type-Options: nosniff
  Cache-Control: no-cache
/assets/*
  ! Cache-Control
  Cache-Control: public, max-age=31536000, immutable
`,
);

// Brotli at its best takes seconds for a kernel, so compressed copies are kept.
const kept = join(folder, '..', 'compressed');
mkdirSync(kept, { recursive: true });

function compressed(content, extension, compress) {
  const path = join(kept, createHash('sha256').update(content).digest('hex') + extension);
  if (!existsSync(path)) writeFileSync(path, compress(content));
  return path;
}

const best = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 } };
for (const entry of readdirSync(folder, { recursive: true })) {
  const path = join(folder, entry);
  // A page's gzip archive is compressed already. _headers is for the server
  // that hosts the site, not for visitors.
  if (!statSync(path).isFile() || /\.(br|gz)$|_headers$/.test(path)) continue;
  const content = readFileSync(path);
  const packed = compressed(content, '.br', (bytes) => brotliCompressSync(bytes, best));
  if (statSync(packed).size >= content.length) continue;
  copyFileSync(packed, `${path}.br`);
  copyFileSync(
    compressed(content, '.gz', (bytes) => gzipSync(bytes, { level: 9 })),
    `${path}.gz`,
  );
}
