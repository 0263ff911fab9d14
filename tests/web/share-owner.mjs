// SPDX-License-Identifier: MIT
// All that the owner may ask of a share, with and without success.

import assert from 'node:assert/strict';

/** `files`: a ShareFiles, which has nothing in use when `unused` is called. The folder "a" is there only meanwhile. */
export async function useAll(files, unused) {
  const fails = (request) => assert.rejects(files.do(request), JSON.stringify(request));
  await files.do({ operation: 'mkdir', path: 'a/b/c', recursive: true, mode: 0o755 });
  await fails({ operation: 'mkdir', path: 'a/b', recursive: false, mode: 0o755 });
  const makeFile = async (path) => {
    const handle = await files.do({ operation: 'open', path, write: true, mode: 0o644 });
    await files.do({ operation: 'write', handle, offset: 0, bytes: new TextEncoder().encode(path) });
    await files.do({ operation: 'close', handle });
  };
  // The second time, it is there.
  for (const path of ['a/b/f', 'a/b/f', 'a/b/g', 'a/b/c/h']) await makeFile(path);
  const handle = await files.do({ operation: 'open', path: 'a/b/f', write: false, mode: 0 });
  assert.equal((await files.do({ operation: 'read', handle, offset: 0, length: 100 })).length, 5);
  await files.do({ operation: 'close', handle });
  for (const operation of ['stat', 'list']) {
    await files.do({ operation, path: 'a/b' });
    for (const path of ['a/none', 'a/b/f/x', 'loop', '..']) await fails({ operation, path });
  }
  for (const path of ['a/b', 'a/b/f'])
    await files.do({ operation: 'close', handle: await files.do({ operation: 'watch', path }) });
  await fails({ operation: 'watch', path: 'a/none' });
  await files.do({ operation: 'rename', path: 'a/b', to: 'a/d' });
  await files.do({ operation: 'rename', path: 'a/d/g', to: 'a/d/f' });
  await fails({ operation: 'rename', path: 'a/none', to: 'a/x' });
  await fails({ operation: 'open', path: 'a/d', write: false, mode: 0 });
  await fails({ operation: 'open', path: 'a/d', write: true, mode: 0 });
  await fails({ operation: 'mkdir', path: 'a/d/f/x', recursive: true, mode: 0 });
  await fails({ operation: 'rm', path: 'a/d', recursive: false, force: false });
  unused();
  await files.do({ operation: 'rm', path: 'a', recursive: true, force: false });
  await files.do({ operation: 'rm', path: 'a', recursive: true, force: true });
  unused();
}
