// SPDX-License-Identifier: MIT
// The command `auklet serve`: a small static server for the page, with the
// headers of cross-origin isolation.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { extname, join, normalize, resolve, sep } from 'node:path';
import type { Policy } from '../network/policy.ts';
import { RELAY_FILE } from '../network/relay-file.ts';
import { numberOption, parseCommandLine, UsageError, type CommandLine } from './options.ts';
import { PageRelay } from './page-relay.ts';
import { previewFile, previewPattern } from './preview-origin.ts';
import { policyOf } from './relay.ts';

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

export interface ServerOptions {
  folder: string;
  port: number;
  /** An address, or the name of a host, to listen on. */
  host: string;
  /**
   * False leaves the headers out, as some hosts do, to test the service worker.
   */
  isolate?: boolean;
  /** What guests reach by the page's relay. Without it, there is none. */
  filter?: Policy | undefined;
}

async function answer(
  options: ServerOptions,
  relay: PageRelay | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers: Record<string, string> = {
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-cache',
    ...(options.isolate === false ? {} : ISOLATION),
  };
  const refuse = (status: number, text: string) => response.writeHead(status, headers).end(`${text}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return void refuse(405, 'GET and HEAD only');
  const json = (text: string) =>
    response.writeHead(200, { ...headers, 'Content-Type': TYPES['.json']! }).end(request.method === 'HEAD' ? '' : text);
  let path: string;
  try {
    path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
  } catch {
    return void refuse(400, 'bad address');
  }
  if (path === `${sep}${RELAY_FILE}`) {
    const file = relay?.fileFor(request);
    if (file === undefined) return void refuse(404, 'there is no relay for you');
    response.writeHead(200, { ...headers, 'Content-Type': TYPES['.json'], 'Cache-Control': 'no-store' });
    return void response.end(JSON.stringify(file));
  }
  const preview = previewFile(request, path);
  const pattern = previewPattern(request);
  if (preview !== undefined) {
    for (const name of Object.keys(ISOLATION)) delete headers[name];
    Object.assign(headers, preview.headers);
    if (preview.json !== undefined) return void json(preview.json);
    path = preview.file!;
  } else if (path === `${sep}preview.json` && pattern !== undefined)
    return void json(JSON.stringify({ origin: pattern }));
  if (path.endsWith(sep)) path += 'index.html';
  const file = join(options.folder, path);
  if (!file.startsWith(options.folder + sep) || file.includes('\0')) return void refuse(404, 'not found');
  const found = async (name: string) => {
    const information = await stat(name).catch(() => undefined);
    return information?.isFile() ? information.size : undefined;
  };
  if ((await found(file)) === undefined) return void refuse(404, 'not found');
  let served = file;
  const accepted = request.headers['accept-encoding'] ?? '';
  for (const [encoding, extension] of [
    ['br', '.br'],
    ['gzip', '.gz'],
  ] as const) {
    if (accepted.includes(encoding) && (await found(file + extension)) !== undefined) {
      served = file + extension;
      headers['Content-Encoding'] = encoding;
      break;
    }
  }
  headers['Vary'] = 'Accept-Encoding';
  headers['Content-Type'] = TYPES[extname(file)] ?? 'application/octet-stream';
  if (path.startsWith(`${sep}assets${sep}`)) headers['Cache-Control'] = 'public, max-age=31536000, immutable';
  headers['Content-Length'] = String(await found(served));
  response.writeHead(200, headers);
  if (request.method === 'HEAD') response.end();
  else
    createReadStream(served)
      .on('error', () => response.destroy())
      .pipe(response);
}

/** Starts a server. Resolves with its port when it listens. */
export function serve(options: ServerOptions): Promise<{ port: number; close(): void }> {
  const fixed = { ...options, folder: resolve(options.folder) };
  let relay: PageRelay | undefined;
  const server = createServer((request, response) => {
    answer(fixed, relay, request, response).catch(() => response.destroy());
  });
  return new Promise((resolvePort, reject) => {
    server.on('error', reject);
    server.listen(options.port, options.host, () => {
      const address = server.address();
      const result = {
        port: typeof address === 'object' && address !== null ? address.port : options.port,
        close: () => {
          void relay?.close();
          server.close();
          server.closeAllConnections();
        },
      };
      const { filter } = options;
      if (filter === undefined) return resolvePort(result);
      PageRelay.start(server, filter).then((started) => {
        relay = started;
        resolvePort(result);
      }, reject);
    });
  });
}

/**
 * The host to show to the user. Browsers run a machine only at localhost or
 * https://, so localhost is shown if it leads to this server.
 */
function shownHost(host: string): string {
  if (['127.0.0.1', '0.0.0.0', '::', '::1'].includes(host)) return 'localhost';
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** Undefined: there is no relay. */
function filterOf(line: CommandLine): Policy | undefined {
  const network = line.values.get('network') ?? 'relay';
  if (network === 'relay') return policyOf('run', line);
  if (network !== 'none') throw new UsageError(`--network ${network}: write relay or none`);
  for (const name of ['network-allow', 'network-deny'])
    if (line.lists.get(name)!.length > 0) throw new UsageError(`--${name} needs the relay, which --network=none ends`);
  return undefined;
}

export async function serveCommand(words: readonly string[]): Promise<number> {
  const line = parseCommandLine('serve', words, {
    values: ['host', 'port', 'network'],
    lists: ['network-allow', 'network-deny'],
    flags: ['no-isolation'],
  });
  const [folder] = line.words;
  if (folder === undefined || line.words.length > 1) throw new UsageError('serve: usage: serve [OPTIONS] FOLDER');
  const host = line.values.get('host') ?? '127.0.0.1';
  if (!isIP(host) && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host))
    throw new UsageError(`--host must be an address or a host name, not ${host === '' ? 'empty' : host}`);
  const port = numberOption(line, 'port', { least: 0, most: 65535, unit: '' }) ?? 8000;
  const filter = filterOf(line);
  try {
    const server = await serve({ folder, host, port, isolate: !line.flags.has('no-isolation'), filter });
    console.log(`Auklet is at http://${shownHost(host)}:${server.port}/ (Ctrl-C ends it)`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new UsageError(
        `port ${port} is in use; choose another: ./auklet run --port ${port === 65535 ? 8000 : port + 1}`,
        1,
      );
    if (code === 'EACCES') throw new UsageError(`port ${port} needs privileges; choose one above 1023`, 1);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAFNOSUPPORT')
      throw new UsageError(`--host ${host}: this computer has no such address; 0.0.0.0 is all of them`, 1);
    throw error;
  }
  return new Promise(() => {});
}
