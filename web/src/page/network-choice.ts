// SPDX-License-Identifier: MIT
// Where Linux's network leads, as the visitor or the page's address says it.

import { checkRelayAddress } from '../network/relay-address.ts';

export type NetworkChoice =
  /** Nowhere: Linux has no network card. */
  | { kind: 'none' }
  /** HTTP, by the browser. */
  | { kind: 'fetch' }
  /** The relay of `./auklet run`, which has served the page. */
  | { kind: 'own' }
  | { kind: 'relay'; url: string };

export const NO_NETWORK: NetworkChoice = { kind: 'none' };

/** In localStorage, what the visitor has chosen. */
const KEPT = 'auklet.network';
/** In sessionStorage, the link whose network the visitor has allowed. */
const ALLOWED = 'auklet.network-allowed';

/** As in ?network=. */
export function textOfChoice(choice: NetworkChoice): string {
  if (choice.kind === 'relay') return `relay:${choice.url}`;
  return choice.kind === 'own' ? 'relay' : choice.kind;
}

/** @throws TypeError with a message for users. */
export function parseChoice(text: string): NetworkChoice {
  if (text === 'none' || text === 'fetch') return { kind: text };
  if (text === 'relay') return { kind: 'own' };
  if (!text.startsWith('relay:')) throw new TypeError('it is none, fetch, relay, or relay:wss://HOST/TOKEN/');
  return { kind: 'relay', url: checkRelayAddress(text.slice('relay:'.length)).href };
}

/**
 * What a visitor is shown of a relay: whose it is. The rest of its address is
 * its secret.
 */
export function shownRelay(url: string): string {
  return new URL(url).host;
}

/** What the visitor chose last. */
export function keptChoice(): NetworkChoice {
  try {
    return parseChoice(localStorage.getItem(KEPT) ?? 'none');
  } catch {
    return NO_NETWORK;
  }
}

export function keepChoice(choice: NetworkChoice): void {
  try {
    localStorage.setItem(KEPT, textOfChoice(choice));
  } catch {
    // There is no storage here: the next visit begins without a network.
  }
}

/** A link, as far as it can do harm. */
export interface NetworkLink {
  choice: NetworkChoice | undefined;
  kernelArguments: string | undefined;
}

/** The link as a text. Undefined: it is no more than what the visitor wants. */
function doubtful({ choice, kernelArguments }: NetworkLink): string | undefined {
  const kept = textOfChoice(keptChoice());
  const wanted = choice === undefined ? kept : textOfChoice(choice);
  if (wanted === 'none' || (wanted === kept && kernelArguments === undefined)) return undefined;
  return JSON.stringify([wanted, kernelArguments]);
}

/**
 * Whether the visitor must be asked before the link's network is used. Whoever
 * has made a link may run a relay that listens, or make the kernel run programs
 * (?arguments=init=...) that send the visitor's files.
 */
export function needsConsent(link: NetworkLink): boolean {
  const text = doubtful(link);
  try {
    return text !== undefined && sessionStorage.getItem(ALLOWED) !== text;
  } catch {
    return true;
  }
}

/** The visitor allows this link, for this tab. */
export function consent(link: NetworkLink): void {
  try {
    sessionStorage.setItem(ALLOWED, doubtful(link) ?? '');
  } catch {
    // It is asked again after a reload.
  }
}
