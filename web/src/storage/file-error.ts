// SPDX-License-Identifier: MIT
// Errors of files, with Linux's names and numbers on every system.

/** Linux's numbers; the guest gets these, or its kernel gives them. */
const NUMBERS = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EOPNOTSUPP: 95,
  ECONNABORTED: 103,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EUCLEAN: 117,
  EDQUOT: 122,
} as const;

/** Linux's name of what was wrong. */
export type FileErrorCode = keyof typeof NUMBERS;

const TEXTS: Partial<Record<FileErrorCode, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'it exists already',
  EINVAL: 'it cannot be done so',
  EFBIG: 'it is too large',
  EILSEQ: 'a name has half of a character',
  EISDIR: 'it is a folder',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'there is no such file or folder',
  ENOSPC: 'there is no room',
  ENOTDIR: 'a part of the path is no folder',
  ENOTEMPTY: 'the folder is not empty',
  EPERM: 'it is not permitted',
  EROFS: 'it is read-only',
  EXDEV: 'it leads out of the share or file system',
};

export class FileError extends Error {
  readonly code: FileErrorCode;
  /** Linux's number. */
  readonly errno: number;
  /** The path that was asked for, where it is known. */
  readonly path: string | undefined;

  constructor(code: FileErrorCode, path?: string) {
    super(`${code}: ${TEXTS[code] ?? 'the operation has failed'}${path === undefined ? '' : `: ${path}`}`);
    this.name = 'FileError';
    this.code = code;
    this.errno = NUMBERS[code];
    this.path = path;
  }
}

/** What browsers' errors of files mean, by their names. */
const OF_BROWSERS: Record<string, FileErrorCode> = {
  // Also what the browser thinks is dangerous.
  AbortError: 'EACCES',
  InvalidModificationError: 'ENOTEMPTY',
  NoModificationAllowedError: 'EBUSY',
  NotAllowedError: 'EACCES',
  NotFoundError: 'ENOENT',
  QuotaExceededError: 'ENOSPC',
  SecurityError: 'EACCES',
};

/** The code of whatever a backend has thrown. */
export function codeOf(error: unknown): FileErrorCode {
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  if (typeof code === 'string' && Object.hasOwn(NUMBERS, code)) return code as FileErrorCode;
  if (code === 'ENOTSUP') return 'EOPNOTSUPP';
  // An array that is too long, or Firefox's storage that is full.
  if (name === 'RangeError' || String(message).includes('NO_DEVICE_SPACE')) return 'ENOSPC';
  return (typeof name === 'string' && Object.hasOwn(OF_BROWSERS, name) ? OF_BROWSERS[name] : undefined) ?? 'EIO';
}

const CODES = new Map(Object.entries(NUMBERS).map(([code, number]) => [number as number, code as FileErrorCode]));

/** The code of Linux's number. */
export function codeOfNumber(number: number): FileErrorCode {
  return CODES.get(number) ?? 'EIO';
}

export function numberOf(error: unknown): number {
  return NUMBERS[codeOf(error)];
}
