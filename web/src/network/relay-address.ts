// SPDX-License-Identifier: MIT
// The address of a relay, as users write it.

/** @throws TypeError with a message for users. */
export function checkRelayAddress(url: string): URL {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw new TypeError(`the address of a relay is ws://... or wss://..., not ${url}`);
  }
  if (!['ws:', 'wss:'].includes(parsed.protocol))
    throw new TypeError(`the address of a relay begins with ws:// or wss://, not ${parsed.protocol}`);
  if (parsed.hash !== '' || parsed.username !== '' || parsed.password !== '')
    throw new TypeError('the address of a relay has no #fragment, no name and no password');
  if (!parsed.pathname.endsWith('/')) throw new TypeError('the address of a relay ends with /');
  return parsed;
}
