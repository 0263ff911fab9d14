// SPDX-License-Identifier: MIT
// The processes of browsers, and their sudden end.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

/** Processes whose command line has all these words, and none of those. */
export function processes(words, without = []) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      let line;
      try {
        line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return false;
      }
      return words.every((word) => line.includes(word)) && !without.some((word) => line.includes(word));
    })
    .map(Number);
}

/** Processes that these have started, and so on. */
export function descendants(pids) {
  const parents = processes([]).map((pid) => {
    try {
      return [
        pid,
        Number(
          readFileSync(`/proc/${pid}/stat`, 'latin1')
            .replace(/^.*\) /s, '')
            .split(' ')[1],
        ),
      ];
    } catch {
      return [pid, 0];
    }
  });
  const found = new Set(pids);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return found;
}

export function killAll(pids) {
  assert(pids.length > 0, 'there is no process to kill');
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

/** Those of the browser that has this profile, without its tabs. */
export const mainProcesses = (profile) => processes([profile], ['--type=', '-contentproc', 'node']);

/** Resolves when a browser of launchPages(), or another one of Puppeteer's, is gone. */
export async function killBrowser({ browser, context }, profile) {
  const gone = new Promise((resolve) => {
    if (context === undefined) browser.on('disconnected', resolve);
    else context.on('close', resolve);
  });
  killAll(mainProcesses(profile));
  await gone;
}
