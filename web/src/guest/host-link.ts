// SPDX-License-Identifier: MIT
// The link between a guest worker and the host worker. It carries memories and
// modules, which the worker is told of or asks for, the host's clock, and the
// machine's end.

import { parentPort } from '../machine/platform.ts';
import type { FromGuest, GuestStart, ToGuest } from '../machine/protocol.ts';
import { GuestClock } from './clock.ts';

/**
 * The messages that begin this worker's own work. The link handles all others.
 */
export type LifeMessage = Extract<ToGuest, { type: 'start' | 'boot' }>;

export class HostLink {
  /** The user memories that this worker knows. The index is the id. */
  readonly memories: WebAssembly.Memory[] = [];
  readonly modules = new Map<number, WebAssembly.Module>();
  /** Whether the machine has ended and nothing runs here any more. */
  left = false;

  private readonly port = parentPort<FromGuest, ToGuest>();
  /**
   * Programs that this worker has to start although it does not know their
   * modules yet.
   */
  private readonly awaitedModules = new Map<number, (module: WebAssembly.Module) => void>();
  /**
   * Memories that this worker has asked for, because its next task needs them.
   */
  private readonly awaitedMemories = new Map<number, () => void>();
  /**
   * It asks the host at once, so that the answer comes while this worker
   * starts.
   */
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
        case 'hold':
          this.post({ type: 'held' });
          Atomics.wait(new Int32Array(message.gate.word), 0, 0);
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

  /**
   * Milliseconds to add to this worker's performance.now() to get the host's.
   */
  get clockOffset(): Promise<number> {
    return this.clock.offset;
  }

  /** Keeps the memories and modules that come with the start message. */
  learn({ memories, modules }: GuestStart): void {
    memories.forEach((memory, id) => {
      this.memories[id] = memory;
    });
    for (const [id, module] of modules) this.modules.set(id, module);
  }

  /**
   * Asks for a memory that this worker does not know. Resolves when it knows
   * it.
   */
  askForMemory(id: number): Promise<void> {
    const told = new Promise<void>((resolve) => this.awaitedMemories.set(id, resolve));
    this.post({ type: 'memory', id });
    return told;
  }

  /**
   * Waits for a module that another worker has compiled. This worker will be
   * told of it.
   */
  awaitModule(id: number): Promise<WebAssembly.Module> {
    return new Promise((resolve) => this.awaitedModules.set(id, resolve));
  }

  /** The machine has ended, and nothing runs here any more. */
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
