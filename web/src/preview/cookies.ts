// SPDX-License-Identifier: MIT
// The cookies of one server in the guest (RFC 6265), in memory. A service
// worker can neither read nor set the browser's.

interface Cookie {
  value: string;
  path: string;
  /** Milliseconds since 1970; Infinity as long as the page is there. */
  until: number;
}

/** Of one server. The one that was set first goes first. */
const MOST_COOKIES = 180;
/** Characters of a name and its value (6.1). */
const LONGEST = 4096;

const ATTRIBUTE = /^\s*([^=]*?)\s*(?:=\s*(.*?)\s*)?$/;

export class CookieJar {
  /** By path and name. */
  private readonly cookies = new Map<string, Cookie & { name: string }>();
  private readonly now: () => number;

  constructor(now = () => Date.now()) {
    this.now = now;
  }

  /** A Set-Cookie of the answer to a request for this path. */
  set(line: string, target: string): void {
    const [pair, ...attributes] = line.split(';');
    const equals = pair!.indexOf('=');
    const name = pair!.slice(0, Math.max(0, equals)).trim();
    const value = pair!.slice(equals + 1).trim();
    if (equals < 0 || name === '' || name.length + value.length > LONGEST) return;
    let path = defaultPath(target);
    let until = Infinity;
    let maxAge: number | undefined;
    for (const attribute of attributes) {
      const [, key = '', text = ''] = ATTRIBUTE.exec(attribute) ?? [];
      switch (key.toLowerCase()) {
        case 'path':
          path = text.startsWith('/') ? text : defaultPath(target);
          break;
        case 'expires': {
          const time = Date.parse(text);
          if (!Number.isNaN(time)) until = time;
          break;
        }
        case 'max-age':
          if (/^-?\d{1,12}$/.test(text)) maxAge = Number(text);
          break;
      }
    }
    if (maxAge !== undefined) until = maxAge <= 0 ? 0 : this.now() + 1000 * maxAge;
    const key = `${path}\n${name}`;
    if (until <= this.now()) this.cookies.delete(key);
    else {
      this.cookies.set(key, { name, value, path, until });
      const [first] = this.cookies.keys();
      if (this.cookies.size > MOST_COOKIES) this.cookies.delete(first!);
    }
  }

  /** The field Cookie of a request, or undefined. */
  get(target: string): string | undefined {
    const path = target.split('?', 1)[0]!;
    const now = this.now();
    const found = [...this.cookies.values()].filter((cookie) => cookie.until > now && covers(cookie.path, path));
    // The one of the longest path comes first (5.4).
    found.sort((one, other) => other.path.length - one.path.length);
    return found.length === 0 ? undefined : found.map(({ name, value }) => `${name}=${value}`).join('; ');
  }
}

function defaultPath(target: string): string {
  const path = target.split('?', 1)[0]!;
  const end = path.lastIndexOf('/');
  return end <= 0 ? '/' : path.slice(0, end);
}

function covers(cookie: string, path: string): boolean {
  return path === cookie || (path.startsWith(cookie) && (cookie.endsWith('/') || path[cookie.length] === '/'));
}
