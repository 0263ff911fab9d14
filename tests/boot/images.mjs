// SPDX-License-Identifier: MIT
// Images of root file systems for tests, and a static host for them.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build, root as sources } from './machines.mjs';

/** A folder that is gone after the test. */
export function folder(suite) {
  const path = mkdtempSync(join(tmpdir(), 'auklet-root-'));
  suite.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Makes an image of files, { path: content }, with the machine's own programs. */
export function imageOf(place, name, files, ...options) {
  const tree = join(place, `${name}.tree`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
    if (content.startsWith?.('#!')) chmodSync(join(tree, path), 0o755);
  }
  const output = join(place, name);
  const base = join(build, 'initramfs/initramfs.cpio.gz');
  execFileSync(join(sources, 'tools/image/image'), [tree, '-o', output, '--base', base, ...options], { stdio: 'pipe' });
  return output;
}

/** Serves a folder as a static host; `hook` may answer instead. */
export async function serve(suite, path, hook = () => false) {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push(request.url);
    if (hook(request, response)) return;
    const file = join(path, request.url);
    if (existsSync(file)) response.end(readFileSync(file));
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  suite.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://127.0.0.1:${server.address().port}`, requests };
}
