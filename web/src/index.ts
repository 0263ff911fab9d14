// SPDX-License-Identifier: MIT
// The package's entry for pages: a Linux computer as an object.
//
//   import { boot } from 'auklet';
//   const machine = await boot({ cpus: 2 });
//   machine.on('output', (bytes) => terminal.write(bytes));
//   terminal.onData((text) => machine.write(text));
//
// The page must be cross-origin isolated (docs/hosting.md).

import assets from 'auklet:assets';
import { setPlatform } from './api/platform-options.ts';

setPlatform({ assets });

export { takeDownloads, type Download } from './api/downloads.ts';
export type { FileContent, MachineFiles } from './api/files.ts';
export { boot, Machine } from './api/machine.ts';
export type { DiskExportOptions, DiskImportOptions, MachineDisk, TarChange } from './api/machine-disk.ts';
export { checkPlatform } from './api/platform-options.ts';
export type { MachineOptions } from './api/platform-options.ts';
export * from './api/types.ts';
export { createLink, type Link } from './network/link.ts';
export type { NetworkState } from './network/open-network.ts';
export { FileError, type FileErrorCode } from './storage/file-error.ts';
export type { FileStatus, FolderEntry } from './storage/share-files.ts';
