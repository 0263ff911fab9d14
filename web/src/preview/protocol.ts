// SPDX-License-Identifier: MIT
// What the parts of a preview say to each other (docs/network.md, "Previews").
//
// The page has the machine. A tab of its own shows a preview: port.html, of the
// page's origin, with two frames of the preview's origin. One is the guest's
// site, whose requests a service worker gets. The other is the keeper, by which
// the service worker finds the page. What comes from the preview's origin may
// be the guest's doing: the page's side checks all of it.

import type { Fields } from '../network/http1.ts';

/** Paths of the preview's origin that are not the guest's begin so. */
export const OWN_PATHS = '/auklet-preview';
export const KEEPER_PATH = `${OWN_PATHS}.html`;
export const SETTINGS_PATH = `${OWN_PATHS}.json`;
export const WORKER_PATH = `${OWN_PATHS}-worker.js`;
export const SCRIPT_PATH = `${OWN_PATHS}-socket.js`;

/** Beside the keeper: the origins of pages that may show previews. */
export interface PreviewSettings {
  pages: string[];
}

/** A message that anybody may have sent, so that each of its parts is a lie. */
export type Untrusted<Message> =
  { [Key in Message extends unknown ? keyof Message : never]?: unknown } | null | undefined;

// ---- viewer and page --------------------------------------------------------

/** The viewer asks its opener, the page, and sends the port of a channel. */
export interface ViewerHello {
  type: 'auklet-preview';
  port: number;
}

/** On that channel. */
export type ToViewer =
  /** The preview's origin, and the Web Lock that the page holds. */
  | { type: 'welcome'; origin: string; lock: string }
  /** A server listens now, and did not before. */
  | { type: 'reload' };

export type FromViewer =
  /** A service worker's channel follows, of requests. */
  { type: 'connect' };

// ---- keeper, viewer, service worker -----------------------------------------

export type FromKeeper =
  /** It listens. */
  | { type: 'hello' }
  /** The service worker works. */
  | { type: 'ready' }
  /** There is none, and why. */
  | { type: 'failed'; message: string }
  /** A service worker's channel follows, of requests. */
  | { type: 'connect' };

export type ToKeeper =
  | { type: 'welcome' }
  /** The page is gone. The service worker hears it, too. */
  | { type: 'gone' };

// ---- service worker and page ------------------------------------------------

/** On the channel of requests, to the service worker. */
export type Greeting = { type: 'welcome' } | { type: 'gone' };

/**
 * From the service worker. A channel of its own follows each, and with
 * `hasBody` one for the body's pieces.
 */
export type PageRequest =
  | {
      type: 'request';
      method: string;
      /** Path and query. */
      target: string;
      fields: Fields;
      hasBody: boolean;
      /** It is for a document, and not for a part of one. */
      isDocument: boolean;
    }
  | { type: 'socket'; target: string; protocols: string[] };

/** On the channel of a request. With `hasBody`, a channel of pieces follows. */
export interface Answer {
  type: 'answer';
  status: number;
  statusText: string;
  fields: Fields;
  hasBody: boolean;
}

export interface Abort {
  type: 'abort';
}

// ---- WebSockets: a document's script and the page ---------------------------

/** Longest message of a WebSocket. */
export const LONGEST_MESSAGE = 16 << 20;
/** Bytes of messages that one side has sent, and the other not yet taken. */
export const MOST_UNTAKEN = 16 << 20;

export type ToSocket =
  | { type: 'open'; protocol: string }
  | { type: 'message'; data: string | ArrayBuffer }
  /** So many bytes of 'send' are gone. */
  | { type: 'taken'; count: number }
  | { type: 'close'; code: number; reason: string; wasClean: boolean };

export type FromSocket =
  | { type: 'send'; data: string | ArrayBuffer }
  /** So many bytes of 'message' were heard. */
  | { type: 'taken'; count: number }
  | { type: 'close'; code: number | undefined; reason: string };
