import { isIPv6 } from 'node:net';
import * as v from 'valibot';

/** A directory on an SSH server: `sftp://user@host[:port]/absolute/dir`. */
export interface ServerAddress {
  readonly user: string;
  /** A name or address in lower case; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Absolute, without a slash at the end. */
  readonly directory: string;
}

const FORM = /^sftp:\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#@[\]]*)(?::(\d{1,5}))?(\/[^?#]*)?([?#].*)?$/i;
const EXAMPLE = 'sftp://user@host[:port]/absolute/directory';
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this finds
const CONTROL = /[\u0000-\u001f\u007f]/;

/** The parts of a server's URL, or the problem with it, which never repeats a possible password. */
function parseServer(text: string): ServerAddress | string {
  const match = FORM.exec(text);
  if (match === null) return `${otherForm(text)}; write ${EXAMPLE}, or git+https://host/owner/repository`;
  const [, rawUser, rawHost = '', port = '22', rawPath, rest] = match;
  if (rawUser?.includes(':')) return 'has a password in it: log in with ssh-private-key or with an agent';
  if (rest !== undefined) return 'has a query or fragment; write ? as %3F and # as %23';
  const user = decode(rawUser ?? '');
  if (user === undefined || user === '') return `names no user: write ${EXAMPLE}`;
  if (user.startsWith('-') || CONTROL.test(user)) return `${JSON.stringify(user)} is not a user name`;
  const host = parseHost(rawHost.toLowerCase());
  if (host === undefined) return `${JSON.stringify(rawHost)} is neither a host name nor an address ([…] around IPv6)`;
  if (Number(port) < 1 || Number(port) > 65_535) return `${port} is not a port`;
  const path = decode(rawPath ?? '');
  const parts = path?.replace(/^\/|\/$/g, '').split('/');
  if (path === undefined || parts === undefined || path.length < 2 || CONTROL.test(path)) {
    return `names no directory: write ${EXAMPLE}`;
  }
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.startsWith('~'))) {
    return `${JSON.stringify(path)} is not a plain absolute directory: no "//", ".", ".." or "~"`;
  }
  return { user, host, port: Number(port), directory: `/${parts.join('/')}` };
}

/** What the text is in place of a server's URL. */
function otherForm(text: string): string {
  const [, scheme] = /^([a-z][a-z+]{0,9}):\/\//i.exec(text) ?? [];
  if (scheme !== undefined && /^https?$/i.test(scheme)) return `not a server: ${scheme}:// can only be read`;
  if (scheme !== undefined && !/^sftp$/i.test(scheme)) return `not a server: it begins with ${scheme}://`;
  return /^[^/:]+@[^/:]+:/.test(text) ? "not a server: this is scp's form" : 'not a server';
}

function parseHost(text: string): string | undefined {
  if (text.startsWith('[')) {
    const address = text.slice(1, -1);
    return isIPv6(address) && !address.includes('%') ? address : undefined;
  }
  return /^[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?$/.test(text) ? text : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** A server's URL, parsed to a ServerAddress. */
export const serverSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): ServerAddress => {
    const server = parseServer(dataset.value);
    if (typeof server !== 'string') return server;
    addIssue({ message: server });
    return NEVER;
  }),
);

/** The server as its URL, for people. */
export function formatServer({ user, host, port, directory }: ServerAddress): string {
  const name = isIPv6(host) ? `[${host}]` : host;
  return `sftp://${user}@${name}${port === 22 ? '' : `:${port}`}${directory}`;
}
