// SPDX-License-Identifier: MIT
// The network "fetch" with `intercept`: https of the guest ends in the page.

import type { FlowEvents } from './backend.ts';
import { Certificates, makeServerKey, type Authority } from './certificate.ts';
import { TlsFlow, type TlsFlowUses } from './tls-flow.ts';
import { TlsModule } from './tls-module.ts';

/** What a machine's owner gives its host. */
export interface Interception {
  /** The guest trusts it. */
  authority: Authority;
  /** tls.wasm */
  module: WebAssembly.Module;
}

/** Connections at a time. Each has 38 KiB in the module's memory. */
const MOST_FLOWS = 256;

export class Interceptor {
  private readonly module: TlsModule;
  private readonly certificates: Certificates;
  /** Connections that there are now. */
  count = 0;

  private constructor(module: TlsModule, certificates: Certificates) {
    this.module = module;
    this.certificates = certificates;
  }

  static async make({ authority, module }: Interception): Promise<Interceptor> {
    const key = await makeServerKey();
    const made = new Interceptor(new TlsModule(module, key.secret), new Certificates(authority, key));
    key.secret.fill(0);
    return made;
  }

  /** Bytes of the module's memory. */
  get memorySize(): number {
    return this.module.memorySize;
  }

  get hasRoom(): boolean {
    return this.count < MOST_FLOWS;
  }

  /** A connection of a guest to the port for https of a name. */
  open(id: number, name: string, events: FlowEvents, uses: Omit<TlsFlowUses, 'connect' | 'released'>): TlsFlow {
    ++this.count;
    return new TlsFlow(id, events, {
      ...uses,
      connect: async () => this.module.open(name, await this.certificates.of(name)),
      released: () => void --this.count,
    });
  }
}
