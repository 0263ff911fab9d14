// SPDX-License-Identifier: MIT
// One connection of a guest to port 443: its TLS ends here, and what is inside
// goes on as another connection.

import type { FlowEvents } from './backend.ts';
import { ByteQueue } from './byte-queue.ts';
import type { FetchFlow, FetchFlowEvents } from './fetch-flow.ts';
import { CLOSED, RECORDS_IN, RECORDS_OUT, TEXT_IN, TEXT_OUT, type TlsConnection } from './tls-module.ts';
import { oneMessageEach } from './tls-records.ts';

/** What is inside. */
type Inner = Pick<FetchFlow, 'send' | 'finish' | 'consumed' | 'close'>;

export interface TlsFlowUses {
  /** If there is no connection, that of the guest is refused. */
  connect: () => Promise<TlsConnection | undefined>;
  /** Called after the handshake. */
  makeInner: (events: FetchFlowEvents, cut: () => void) => Inner;
  /** It is cut off, or refused. The number is free. */
  cut: () => void;
  failed: () => void;
  /** It needs no memory any more. This is called once in any case. */
  released: () => void;
}

/** Bytes of records of the guest's that may wait here. */
const WINDOW = 65_536;

export class TlsFlow {
  private readonly id: number;
  private readonly events: FlowEvents;
  private readonly uses: TlsFlowUses;
  private tls: TlsConnection | undefined;
  private inner: Inner | undefined;
  private readonly records = new ByteQueue();
  /** What the guest's side thinks of the room here, at most. */
  private told = WINDOW;
  /** What was sent first, and waits for room. Undefined: nothing was. */
  private greeting: Uint8Array | undefined;
  private hasFinished = false;
  /** Nothing of the guest's is looked at any more. */
  private isOver = false;
  /** Of what is inside: its room, and whether it waits for some here. */
  private innerRoom = 0;
  private innerWaits = false;
  private innerKnowsEnd = false;
  private innerHasFinished = false;
  /** close_notify is on its way. */
  private isEnding = false;
  private isScheduled = false;
  private isFlushing = false;

  constructor(id: number, events: FlowEvents, uses: TlsFlowUses) {
    this.id = id;
    this.events = events;
    this.uses = uses;
    void this.connect();
  }

  /** Returns the room for more. */
  send(bytes: Uint8Array): number {
    if (this.tls === undefined) return WINDOW;
    this.records.push(new Uint8Array(bytes));
    this.told = Math.max(0, WINDOW - this.records.length);
    this.schedule();
    return this.told;
  }

  finish(): void {
    this.hasFinished = true;
    this.schedule();
  }

  consumed(): void {
    this.schedule();
  }

