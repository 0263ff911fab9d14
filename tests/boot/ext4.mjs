// SPDX-License-Identifier: MIT
// Images of ext4 on this computer, by e2fsprogs.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';

/** The file system in the image has no errors, once its journal was replayed. */
export function checkExt4(file) {
  // 1: there was something in the journal.
  assert([0, 1].includes(spawnSync('e2fsck', ['-f', '-y', '-E', 'journal_only', file]).status));
  execFileSync('e2fsck', ['-f', '-n', file], { stdio: 'pipe' });
}

/** Copies a file out of the image. */
export function copyOut(image, path, target) {
  execFileSync('debugfs', ['-R', `dump ${path} ${target}`, image], { stdio: 'pipe' });
}
