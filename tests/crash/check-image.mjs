// SPDX-License-Identifier: MIT
// What a crash has left on a disk of ext4, as the computer's own e2fsprogs and crashwriter see it.

import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from '../boot/machines.mjs';

const run = promisify(execFile);
const checker = join(build, 'tests/crashwriter');

/**
 * What is wrong with an image, which is repaired: a text, or undefined. `acknowledged` is what crashwriter had printed. The
 * files of `place` in the image are in the folder `files` of `folder` afterwards.
 */
export async function faultOf(image, acknowledged, folder, place = '/') {
  const files = join(folder, 'files');
  rmSync(files, { recursive: true, force: true });
  mkdirSync(files);
  writeFileSync(join(folder, 'acknowledged'), acknowledged);
  for (const [program, words, good] of [
    ['e2fsck', ['-fy', '-E', 'journal_only', image], [0, 1]],
    ['e2fsck', ['-fn', image], [0]],
    ['debugfs', ['-R', `rdump ${place} ${files}`, image], [0]],
    [checker, ['check', join(files, place), join(folder, 'acknowledged')], [0]],
  ]) {
    const { code = 0, stdout, stderr } = await run(program, words).catch((error) => error);
    if (!good.includes(code)) return `${program} ${words[0]}: ${code}\n${stdout}${stderr}`;
  }
  return undefined;
}
