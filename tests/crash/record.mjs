// SPDX-License-Identifier: MIT
// The script of a storage worker that records.

import { brokenDisks } from './broken-disks.mjs';
import { Recorder, RecordingLog } from './recorder.mjs';
import { source } from '../web/source.mjs';

const { parentPort } = await source('machine/platform.ts');
const { StorageServer } = await source('storage/storage-server.ts');
const { openDisk } = await source('storage/open-disk.ts');

/** Serves a machine's disks, and records them to the file `path`. `fault`: one of broken-disks.mjs, of the first disk. */
export function record(path, fault) {
  const log = new RecordingLog(path);
  let disks = 0;
  const port = parentPort();
  const server = new StorageServer(
    (message) => port.post(message),
    async (wanted) => {
      const number = disks++;
      const recorder = new Recorder(await openDisk(wanted), number, log);
      const Broken = number === 0 ? brokenDisks[fault] : undefined;
      return Broken === undefined ? recorder : new Broken(recorder);
    },
  );
  port.onMessage((message) => server.handle(message));
}
