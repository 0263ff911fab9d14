// SPDX-License-Identifier: MIT
// The link to machines of other tabs of this origin, by a BroadcastChannel. It
// copies each frame to all tabs, and has no bound of its own for what a tab has
// not read. So each machine says how much it has read.

import { OFFLOAD, OFFLOAD_FIELDS, isRecordSize } from './frame-ring.ts';
import { FrameSender, type Outlet } from './frame-sender.ts';
import type { HostLink, LinkEvents } from './host-link.ts';
import { isForGroup, MAC, macAt, SOURCE } from './mac.ts';

/** Tabs with other messages than these do not hear each other. */
const PREFIX = 'auklet-link-1:';
/** Bytes on the way to a machine: a stream of TCP has no more. */
const WINDOW = 1 << 22;
/** Bytes that a machine has read before it says so, at the latest. */
const REPORT = WINDOW / 8;
/** Bytes for the guest that have come. More means that a tab ignores WINDOW. */
const MOST_QUEUED = 4 * WINDOW;
/** As Switch::most_addresses. */
const MOST_MEMBERS = 256;
/** Bytes a second that are for all machines. */
const STORM = 1 << 20;

/** `bytes`: how many `by` has read of what `of` has sent to it, modulo 2^32. */
interface Report {
  by: number;
  of: number;
  bytes: number;
}

/** The machine with this address is a new one, or the last one has gone. */
interface Beginning {
  begins: number;
}

class Member implements Outlet {
  readonly sender: FrameSender;
  /** Bytes to it, and those that it has read; modulo 2^32. */
  sent = 0;
  read = 0;
  /** Bytes from it that the guest has got or will not get. */
  received = 0;
  reported = 0;
  private readonly post: (offload: Uint8Array, frame: Uint8Array) => void;

  constructor(post: (offload: Uint8Array, frame: Uint8Array) => void, writable: () => void) {
    this.post = post;
    this.sender = new FrameSender(this, writable);
  }

  push(offload: Uint8Array, frame: Uint8Array): boolean {
    const size = OFFLOAD + frame.length;
    if (this.onWay + size > WINDOW) return false;
    this.sent = (this.sent + size) >>> 0;
    this.post(offload, frame);
    return true;
  }

  /** It reports in any case. */
  want(): void {}

  get hasRoom(): boolean {
    return this.onWay <= WINDOW / 2;
  }

  private get onWay(): number {
    return (this.sent - this.read) >>> 0;
  }

  hasRead(bytes: number): void {
    // Who has read more than was sent counts from another beginning.
    this.read = (this.sent - bytes) >>> 0 <= WINDOW ? bytes >>> 0 : this.sent;
    this.sender.look();
  }
}

export class ChannelLink implements HostLink {
  readonly offloads = true;
  readonly ready = Promise.resolve();
  private readonly events: LinkEvents;
  private readonly channel: BroadcastChannel;
  private readonly own: number;
  private readonly members = new Map<number, Member>();
  private readonly queue: Uint8Array[] = [];
  private queued = 0;
  /** Bytes for all that may be sent now. */
  private allowance = STORM;
  private allowed = performance.now();

  constructor(name: string, mac: Uint8Array, events: LinkEvents) {
    this.events = events;
    this.own = macAt(mac, 0);
    this.channel = new BroadcastChannel(PREFIX + name);
    this.channel.onmessage = ({ data }: MessageEvent<unknown>) => this.hear(data);
    this.channel.postMessage({ begins: this.own } satisfies Beginning);
  }

  send(offload: Uint8Array, frame: Uint8Array): boolean {
    const member = isForGroup(frame) ? undefined : this.members.get(macAt(frame, 0));
    if (member !== undefined) return member.sender.send(offload, frame);
    const now = performance.now();
    this.allowance = Math.min(STORM, this.allowance + ((now - this.allowed) / 1000) * STORM);
    this.allowed = now;
    if (this.allowance >= frame.length) {
      this.allowance -= frame.length;
      this.post(offload, frame);
    }
    return true;
  }

  receiverReady(): void {
    queueMicrotask(() => this.drain());
  }

  close(): void {
    this.channel.postMessage({ begins: this.own } satisfies Beginning);
    this.channel.close();
    for (const { sender } of this.members.values()) sender.close();
    this.members.clear();
    this.queue.length = 0;
  }

  private post(offload: Uint8Array, frame: Uint8Array): void {
    const record = new Uint8Array(OFFLOAD + frame.length);
    record.set(offload.subarray(0, OFFLOAD_FIELDS));
    record.set(frame, OFFLOAD);
    this.channel.postMessage(record);
  }

  /** Any code of this origin may have sent it. */
  private hear(data: unknown): void {
    if (!(data instanceof Uint8Array)) return this.hearReport(data as Partial<Report & Beginning> | null);
    if (!isRecordSize(data.length)) return;
    const frame = data.subarray(OFFLOAD);
    const source = macAt(frame, SOURCE);
    if (source === this.own) return;
    this.member(source);
    if (!isForGroup(frame) && macAt(frame, 0) !== this.own) return;
    if (this.queued + data.length > MOST_QUEUED) return this.hasRead(data);
    this.queue.push(data);
    this.queued += data.length;
    if (this.queue.length === 1) this.drain();
  }

  private hearReport(report: Partial<Report & Beginning> | null): void {
    if (typeof report !== 'object' || report === null) return;
    if (typeof report.begins === 'number') return this.forget(report.begins);
    if (report.of !== this.own || typeof report.by !== 'number') return;
    if (Number.isInteger(report.bytes)) this.members.get(report.by)?.hasRead(report.bytes!);
  }

  /** Whoever was silent for the longest time makes room for another one. */
  private member(mac: number): Member {
    const member =
      this.members.get(mac) ??
      new Member(
        (offload, frame) => this.post(offload, frame),
        () => this.events.writable(),
      );
    this.members.delete(mac);
    this.members.set(mac, member);
    if (this.members.size > MOST_MEMBERS) this.forget(this.members.keys().next().value!);
    return member;
  }

  private forget(mac: number): void {
    const member = this.members.get(mac);
    this.members.delete(mac);
    member?.sender.close();
  }

  private drain(): void {
    let count = 0;
    for (; count < this.queue.length; ++count) {
      const record = this.queue[count]!;
      if (!this.events.receive(record.length, (target) => target.set(record))) break;
      this.queued -= record.length;
      this.hasRead(record);
    }
    this.queue.splice(0, count);
    if (this.queue.length === 0) for (const [mac, member] of this.members) this.report(mac, member);
  }

  private hasRead(record: Uint8Array): void {
    if (isForGroup(record.subarray(OFFLOAD, OFFLOAD + MAC))) return;
    const mac = macAt(record, OFFLOAD + SOURCE);
    const member = this.member(mac);
    member.received = (member.received + record.length) >>> 0;
    if ((member.received - member.reported) >>> 0 >= REPORT) this.report(mac, member);
  }

  private report(mac: number, member: Member): void {
    if (member.received === member.reported) return;
    member.reported = member.received;
    this.channel.postMessage({ by: this.own, of: mac, bytes: member.received } satisfies Report);
  }
}
