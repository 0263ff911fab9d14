// SPDX-License-Identifier: MIT
// DNS over HTTPS (RFC 8484): one request of fetch() for each question. Whoever
// runs the resolver learns each name, so which one is the user's to say.

import type { Exchange } from './dns-names.ts';

const TYPE = 'application/dns-message';
/** The largest message of DNS. */
const LARGEST = 65_535;

/** All of a body, of at most LARGEST bytes. */
async function bodyOf(response: Response): Promise<Uint8Array> {
  const body = new Uint8Array(LARGEST);
  let length = 0;
  // Not all engines have loops over streams.
  const reader = response.body?.getReader();
  for (let part; (part = (await reader?.read())?.value) !== undefined;) {
    if (length + part.length > LARGEST) {
      void reader!.cancel().catch(() => {});
      throw new Error('the resolver answers with too much');
    }
    body.set(part, length);
    length += part.length;
  }
  return body.slice(0, length);
}

/**
 * Questions to the resolver at an address of https:, which must let pages of
 * other origins ask it.
 *
 * @throws TypeError if the address is no such.
 */
export function dnsOverHttps(url: string, fetchIt: typeof fetch = fetch): Exchange {
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && !(protocol === 'http:' && ['localhost', '127.0.0.1'].includes(hostname)))
    throw new TypeError(`a resolver's address begins with https://, not ${protocol}`);
  return async (message, isAnswer, signal) => {
    const response = await fetchIt(url, {
      method: 'POST',
      headers: { 'Content-Type': TYPE, Accept: TYPE },
      body: message,
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      redirect: 'error',
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the resolver answers with the status ${response.status}`);
    }
    const answer = await bodyOf(response);
    if (!isAnswer(answer)) throw new Error('the resolver answers something else');
    return answer;
  };
}
