// SPDX-License-Identifier: MIT
// What passes between a guest worker and the host worker: memories and modules that this worker has been told of, or
// asks for, the host's clock, and the machine's end.

import { parentPort } from '../machine/platform.ts';
import type { FromGuest, GuestStart, ToGuest } from '../machine/protocol.ts';
import { GuestClock } from './clock.ts';

/** What begins this worker's own life; all else is for the link. */
export type LifeMessage = Extract<ToGuest, { type: 'start' | 'boot' }>;

export class HostLink {
  /** The index is the id. */
  readonly memories: WebAssembly.Memory[] = [];
  readonly modules = new Map<number, WebAssembly.Module>();
  /** The machine has ended, and nothing runs here any more. */
  left = false;

  private readonly port = parentPort<FromGuest, ToGuest>();
  /** Programs that this worker must start before it has been told of their modules. */
  private readonly awaitedModules = new Map<number, (module: WebAssembly.Module) => void>();
  /** Memories that its next task needs, and this worker has asked for. */
  private readonly awaitedMemories = new Map<number, () => void>();
  /** Asks at once: the answer comes while this worker starts. */
  private readonly clock = new GuestClock(() => this.post({ type: 'clock' }));

  constructor(live: (message: LifeMessage) => void | Promise<void>) {
    this.port.onMessage((message) => {
      switch (message.type) {
        case 'start':
        case 'boot':
          void this.live(live, message);
          return;
        case 'end':
          this.leave();
          return;
        case 'memory':
          this.memories[message.id] = message.memory;
          this.awaitedMemories.get(message.id)?.();
          this.awaitedMemories.delete(message.id);
          return;
        case 'module':
          this.modules.set(message.id, message.module);
          this.awaitedModules.get(message.id)?.(message.module);
          this.awaitedModules.delete(message.id);
          return;
        case 'clock':
          this.clock.answer(message);
          return;
        case 'wake':
          return;
      }
    });
  }

  post(message: FromGuest): void {
    this.port.post(message);
  }

  /** Milliseconds to add to this worker's performance.now(), to have the host's. */
  get clockOffset(): Promise<number> {
    return this.clock.offset;
  }

  /** Keeps what comes with the start. */
  learn({ memories, modules }: GuestStart): void {
    memories.forEach((memory, id) => {
      this.memories[id] = memory;
    });
    for (const [id, module] of modules) this.modules.set(id, module);
  }

  /** Asks for a memory that this worker does not know; resolves when it does. */
  askForMemory(id: number): Promise<void> {
    const told = new Promise<void>((resolve) => this.awaitedMemories.set(id, resolve));
    this.post({ type: 'memory', id });
    return told;
  }

  /** A module that another worker has compiled, of which this one will be told. */
  awaitModule(id: number): Promise<WebAssembly.Module> {
    return new Promise((resolve) => this.awaitedModules.set(id, resolve));
  }

  /** Nothing runs here any more: the machine has ended. */
  leave(): void {
    if (this.left) return;
    this.left = true;
    this.post({ type: 'left' });
  }

  private async live(live: (message: LifeMessage) => void | Promise<void>, message: LifeMessage): Promise<void> {
    try {
      await live(message);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const stack = error instanceof Error ? error.stack : undefined;
      this.post(stack === undefined ? { type: 'error', message: text } : { type: 'error', message: text, stack });
    }
  }
}
