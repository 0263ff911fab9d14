// SPDX-License-Identifier: MIT
// Several wasm stacks in one worker, by JavaScript Promise Integration (JSPI): the kernel's threads, and the idle task that
// resumes them. Everything happens in microtasks: a worker that runs them never comes to its event loop again.

type Entry = (argument: number) => unknown;

/** Not in TypeScript's library yet. */
interface PromiseIntegration {
  promising(entry: Entry): (argument: number) => Promise<unknown>;
  Suspending: new (imported: (task: number) => Promise<void>) => WebAssembly.ImportValue;
}

export class Coroutines {
  /** The kernel's imports: docs/abi-engine.md, "Coroutines". */
  readonly imports: WebAssembly.ModuleImports;

  private readonly integration = WebAssembly as unknown as PromiseIntegration;
  private readonly onTrap: (error: unknown) => void;
  /** Resumes the stack that a task has suspended. */
  private readonly suspended = new Map<number, () => void>();
  private resumeIdle: () => void = () => {};
  private begin: ((task: number) => Promise<unknown>) | undefined;

  /** `entry`: the function that a new stack runs. `onTrap`: a stack ended in an error. */
  constructor(entry: () => Entry, onTrap: (error: unknown) => void) {
    this.onTrap = onTrap;
    this.imports = {
      coroutine_resume: new this.integration.Suspending((task) => {
        const idle = new Promise<void>((resolve) => (this.resumeIdle = resolve));
        const resume = this.suspended.get(task);
        if (resume !== undefined) {
          this.suspended.delete(task);
          resume();
        } else {
          this.begin ??= this.integration.promising(entry());
          this.begin(task).then(() => this.resumeIdle(), this.onTrap);
        }
        return idle;
      }),
      coroutine_yield: new this.integration.Suspending((task) => {
        const resumed = new Promise<void>((resolve) => this.suspended.set(task, resolve));
        this.resumeIdle();
        return resumed;
      }),
    };
  }

  /** Runs the idle task's stack. Returns when that is first suspended. */
  run(entry: Entry, argument: number): void {
    this.integration.promising(entry)(argument).catch(this.onTrap);
  }
}
