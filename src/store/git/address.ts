import { isIPv4, isIPv6 } from 'node:net';
import * as v from 'valibot';

/** A directory in a branch of a git repository. */
export interface GitAddress {
  readonly kind: 'git';
  /** `https:`, `ssh:`, or `http:` on loopback, without password, query and fragment; undefined for the workflow's own. */
  readonly repository: URL | undefined;
  readonly branch: string;
  /** Below the repository's root, without a slash at either end; empty for the root itself. */
  readonly directory: string;
}

const DEFAULT_BRANCH = 'promotions';
const FORM =
  /^git(?:\+(https?|ssh):\/\/(?:([^@/#]*)@)?(\[[0-9A-Fa-f:.]+\]|[^:/#@[\]]*)(?::(\d{1,5}))?(\/[^@#]*)?)?(?:@([^#]*))?(?:#(.*))?$/;
const FORMS =
  'git, git+https://host/owner/repository or git+ssh://git@host/owner/repository, each optionally with @branch and #directory';

/** True if the text is meant as a git address, valid or not. */
export function isGitAddress(text: string): boolean {
  return /^git(?:[+@#]|$)/.test(text);
}

/** The parts of a git address, or the problem with it, which never repeats a possible password. */
function parseAddress(text: string): GitAddress | string {
  const match = FORM.exec(text);
  if (match === null) return `is not a store such as ${FORMS}`;
  const [, protocol, user, rawHost, port, path, branch = DEFAULT_BRANCH, directory = ''] = match;
  if (!isBranch(branch)) return `${JSON.stringify(branch)} is not a branch name`;
  if (directory !== '' && !directory.split('/').every(isPathPart)) {
    return `${JSON.stringify(directory)} is not a plain relative directory`;
  }
  if (protocol === undefined) return { kind: 'git', repository: undefined, branch, directory };
  const repository = parseRepository({ protocol, user, host: (rawHost ?? '').toLowerCase(), port, path: path ?? '' });
  return typeof repository === 'string' ? repository : { kind: 'git', repository, branch, directory };
}

interface RepositoryParts {
  readonly protocol: string;
  readonly user: string | undefined;
  readonly host: string;
  readonly port: string | undefined;
  readonly path: string;
}

function parseRepository({ protocol, user, host, port, path }: RepositoryParts): URL | string {
  if (user?.includes(':')) return 'has a password in it: set git-token or ssh-private-key instead';
  if (protocol === 'ssh' && !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(user ?? ''))
    return 'names no user, as in git+ssh://git@…';
  if (protocol !== 'ssh' && user !== undefined) return 'has a user in it: set git-token instead';
  if (!isHost(host)) return `${JSON.stringify(host)} is neither a host name nor an address ([…] around IPv6)`;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return `${port} is not a port`;
  const parts = path.replace(/^\/|\/$/g, '').split('/');
  if (!parts.every((part) => isPathPart(part.replace(/^~(?=.)/, '')))) return `names no repository: write ${FORMS}`;
  if (protocol === 'http' && !isLoopback(host)) return 'http is for loopback only: write git+https://…';
  const login = user === undefined ? '' : `${user}@`;
  return new URL(`${protocol}://${login}${host}${port === undefined ? '' : `:${port}`}/${parts.join('/')}`);
}

/** A plain name that neither leaves its directory nor is git's own. */
function isPathPart(part: string): boolean {
  return /^[A-Za-z0-9._][A-Za-z0-9._+-]{0,254}$/.test(part) && !/^\.{1,2}$|^\.git$/i.test(part);
}

/** A branch name of plain characters, by the rules of git-check-ref-format(1). */
function isBranch(name: string): boolean {
  const parts = name.split('/');
  const plain = (part: string) => /^[A-Za-z0-9_][A-Za-z0-9._+-]*$/.test(part) && !/\.\.|\.$|\.lock$/.test(part);
  return name.length <= 200 && name !== 'HEAD' && parts.every(plain);
}

function isHost(text: string): boolean {
  if (text.startsWith('[')) return isIPv6(text.slice(1, -1));
  return /^[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?$/.test(text);
}

/** True if the host name or address means this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}

/** A git address, parsed to a GitAddress. */
export const gitAddressSchema = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): GitAddress => {
    const address = parseAddress(dataset.value);
    if (typeof address !== 'string') return address;
    addIssue({ message: address });
    return NEVER;
  }),
);

/** The address as a user writes it, for messages. */
export function formatGitAddress({ repository, branch, directory }: GitAddress): string {
  const where = repository === undefined ? 'git' : `git+${repository.href}`;
  return `${where}@${branch}${directory === '' ? '' : `#${directory}`}`;
}
