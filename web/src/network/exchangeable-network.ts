// SPDX-License-Identifier: MIT
// A network whose backend can be exchanged while the machine runs. The flows of
// the last one end then.

import type { FlowBackend, FlowEvents, FlowKind, NameBackend } from './backend.ts';
import { noNetwork } from './no-network.ts';
import { openNetwork, type HostNetworkOptions, type NetworkReport, type OpenNetwork } from './open-network.ts';

interface Flow {
  kind: FlowKind;
  /** opened() or incoming() has been told. */
  isOpen: boolean;
}

export class ExchangeableNetwork implements FlowBackend {
  private readonly events: FlowEvents;
  private readonly report: NetworkReport;
  private readonly flows = new Map<number, Flow>();
  private current: OpenNetwork;

  /** @throws Error with a message for users. */
  constructor(options: HostNetworkOptions, events: FlowEvents, report: NetworkReport) {
    this.events = events;
    this.report = report;
    this.current = this.make((own, tell) => openNetwork(options, own, tell));
  }

  get names(): NameBackend {
    return this.current.names;
  }

  get reachesIpv6(): boolean {
    return this.current.reachesIpv6;
  }

  get ready(): Promise<void> {
    return this.current.ready;
  }

  /**
   * Takes another backend. If that fails, the report says so, and there is
   * none. Open questions for names fail.
   */
  exchange(options: HostNetworkOptions): void {
    // Its ports are free for the next one then.
    this.disconnect();
    try {
      this.current = this.make((own, tell) => openNetwork(options, own, tell));
    } catch (error) {
      return this.report('refused', (error as Error).message);
    }
    const made = this.current;
    made.ready.catch((error: unknown) => {
      if (this.current !== made) return;
      this.disconnect();
      this.report('refused', (error as Error).message);
    });
  }

  private disconnect(): void {
    this.current.close();
    this.current = this.make(noNetwork);
    const flows = [...this.flows];
    this.flows.clear();
    for (const [id, { kind, isOpen }] of flows) {
      if (isOpen && kind === 'stream') this.events.aborted(id);
      else this.events.failed(id, 'unreachable');
    }
  }

  /** What the last backend still tells is not for the flows of this one. */
  private make(open: (own: FlowEvents, report: NetworkReport) => OpenNetwork): OpenNetwork {
    const { events, flows } = this;
    const made: { network?: OpenNetwork } = {};
    const isCurrent = () => made.network === undefined || made.network === this.current;
    const has = (id: number) => isCurrent() && flows.has(id);
    const end = (id: number, tell: () => void) => {
      if (!has(id)) return;
      flows.delete(id);
      tell();
    };
    const own: FlowEvents = {
      incoming: (id, port, room) => {
        if (!isCurrent() || !events.incoming(id, port, room)) return false;
        flows.set(id, { kind: 'stream', isOpen: true });
        return true;
      },
      opened: (id, room) => {
        if (!has(id)) return;
        flows.get(id)!.isOpen = true;
        events.opened(id, room);
      },
      data: (id, bytes) => (has(id) ? events.data(id, bytes) : 0),
      writable: (id, room) => void (has(id) && events.writable(id, room)),
      finished: (id) => void (has(id) && events.finished(id)),
      failed: (id, error) => end(id, () => events.failed(id, error)),
      aborted: (id) => end(id, () => events.aborted(id)),
    };
    made.network = open(own, (state, text) => {
      if (isCurrent()) this.report(state, text);
    });
    return made.network;
  }

  // ---- FlowBackend ----------------------------------------------------------

  open(id: number, kind: FlowKind, address: string, port: number): void {
    this.flows.set(id, { kind, isOpen: false });
    this.current.flows.open(id, kind, address, port);
  }

  accepted(id: number): void {
    this.current.flows.accepted?.(id);
  }

  send(id: number, bytes: Uint8Array): number {
    return this.current.flows.send(id, bytes);
  }

  finish(id: number): void {
    this.current.flows.finish(id);
  }

  consumed(id: number, count: number): void {
    this.current.flows.consumed(id, count);
  }

  closed(id: number, reset: boolean): void {
    this.flows.delete(id);
    this.current.flows.closed(id, reset);
  }

  close(): void {
    this.current.close();
  }
}
