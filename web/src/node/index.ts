// SPDX-License-Identifier: MIT
// The package's entry for Node.js, as index.ts is for pages. It is in one
// folder with the parts and the workers' scripts.

import assets from 'auklet:assets';
import { setPlatform } from '../api/platform-options.ts';

setPlatform({
  assets,
  hostWorkerUrl: new URL('./host-worker.js', import.meta.url).href,
  guestWorkerUrl: new URL('./guest-worker.js', import.meta.url).href,
  storageWorkerUrl: new URL('./storage-worker.js', import.meta.url).href,
});

export { takeDownloads, type Download } from '../api/downloads.ts';
export type { FileContent, MachineFiles } from '../api/files.ts';
export type { DiskExportOptions, DiskImportOptions, MachineDisk, TarChange } from '../api/machine-disk.ts';
export { boot, Machine } from '../api/machine.ts';
export { checkPlatform } from '../api/platform-options.ts';
export type { MachineOptions } from '../api/platform-options.ts';
export * from '../api/types.ts';
export { createLink, type Link } from '../network/link.ts';
export type { NetworkState } from '../network/open-network.ts';
export { FileError, type FileErrorCode } from '../storage/file-error.ts';
export type { FileStatus, FolderEntry } from '../storage/share-files.ts';
