// SPDX-License-Identifier: MIT
// One program at a time changes the image of a disk.
//
// Node.js has no flock(), and a lock file would outlive a program that is
// killed. On Linux a socket can have a name that is in no folder. Two cannot
// have the same one, and the system frees it when the program ends, however
// that came about. Programs in different network namespaces, such as those of
// containers, do not see each other's.

import { nodeModule } from '../machine/platform.ts';

/** What is used of node:net. */
interface Server {
  listen(options: { path: string }, listening: () => void): void;
  on(event: 'error', handler: (error: { code?: string }) => void): void;
  unref(): void;
  close(): void;
}
interface Sockets {
  createServer(connected: (socket: { destroy(): void }) => void): Server;
}

export class FileInUseError extends Error {
  readonly medium: string;

  constructor(medium: string) {
    super('in use by another program, or by another machine of this one');
    this.medium = medium;
  }
}

export class FileLock {
  private readonly server: Server | undefined;

  private constructor(server: Server | undefined) {
    this.server = server;
  }

  /**
   * `medium`: what tells the file from all others. On other systems than Linux
   * nothing is locked.
   * @throws FileInUseError
   */
  static async take(medium: string): Promise<FileLock> {
    const { platform } = nodeModule('node:process') as { platform: string };
    if (platform !== 'linux') return new FileLock(undefined);
    const server = (nodeModule('node:net') as Sockets).createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.on('error', (error) => reject(error.code === 'EADDRINUSE' ? new FileInUseError(medium) : error));
      server.listen({ path: `\0auklet-disk-${medium}` }, resolve);
    });
    // It must not keep the program.
    server.unref();
    return new FileLock(server);
  }

  release(): void {
    this.server?.close();
  }
}
