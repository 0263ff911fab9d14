// SPDX-License-Identifier: MIT
// The far sides of the guests' connections at a relay that speaks Wisp.

import type { FlowBackend, FlowEvents, FlowKind } from './backend.ts';
import { WispFlow } from './wisp-flow.ts';
import type { WispLine } from './wisp-line.ts';

/** Numbers from here on are not ours to choose. */
const FIRST_OF_OTHERS = 2 ** 30;

/**
 * Flows over a line, which it takes over. `nameOf` knows the name that a guest
 * has asked for to get an address: relays that allow no addresses, and those
 * nearer to another copy of the server, are told the name.
 */
export class WispClient implements FlowBackend {
  private readonly line: WispLine;
  private readonly events: FlowEvents;
  private readonly nameOf: (address: string) => string | undefined;
  private readonly flows = new Map<number, WispFlow>();
  private lastId = 0;

  constructor(line: WispLine, events: FlowEvents, nameOf: (address: string) => string | undefined = () => undefined) {
    this.line = line;
    this.events = events;
    this.nameOf = nameOf;
  }

  open(id: number, kind: FlowKind, address: string, port: number): void {
    this.line.start(this.make(id, kind), this.nameOf(address) ?? address, port);
  }

  /**
   * Lets a port of the relay's lead to one of the guest. 0: any of the relay's
   * that is free. Resolves to the port.
   *
   * @throws Error with a message for users
   */
  async publish(port: number, guestPort: number): Promise<number> {
    const listener = await this.line.listen(port, (attach) => {
      do this.lastId = (this.lastId + 1) % FIRST_OF_OTHERS;
      while (this.flows.has(this.lastId));
      const id = this.lastId;
      const flow = this.make(id, 'stream');
      attach(flow);
      if (!this.events.incoming(id, guestPort, flow.room)) this.closed(id, true);
    });
    return listener.port;
  }

  accepted(id: number): void {
    this.flows.get(id)?.accepted();
  }

  private make(id: number, kind: FlowKind): WispFlow {
    const { events } = this;
    // The number may be another flow's when the relay answers.
    const isCurrent = () => this.flows.get(id) === flow;
    const end = (act: () => void) => {
      if (!isCurrent()) return;
      this.flows.delete(id);
      act();
    };
    const flow = new WispFlow(kind, {
      opened: (room) => void (isCurrent() && events.opened(id, room)),
      data: (bytes) => (isCurrent() ? events.data(id, bytes) : bytes.length),
      writable: (room) => void (isCurrent() && events.writable(id, room)),
      finished: () => void (isCurrent() && events.finished(id)),
      failed: (error) => end(() => events.failed(id, error)),
      aborted: () => end(() => events.aborted(id)),
    });
    this.flows.set(id, flow);
    return flow;
  }

  send(id: number, bytes: Uint8Array): number {
    return this.flows.get(id)?.send(bytes) ?? 0;
  }

  finish(id: number): void {
    this.flows.get(id)?.finish();
  }

  consumed(id: number, _count: number): void {
    this.flows.get(id)?.consumed();
  }

  closed(id: number, reset: boolean): void {
    const flow = this.flows.get(id);
    this.flows.delete(id);
    flow?.closed(reset);
  }

  close(): void {
    this.flows.clear();
    this.line.close();
  }
}