  /** Nothing is told from now on. */
  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.tls?.close();
    this.tls = undefined;
    this.inner?.close();
    this.records.clear();
    this.uses.released();
  }

  private async connect(): Promise<void> {
    const tls = await this.uses.connect().catch(() => undefined);
    if (this.isOver) tls?.close();
    else if (tls === undefined) {
      this.close();
      this.uses.failed();
    } else {
      this.tls = tls;
      this.events.opened(this.id, WINDOW);
    }
  }

  /** A backend tells nothing from within a call of its own functions. */
  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    queueMicrotask(() => {
      this.isScheduled = false;
      this.run();
    });
  }

  /** Does all that can be done now. */
  private run(): void {
    this.move();
    this.finishTls();
    const { tls } = this;
    if (tls === undefined) return;
    // After an error, BearSSL has told the guest by an alert. A reset might
    // overtake it. After close_notify, that of the guest is not waited for.
    if ((tls.state & CLOSED) !== 0 || (this.isEnding && (tls.state & RECORDS_OUT) === 0)) {
      if (!this.greetingWaits) this.end();
      return;
    }
    if (this.hasFinished && this.records.length === 0 && !this.endInner()) {
      this.end();
      return;
    }
    const room = WINDOW - this.records.length;
    if (this.told >= WINDOW / 2 || room < WINDOW / 2) return;
    this.told = room;
    this.events.writable(this.id, room);
  }

  /** Sends close_notify when all that is before it has gone. */
  private finishTls(): void {
    if (!this.innerHasFinished || this.isEnding) return;
    this.tls?.flush();
    this.move();
    if (this.tls === undefined || (this.tls.state & TEXT_OUT) === 0) return;
    this.isEnding = true;
    this.tls.finish();
    this.move();
  }

  /**
   * The guest sends nothing more. False: there was no handshake.
   *
   * A guest that leaves out close_notify is heard, since the length of a
   * request is in the request.
   */
  private endInner(): boolean {
    if (this.inner === undefined) return false;
    if (!this.innerKnowsEnd && (this.tls!.state & TEXT_IN) === 0) {
      this.innerKnowsEnd = true;
      this.inner.finish();
    }
    return true;
  }

  private end(): void {
    this.close();
    if (this.told < WINDOW) this.events.writable(this.id, WINDOW);
    this.events.finished(this.id);
  }

  /** Moves bytes between the guest, TLS, and what is inside. */
  private move(): void {
    let count: number;
    do {
      const { tls } = this;
      if (tls === undefined) return;
      count = this.sendRecords(tls);
      if ((tls.state & TEXT_OUT) !== 0) this.invite();
      if (this.innerRoom > 0) count += tls.read(TEXT_IN, (bytes) => this.give(bytes));
      if (this.records.length > 0) {
        const taken = tls.write(RECORDS_IN, this.records.peek());
        this.records.drop(taken);
        count += taken;
      }
    } while (count > 0);
  }

  private get greetingWaits(): boolean {
    return this.greeting !== undefined && this.greeting.length > 0;
  }

  /** Returns how many bytes have gone. */
  private sendRecords(tls: TlsConnection): number {
    let count = 0;
    if (this.greeting === undefined)
      count = tls.read(RECORDS_OUT, (bytes) => {
        this.greeting = oneMessageEach(bytes).slice();
        return bytes.length;
      });
    if (this.greetingWaits) {
      const sent = this.events.data(this.id, this.greeting!);
      this.greeting = this.greeting!.subarray(sent);
      if (this.greetingWaits) return count + sent;
    }
    return count + tls.read(RECORDS_OUT, (bytes) => this.events.data(this.id, bytes));
  }

  /** What is inside may have bytes for the guest. */
  private invite(): void {
    this.inner ??= this.makeInner();
    if (!this.innerWaits) return;
    this.innerWaits = false;
    this.inner.consumed();
  }

  private give(bytes: Uint8Array): number {
    const part = bytes.subarray(0, this.innerRoom);
    this.innerRoom = this.inner!.send(part);
    return part.length;
  }

  private makeInner(): Inner {
    const hasRoom = (_: number, room: number): void => {
      this.innerRoom = room;
      this.schedule();
    };
    const events: FetchFlowEvents = {
      opened: hasRoom,
      writable: hasRoom,
      data: (_, bytes) => this.take(bytes),
      finished: () => {
        this.innerHasFinished = true;
        this.schedule();
      },
    };
    return this.uses.makeInner(events, () => {
      if (this.isOver) return;
      // Without close_notify, so that no program takes a half for all.
      this.close();
      this.uses.cut();
    });
  }

  /** Bytes for the guest. Returns how many were taken. */
  private take(bytes: Uint8Array): number {
    let taken = 0;
    for (let count = 1; count > 0 && taken < bytes.length;) {
      const { tls } = this;
      if (tls === undefined) break;
      const written = tls.write(TEXT_OUT, bytes.subarray(taken));
      taken += written;
      count = written + this.sendRecords(tls);
    }
    this.innerWaits = taken < bytes.length;
    if (taken > 0) this.flushSoon();
    return taken;
  }

  /** What is written before that goes into the same record. */
  private flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(() => {
      this.isFlushing = false;
      this.tls?.flush();
      this.run();
    });
  }
}
