// SPDX-License-Identifier: MIT
// A machine's place among others: its address, and what its host is to know.

import type { NetworkStart } from '../machine/network.ts';
import type { LinkChange } from '../network/link.ts';
import { macOf, randomMac } from '../network/mac.ts';
import { FIRST_GUEST, LAST_GUEST, NETWORK_PREFIX, type NetworkOptions } from '../network/options.ts';
import { MachineError } from './types.ts';

export interface TakenPlace extends Pick<NetworkStart, 'options' | 'mac' | 'address' | 'link'> {
  hostname?: string | undefined;
  leave(): void;
}

const CHANNEL = 'channel:';

/** The addresses that a machine may have by itself, the usual one first. */
const ADDRESSES = Array.from(
  { length: LAST_GUEST - FIRST_GUEST + 1 },
  (_, index) => `${NETWORK_PREFIX}${FIRST_GUEST + index}`,
);

/**
 * `tell` hears of machines that come to the link later, and that leave it.
 *
 * @throws MachineError
 */
export async function takePlace(given: NetworkOptions, tell: (change: LinkChange) => void): Promise<TakenPlace> {
  const alone = { mac: randomMac(), address: ADDRESSES[0]!, leave: () => {} };
  if (given.type === 'ethernet') return { ...alone, options: given, link: { type: 'ethernet', url: given.url } };
  // The host cannot get a Link.
  const { link, address: wanted, hostname, ...options } = given;
  if (link === undefined) return { ...alone, options, address: wanted ?? alone.address, hostname };
  if (typeof link === 'string') {
    const name = link.slice(CHANNEL.length);
    const { address, leave } = await holdAddress(name, wanted);
    return { options, mac: macOf(address), address, hostname, link: { type: 'channel', name }, leave };
  }
  const used = new Set(link.addresses);
  const address = wanted ?? ADDRESSES.find((each) => !used.has(each)) ?? ADDRESSES[0]!;
  const mac = macOf(address);
  try {
    const { bell, peers, leave } = link.join({ mac, address, hostname }, tell);
    return { options, mac, address, hostname, link: { type: 'machines', bell, peers }, leave };
  } catch (error) {
    throw new MachineError('network', (error as Error).message);
  }
}

/**
 * Web Locks have the reach of a channel: the tabs of an origin. So each address
 * is one, which its machine holds as long as its page is there.
 */
async function holdAddress(channel: string, wanted: string | undefined): Promise<{ address: string; leave(): void }> {
  const locks = (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
  if (locks === undefined) {
    // Node.js before 24.5. Two of ten machines have the same one in 1 of 6
    // cases.
    const random = crypto.getRandomValues(new Uint8Array(1))[0]! % ADDRESSES.length;
    return { address: wanted ?? ADDRESSES[random]!, leave: () => {} };
  }
  for (const address of wanted === undefined ? ADDRESSES : [wanted]) {
    const leave = await hold(locks, `auklet-link-1:${channel}:${address}`);
    if (leave !== undefined) return { address, leave };
  }
  throw new MachineError(
    'network',
    wanted === undefined
      ? `the channel ${channel} has no address for another machine`
      : `another machine of the channel ${channel} has the address ${wanted}`,
  );
}

/** Returns what releases the lock, or undefined if it is not free. */
function hold(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}
