// SPDX-License-Identifier: MIT
// By this file, `./auklet run` tells its page where the page's relay is.

/** Beside the page. Other servers have no such file. */
export const RELAY_FILE = 'relay.json';

export interface RelayFile {
  /** Of the relay's address: the token, between slashes. */
  path: string;
}

/** The address of the relay that a file names. Undefined: it names none. */
export function relayOf(file: unknown, page: URL): string | undefined {
  const path = (file as Partial<RelayFile> | null)?.path;
  if (typeof path !== 'string' || !/^\/[A-Za-z0-9_-]+\/$/.test(path)) return undefined;
  return `${page.protocol === 'https:' ? 'wss' : 'ws'}://${page.host}${path}`;
}
