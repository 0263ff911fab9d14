// SPDX-License-Identifier: MIT
// A conversation with a machine's console: send keys, wait for output. Used in Node.js and with browsers.

/** BusyBox ash's prompt of root, at the end of the output. */
export const PROMPT = /(?:^|\n)[^\n]*# $/;

/** A wide screen: the shell does not redraw long lines. */
export const SCREEN = { columns: 240, rows: 40 };

/** A line of the console in which the kernel tells of a fault of its own. */
export const KERNEL_REPORT =
  /^(?:\[[^\]]*\] ?)?(?:BUG:|WARNING: (?:CPU|possible|suspicious|inconsistent|bad unlock|Nested)|Oops|Kernel panic|kernel code trapped|INFO: |rcu: INFO|watchdog:|ODEBUG: |list_(?:add|del) corruption|refcount_t:|.*(?:blocked for more than|workqueue lockup|self-detected stall)).*/m;

/** How long (ms) output may take; nothing waits longer than it has to. AUKLET_PATIENCE multiplies it on slow machines. */
const PATIENCE = 120_000 * Number(process.env.AUKLET_PATIENCE ?? 1);

// Colours, cursor movements, and titles.
const ESCAPES = /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>78]/g;

export function plain(text) {
  // A last \r may be the first half of \r\n.
  return text
    .replace(ESCAPES, '')
    .replaceAll('\r\n', '\n')
    .replace(/\r(?!$)/g, '\n');
}

export class Session {
  /** All output so far. */
  transcript = '';
  #unread = '';
  #decoder = new TextDecoder();
  #waiter;
  #end;

  /** `write` sends keys; `resize` takes columns and rows. */
  constructor({ write, resize }) {
    this.write = write;
    this.resize = resize;
  }

  feed(bytes) {
    const text = typeof bytes === 'string' ? bytes : this.#decoder.decode(bytes, { stream: true });
    this.transcript += text;
    this.#unread += text;
    this.#waiter?.();
  }

  /** The machine has ended: who waits for more output fails. */
  end(reason) {
    this.#end = reason;
    this.#waiter?.();
  }

  /** Waits until the unread output (without escape sequences) matches; what is up to the match's end is read then. */
  async waitFor(pattern, patience = PATIENCE) {
    const deadline = Date.now() + patience;
    for (;;) {
      const text = plain(this.#unread);
      const match = typeof pattern === 'string' ? stringMatch(text, pattern) : text.match(pattern);
      if (match !== null) {
        this.#unread = text.slice(match.index + match[0].length);
        return Object.assign(match, { before: text.slice(0, match.index) });
      }
      if (this.#end !== undefined) throw this.#failure(`the machine has ended (${this.#end}) before ${pattern}`);
      const left = deadline - Date.now();
      if (left <= 0) throw this.#failure(`no ${pattern} in ${patience / 1000} s`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiter = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      // All that has come by now is searched at once: once for each piece, megabytes would take minutes.
      await new Promise(setImmediate);
    }
  }

  /** Types a line at the prompt; returns what it printed. */
  async run(line, patience) {
    await this.write(`${line}\r`);
    // The echo.
    await this.waitFor(/\n/, patience);
    const { before, 0: prompt } = await this.waitFor(PROMPT, patience);
    return before + (prompt.startsWith('\n') ? '\n' : '');
  }

  #failure(message) {
    return new Error(
      `${message}\n---- console transcript ----\n${plain(this.transcript).slice(-20000)}\n---- end ----`,
    );
  }
}

function stringMatch(text, part) {
  const index = text.indexOf(part);
  return index < 0 ? null : Object.assign([part], { index });
}
