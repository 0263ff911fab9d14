// SPDX-License-Identifier: MIT
// One machine at a time has a saved disk, whichever tab it is in.
//
// A Web Lock says who has it: the engine frees it when the worker that holds it
// is gone, however that came about. A channel between the tabs tells the others
// which tab that is. Its page answers, not its worker, because a page that is
// being left is gone sooner than its worker.

/** The page that has a disk. */
export interface DiskHolder {
  title: string;
  /** When it got the disk; milliseconds since 1970. */
  since: number;
}

/** The disk is in use. `holder` is undefined if its page does not answer. */
export class DiskInUseError extends Error {
  readonly holder: DiskHolder | undefined;

  constructor(holder: DiskHolder | undefined) {
    super(
      holder === undefined
        ? 'in use by another tab, which does not answer'
        : `in use by another tab: “${holder.title}”, since ${new Date(holder.since).toLocaleTimeString()}`,
    );
    this.holder = holder;
  }
}

type LockMessage = { type: 'who' } | { type: 'holder'; holder: DiskHolder };

/**
 * Milliseconds for the page that has the disk to answer. A page that was left
 * does not answer, and its lock is free soon; the browser may need a moment to
 * notice a crash.
 */
const ANSWER_PATIENCE = 10_000;

export interface LockWishes {
  /** Whether to wait while another page has the disk. */
  wait: boolean;
  /** Called at the begin of the wait. */
  waiting: (holder: DiskHolder | undefined) => void;
  /** The title of our own page, from our page. */
  title: () => Promise<string>;
  /** Ends the wait. */
  signal: AbortSignal;
}

export class DiskLock {
  private readonly channel: BroadcastChannel;
  private readonly free: () => void;

  private constructor(channel: BroadcastChannel, free: () => void) {
    this.channel = channel;
    this.free = free;
  }

  /** @throws DiskInUseError, or an AbortError. */
  static async take(disk: string, { wait, waiting, title, signal }: LockWishes): Promise<DiskLock> {
    const name = `auklet-disk-${disk}`;
    const channel = new BroadcastChannel(name);
    const gaveUp = new AbortController();
    signal.addEventListener('abort', () => gaveUp.abort(), { once: true });
    let free!: () => void;
    const held = new Promise<void>((resolve) => (free = resolve));
    try {
      await new Promise<void>((resolve, reject) => {
        navigator.locks
          .request(name, { signal: gaveUp.signal }, () => {
            clearTimeout(timer);
            resolve();
            return held;
          })
          .catch(reject);
        const taken = (holder: DiskHolder | undefined) => {
          clearTimeout(timer);
          channel.onmessage = null;
          if (wait) waiting(holder);
          else reject(new DiskInUseError(holder));
        };
        const timer = setTimeout(taken, ANSWER_PATIENCE, undefined);
        channel.onmessage = ({ data }: MessageEvent<LockMessage>) => {
          if (data.type === 'holder') taken(data.holder);
        };
        channel.postMessage({ type: 'who' } satisfies LockMessage);
      });
    } catch (error) {
      gaveUp.abort();
      free();
      channel.close();
      throw error;
    }
    const since = Date.now();
    channel.onmessage = ({ data }: MessageEvent<LockMessage>) => {
      if (data.type !== 'who') return;
      void title().then((text) =>
        channel.postMessage({ type: 'holder', holder: { title: text, since } } satisfies LockMessage),
      );
    };
    return new DiskLock(channel, free);
  }

  release(): void {
    this.channel.close();
    this.free();
  }
}
