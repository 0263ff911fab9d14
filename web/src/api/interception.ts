// SPDX-License-Identifier: MIT
// `intercept` of the network `fetch`: an authority that is this machine's own.
// Loaded when it is asked for.

import { makeAuthority, toPem } from '../network/certificate.ts';
import type { Interception } from '../network/interception.ts';
import { loadModule } from './assets.ts';
import type { InitialEntry } from '../machine/protocol.ts';
import { MachineError, type Assets } from './types.ts';

/** /sbin/sysinit has it added to what the guest trusts. */
const CERTIFICATE = '/usr/local/share/ca-certificates/auklet-interception.crt';

/**
 * What the host needs, and a file for the guest.
 * @throws MachineError
 */
export async function makeInterception(
  { tls }: Assets,
  signal: AbortSignal,
): Promise<{ interception: Interception; file: InitialEntry }> {
  if (tls === undefined)
    throw new MachineError('invalid-option', 'network: intercept needs the part tls of the assets');
  const [authority, loaded] = await Promise.all([makeAuthority(), loadModule(tls, () => {}, signal)]);
  const module = loaded instanceof WebAssembly.Module ? loaded : await WebAssembly.compile(new Uint8Array(loaded));
  return { interception: { authority, module }, file: { path: CERTIFICATE, content: toPem(authority.certificate) } };
}
