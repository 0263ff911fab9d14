// SPDX-License-Identifier: MIT
// Several wasm stacks in one worker, by JavaScript Promise Integration (JSPI):
// one for each of the kernel's threads, and one for the idle task, which
// resumes them. All of this happens in microtasks, so a worker that runs them
// never returns to its event loop.

type Entry = (argument: number) => unknown;

/** TypeScript's library does not have these types yet. */
interface PromiseIntegration {
  promising(entry: Entry): (argument: number) => Promise<unknown>;
  Suspending: new (imported: (task: number) => Promise<void>) => WebAssembly.ImportValue;
}

export class Coroutines {
  /**
   * The functions that the kernel imports (docs/abi-engine.md, "Coroutines").
   */
  readonly imports: WebAssembly.ModuleImports;

  private readonly integration = WebAssembly as unknown as PromiseIntegration;
  private readonly onTrap: (error: unknown) => void;
  /** For each task whose stack is suspended: resumes that stack. */
  private readonly suspended = new Map<number, () => void>();
  private resumeIdle: () => void = () => {};
  private begin: ((task: number) => Promise<unknown>) | undefined;

  /**
   * `entry` returns the function that a new stack runs. `onTrap` is called when
   * a stack ends in an error.
   */
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

  /**
   * Runs the idle task's stack. Returns when that stack is suspended for the
   * first time.
   */
  run(entry: Entry, argument: number): void {
    this.integration.promising(entry)(argument).catch(this.onTrap);
  }
}
