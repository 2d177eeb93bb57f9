import { oneLine, ServiceError } from '../base/errors.js';

/** Limits on how much of a listing we keep in memory. */
export const MAX_TAGS = 1_000_000;
export const MAX_TAG_LENGTH = 1024;

/** Up to this many pages may have any number of names. */
const TINY_PAGES = 100;
/** The least average number of names on a page of a longer listing. */
const LEAST_NAMES = 10;

/** True if a listing has so many pages with so few names that reading it to its end would take forever. */
export function hasTinyPages(pages: number, names: number): boolean {
  return pages > TINY_PAGES && names < pages * LEAST_NAMES;
}

const MAX_LINK = 16 * 1024;

/**
 * The next page of a listing: the target of `Link: <url>; rel="next"` (RFC 8288), on the origin of the request;
 * undefined on the last page. Throws if the header cannot be parsed: half a listing must not pass for the whole.
 */
export function nextPage(headers: Readonly<Record<string, string>>, page: URL, what: string): URL | undefined {
  const { link } = headers;
  if (link === undefined || link.trim() === '') return undefined;
  const bad = (problem: string) => new ServiceError('bad-answer', `${what}: ${problem}: ${oneLine(link, 200)}`);
  const links = link.length > MAX_LINK ? undefined : parseLinks(link);
  if (links === undefined) throw bad('a Link header that is not understood');
  if (links.some(({ relations }) => relations.length === 0)) throw bad('a Link header without rel');
  const targets = new Set(links.filter(({ relations }) => relations.includes('next')).map(({ target }) => target));
  const [target, ...more] = targets;
  if (target === undefined) return undefined;
  if (more.length > 0) throw bad('a Link header with several next pages');
  const url = ownUrl(target, page);
  if (url?.origin === page.origin) return onOwnPath(url, page);
  throw new ServiceError('bad-answer', `${what}: its next page is on another server: ${oneLine(target, 200)}`);
}

/**
 * Puts the next page under the path that was requested. A proxy may show a repository under a name of its own, which is
 * not in the links of the registry behind it.
 */
function onOwnPath(next: URL, page: URL): URL {
  const isSameList = endOf(next.pathname) === endOf(page.pathname);
  return isSameList ? new URL(`${page.pathname}${next.search}`, page) : next;
}

/** `tags/list`, or `referrers/<digest>`. */
function endOf(pathname: string): string {
  return pathname.split('/').slice(-2).join('/');
}

/**
 * Resolves a URL from a registry against the requested one. Behind a proxy a registry may give its http or internal
 * address. Such a URL is followed on the requested origin, so that nothing leaves TLS. Undefined if it is not a URL.
 */
export function ownUrl(target: string, asked: URL): URL | undefined {
  if (!URL.canParse(target, asked.href)) return undefined;
  const url = new URL(target, asked);
  const losesTls = asked.protocol === 'https:' && url.protocol === 'http:';
  const isInner = url.origin !== asked.origin && isInnerName(url.hostname);
  return losesTls || isInner || url.host === asked.host ? new URL(`${url.pathname}${url.search}`, asked) : url;
}

/** A name without a dot, or in a private zone, which has no meaning outside the registry's own network. */
function isInnerName(hostname: string): boolean {
  return /^(?!localhost$)[^.:[\]]+$|\.(?:internal|local|lan|svc|cluster\.local)$/.test(hostname);
}

interface LinkValue {
  readonly target: string;
  readonly relations: readonly string[];
}

/** All links of a header; undefined if it violates RFC 8288 section 3. */
function parseLinks(header: string): readonly LinkValue[] | undefined {
  const links: LinkValue[] = [];
  let rest = header.trim();
  while (rest !== '') {
    const target = /^<([^<>]*)>\s*/.exec(rest);
    if (target === null) return undefined;
    rest = rest.slice(target[0].length);
    let relations: readonly string[] = [];
    for (;;) {
      const parameter = /^;\s*([\w!#$&+.^`|~-]+\*?)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+)))?\s*/.exec(rest);
      if (parameter === null) break;
      rest = rest.slice(parameter[0].length);
      const [, name = '', quoted, token] = parameter;
      if (name.toLowerCase() === 'rel' && relations.length === 0) {
        const value = quoted?.replace(/\\(.)/g, '$1') ?? token?.replace(/^'(.*)'$/, '$1') ?? '';
        relations = value.toLowerCase().split(/\s+/).filter(Boolean);
      }
    }
    links.push({ target: target[1] ?? '', relations });
    const separator = /^(?:;\s*)?(?:,\s*)*/.exec(rest)?.[0] ?? '';
    if (rest !== '' && !separator.includes(',') && separator.length !== rest.length) return undefined;
    rest = rest.slice(separator.length);
  }
  return links;
}
