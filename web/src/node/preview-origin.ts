// SPDX-License-Identifier: MIT
// The origins of previews: `auklet serve` answers as PORT.localhost, too, which
// browsers take for this computer without asking a name server.

import type { IncomingMessage } from 'node:http';

const PREVIEW_HOST = /^\d{1,5}(-\d{1,3})?\.localhost(:\d{1,5})?$/i;
/** A Content-Security-Policy cannot name addresses of IPv6. */
const PAGE_HOST = /^(?:localhost|127\.0\.0\.1)(:\d{1,5})?$/i;

/** What is not of the guest's site there. All else leads to the first. */
const FILES = [
  '/auklet-preview.html',
  '/auklet-preview-keeper.js',
  '/auklet-preview-socket.js',
  '/auklet-preview-worker.js',
];

export interface Found {
  /** The path of a file in the site's folder, or a text of JSON. */
  file?: string;
  json?: string;
  headers: Record<string, string>;
}

/**
 * The pattern of the previews' origins, for a page that this server has. Other
 * names than the loopback device's have none: who is asked for them?
 */
export function previewPattern({ headers }: IncomingMessage): string | undefined {
  const found = PAGE_HOST.exec(headers.host ?? '');
  return found === null ? undefined : `http://{port}.localhost${found[1] ?? ''}`;
}

/** Undefined if the request is not for such an origin. */
export function previewFile({ headers }: IncomingMessage, path: string): Found | undefined {
  const found = PREVIEW_HOST.exec(headers.host ?? '');
  if (found === null) return undefined;
  const pages = ['localhost', '127.0.0.1'].map((host) => `http://${host}${found[2] ?? ''}`);
  const isSettings = path === '/auklet-preview.json';
  return {
    ...(isSettings
      ? { json: JSON.stringify({ pages }) }
      : { file: `/preview-origin${FILES.includes(path) ? path : FILES[0]!}` }),
    headers: {
      'Content-Security-Policy': `frame-ancestors ${pages.join(' ')}`,
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cross-Origin-Resource-Policy': 'cross-origin',
    },
  };
}
